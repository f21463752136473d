package chaos

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// wrongRows counts the rows whose content, the joined column included, does not follow from the event's number.
const wrongRows = `SELECT countIf(product_name IS DISTINCT FROM if(id %% %d < %d, concat('Product ', toString(id %% %d)), NULL)
	OR user_id != id %% 10007 OR amount != id %% 997 OR sku != concat('sku-', toString(id %% %d)) OR tags != [concat('t', toString(id %% 7)), 'x']
	OR toUnixTimestamp64Milli(ts) %% 1000 != id %% 1000 OR toSecond(ts) != id %% 60) FROM %s`

// count compares the tables of all nodes, and the dead letters, with what was produced.
func (w *world) count(ctx context.Context, r *Report) error {
	n := w.cluster.Servers[0]
	events := w.everywhere("events_local")
	var distinct int64
	for _, q := range []struct {
		query string
		into  *int64
	}{
		{"SELECT count() FROM " + events, &r.Rows},
		{"SELECT uniqExact(id) FROM " + events, &distinct},
		{"SELECT sum(events) FROM " + w.everywhere("per_user_local"), &r.ViewRows},
		{fmt.Sprintf(wrongRows, products+10, products, products+10, products+10, events), &r.WrongRows},
	} {
		rows, err := n.QueryContext(ctx, q.query)
		if err != nil {
			return fmt.Errorf("counting: %w", err)
		}
		if *q.into, err = strconv.ParseInt(rows[0][0], 10, 64); err != nil {
			return fmt.Errorf("counting: %w", err)
		}
	}
	r.Losses, r.Duplicates = r.Events-distinct, r.Rows-distinct
	if err := w.countDead(ctx, r); err != nil {
		return err
	}
	if r.Passed() {
		return nil
	}
	return w.examples(ctx, r, events)
}

// everywhere is a table on all nodes.
func (w *world) everywhere(table string) string {
	var addrs []string
	for _, n := range w.cluster.Servers {
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

func (w *world) examples(ctx context.Context, r *Report, table string) error {
	n := w.cluster.Servers[0]
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
			GROUP BY s HAVING sum(t) != sum(v)`, table, w.everywhere("per_user_local")),
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
