package chaos

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/benthos-clickhouse/connect/tests/services"
)

// wrongRows counts the rows whose content, the joined column included, does not follow from the event's number.
const wrongRows = `SELECT countIf(product_name IS DISTINCT FROM if(id %% %d < %d, concat('Product ', toString(id %% %d)), NULL)
	OR user_id != id %% 10007 OR amount != id %% 997 OR sku != concat('sku-', toString(id %% %d)) OR tags != [concat('t', toString(id %% 7)), 'x']
	OR toUnixTimestamp64Milli(ts) %% 1000 != id %% 1000 OR toSecond(ts) != id %% 60) FROM %s`

// count compares the tables of all nodes, and the dead letters, with what was produced.
func (w *world) count(ctx context.Context, r *Report) error {
	for _, nodes := range w.copies() {
		if err := w.countCopy(ctx, r, nodes); err != nil {
			return err
		}
	}
	if err := w.countDead(ctx, r); err != nil {
		return err
	}
	if r.Passed() {
		return nil
	}
	for _, nodes := range w.copies() {
		if err := w.examples(ctx, r, nodes); err != nil {
			return err
		}
	}
	return nil
}

// copies are the sets of nodes that together have to have every event once: all of them, since a block goes to one replica of its shard, or
// one set for each replica where every one is written.
func (w *world) copies() [][]*services.Node {
	if w.opts.Variant != WriteAll {
		return [][]*services.Node{w.cluster.Servers}
	}
	var out [][]*services.Node
	for replica := range replicas {
		nodes := []*services.Node{w.cluster.Servers[spare]}
		for shard := range shards {
			nodes = append(nodes, w.cluster.Servers[shard*replicas+replica])
		}
		out = append(out, nodes)
	}
	return out
}

// countCopy adds up what is wrong with one copy.
func (w *world) countCopy(ctx context.Context, r *Report, nodes []*services.Node) error {
	events := tableOn(nodes, "events_local")
	var rows, distinct, viewed, wrong int64
	for _, q := range []struct {
		query string
		into  *int64
	}{
		{"SELECT count() FROM " + events, &rows},
		{"SELECT uniqExact(id) FROM " + events, &distinct},
		{"SELECT sum(events) FROM " + tableOn(nodes, "per_user_local"), &viewed},
		{fmt.Sprintf(wrongRows, products+10, products, products+10, products+10, events), &wrong},
	} {
		answer, err := w.cluster.Servers[0].QueryContext(ctx, q.query)
		if err != nil {
			return fmt.Errorf("counting: %w", err)
		}
		if *q.into, err = strconv.ParseInt(answer[0][0], 10, 64); err != nil {
			return fmt.Errorf("counting: %w", err)
		}
	}
	r.Losses += r.Events - distinct
	r.Duplicates += rows - distinct
	r.WrongRows += wrong
	if r.Rows == 0 || rows != r.Events {
		r.Rows = rows
	}
	if r.ViewRows == 0 || viewed != r.Events {
		r.ViewRows = viewed
	}
	return nil
}

// tableOn is a table on several nodes.
func tableOn(nodes []*services.Node, table string) string {
	var addrs []string
	for _, n := range nodes {
		addrs = append(addrs, n.Addr())
	}
	return fmt.Sprintf("remote('%s', chaos.%s)", strings.Join(addrs, ","), table)
}

// countDead counts the events in the dead letter topic. One that could have been inserted is not counted: it is missing in the table.
func (w *world) countDead(ctx context.Context, r *Report) error {
	letters, err := w.deadLetters(ctx)
	if err != nil {
		return err
	}
	for id, times := range letters {
		if dead(id) {
			r.DeadLetters++
			r.RepeatedLetters += int64(times - 1)
		} else if len(r.Examples) < 20 {
			r.Examples = append(r.Examples, fmt.Sprintf("event %d in the dead letter topic", id))
		}
	}
	return nil
}

func (w *world) examples(ctx context.Context, r *Report, nodes []*services.Node) error {
	n, table := w.cluster.Servers[0], tableOn(nodes, "events_local")
	for what, query := range map[string]string{
		"lost": fmt.Sprintf(`SELECT number FROM numbers(%d) WHERE number %% %d NOT IN (13, 14) AND number NOT IN (SELECT id FROM %s) LIMIT 5`,
			w.opts.Events, deadEvery, table),
		"double": fmt.Sprintf(`SELECT id, groupArray((_shard_num, kafka_partition, kafka_offset)) FROM %s
			GROUP BY id HAVING count() > 1 ORDER BY id LIMIT 5`, table),
		"double by partition": fmt.Sprintf(`SELECT kafka_partition, min(kafka_offset), max(kafka_offset), count() FROM
			(SELECT kafka_partition, kafka_offset, count() AS c FROM %s GROUP BY 1, 2 HAVING c > 1) GROUP BY 1`, table),
		"table and view differ, by node": fmt.Sprintf(`SELECT s, sum(t), sum(v), min(u), max(u) FROM
			(SELECT _shard_num AS s, user_id AS u, count() AS t, 0 AS v FROM %s GROUP BY 1, 2 UNION ALL
			 SELECT _shard_num AS s, user_id AS u, 0 AS t, sum(events) AS v FROM %s GROUP BY 1, 2)
			GROUP BY s HAVING sum(t) != sum(v)`, table, tableOn(nodes, "per_user_local")),
	} {
		rows, err := n.QueryContext(ctx, query)
		if err != nil {
			return fmt.Errorf("looking for examples: %w", err)
		}
		for _, row := range rows {
			r.Examples = append(r.Examples, what+": "+strings.Join(row, " "))
		}
	}
	return nil
}
