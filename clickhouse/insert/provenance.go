package insert

import (
	"context"
	"fmt"
	"slices"
	"strings"

	ch "github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
)

// landedOffsets asks every shard which offsets of the range it has: a row may be on another shard than today's cut would put it. All replicas
// that can have rows have to answer; where the layout pins one, no other has been sent any.
func (w *Writer) landedOffsets(ctx context.Context, t *target, j *job) (map[int64]bool, error) {
	layout, r := j.layout, j.lease.Range()
	landed := map[int64]bool{}
	if t.changes != nil {
		return landed, nil // rows may have been merged away, and those that are there change nothing when they come again
	}
	for i := range layout.Shards {
		replicas := layout.Shards[i].Replicas
		if pinned := layout.Shards[i].Pinned; pinned != nil {
			replicas = []*cluster.Replica{pinned}
		}
		for _, replica := range replicas {
			if err := w.landedOn(ctx, t, layout.Target(i), replica, j, landed); err != nil {
				return nil, fmt.Errorf("looking on %s for rows of %s: %w", replica, r, err)
			}
		}
	}
	return landed, nil
}

func (w *Writer) landedOn(ctx context.Context, t *target, table string, replica *cluster.Replica, j *job, into map[int64]bool) error {
	conn, err := w.opts.Cluster.AcquireReplica(ctx, replica)
	if err != nil {
		return err
	}
	if err := quiet(ctx, conn, j.naming.base); err != nil {
		conn.Release(err)
		return err
	}
	r := j.lease.Range()
	var offsets proto.ColInt64
	err = conn.Do(ctx, ch.Query{
		Body: fmt.Sprintf("SELECT toInt64(%s) FROM %s WHERE toString(%s) = %s AND %s = %d AND %s >= %d AND %s < %d",
			quoteName(t.offsetColumn), table, quoteName(t.topicColumn), quoteText(r.Topic),
			quoteName(t.partitionColumn), r.Partition, quoteName(t.offsetColumn), r.From, quoteName(t.offsetColumn), r.To),
		Result: proto.Results{{Data: &offsets}},
		OnResult: func(context.Context, proto.Block) error {
			for _, o := range offsets {
				into[o] = true
			}
			offsets.Reset()
			return nil
		},
	})
	conn.Release(err)
	return err
}

// settleLanded takes the records that are in the tables already out of the job, and tells which they are.
func (j *job) settleLanded(landed map[int64]bool) ([]int32, error) {
	var rec Record
	var rows []int32
	for i := range j.source.Len() {
		rec.reset()
		if err := j.source.Record(i, &rec); err != nil {
			continue // rejected in the cut as well
		}
		if !rec.Provenance.Valid {
			return nil, fmt.Errorf("record %d does not say which offset it has: add offset to the input's metadata", i)
		}
		if landed[rec.Provenance.Offset] {
			rows = append(rows, int32(i))
		}
	}
	j.count(rows)
	return rows, nil
}

// settleBlocks takes out of the job what else belongs to a block that has a row in its table. A block goes into a table without partitions
// as a whole: what of it is missing was replaced, collapsed or has expired since.
func (j *job) settleBlocks(c *cut, found []int32) {
	in := make(map[int32]bool, len(found))
	for _, i := range found {
		in[i] = true
	}
	for _, p := range c.parts {
		if slices.ContainsFunc(p.rows, func(i int32) bool { return in[i] }) {
			j.count(p.rows)
		}
	}
}

// count settles rows that are in their tables.
func (j *job) count(rows []int32) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, i := range rows {
		if j.settled == nil || !j.settled[i] {
			j.result.Inserted++
		}
	}
	j.settle(rows, "")
}

// adviceTrace is what a table without provenance columns lacks.
func adviceTrace(t *target) string {
	if t.changes != nil {
		return "rows that collapse leave no trace, so it cannot be found out which rows of the range are in: compare sum(sign) with the source by hand, then move the consumer group's offset past the range; write_mode replacing has no such case"
	}
	missing := make([]string, 0, 3)
	for name, column := range map[string]string{metaTopic: t.topicColumn, metaPartition: t.partitionColumn, metaOffset: t.offsetColumn} {
		if column == "" {
			missing = append(missing, "@"+name)
		}
	}
	return "the table does not keep where its rows come from (no column takes " + strings.Join(missing, ", ") +
		"), so it cannot be found out which rows of the range are in: compare by hand, then move the consumer group's offset past the range, or delete its rows and reset the offset to its start"
}
