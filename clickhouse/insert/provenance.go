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

// trace says how rows of a range are found in a table: by the columns that keep where they come from.
type trace struct {
	topicColumn, partitionColumn, offsetColumn string

	topic     string
	partition int32
	from, to  int64
	base      string // what the names of all blocks of the range begin with
}

func (t *target) trace(j *job) trace {
	r := j.lease.Range()
	return trace{
		topicColumn: t.topicColumn, partitionColumn: t.partitionColumn, offsetColumn: t.offsetColumn,
		topic: r.Topic, partition: r.Partition, from: r.From, to: r.To, base: j.naming.base,
	}
}

// sighting is which offsets of a range one shard has.
type sighting struct {
	shard int
	// on holds them by replica where each replica gets the rows for itself, and otherwise under nil: there it is all one which replica has a row.
	on map[*cluster.Replica]map[int64]bool
}

// has tells whether the shard has a row as it should, and which replicas have it where some do that should all.
func (s *sighting) has(offset int64) (whole bool, some []*cluster.Replica) {
	for replica, have := range s.on {
		if have[offset] {
			some = append(some, replica)
		}
	}
	return len(some) == len(s.on), some
}

// placement is where a row is that only some replicas of its shard have.
type placement struct {
	shard int
	on    []*cluster.Replica
}

// landed asks every shard which offsets of the range it has: a row may be on another shard than today's cut would put it. All replicas
// that can have rows have to answer; where the layout pins one, no other has been sent any.
func (w *Writer) landed(ctx context.Context, t *target, j *job) ([]sighting, error) {
	if t.changes != nil {
		return nil, nil // rows may have been merged away, and those that are there change nothing when they come again
	}
	return landedIn(ctx, w.opts.Cluster, j.layout, t.trace(j))
}

func landedIn(ctx context.Context, c *cluster.Cluster, layout *cluster.Layout, t trace) ([]sighting, error) {
	seen := make([]sighting, len(layout.Shards))
	for i := range layout.Shards {
		shard := &layout.Shards[i]
		seen[i] = sighting{shard: i, on: map[*cluster.Replica]map[int64]bool{}}
		replicas := shard.Replicas
		if shard.Pinned != nil {
			replicas = []*cluster.Replica{shard.Pinned}
		}
		for _, replica := range replicas {
			var key *cluster.Replica
			if shard.WriteEach() {
				key = replica
			}
			if seen[i].on[key] == nil {
				seen[i].on[key] = map[int64]bool{}
			}
			if err := t.landedOn(ctx, c, layout.Target(i), replica, seen[i].on[key]); err != nil {
				return nil, fmt.Errorf("looking on %s for rows of %s/%d [%d, %d): %w", replica, t.topic, t.partition, t.from, t.to, err)
			}
		}
	}
	return seen, nil
}

// wholeAnswer has a query fail that would otherwise, by the user's profile, end early without a word: what is not seen is sent.
var wholeAnswer = []ch.Setting{
	{Key: "timeout_overflow_mode", Value: "throw", Important: true},
	{Key: "read_overflow_mode", Value: "throw", Important: true},
	{Key: "result_overflow_mode", Value: "throw", Important: true},
}

func (t *trace) landedOn(ctx context.Context, c *cluster.Cluster, table string, replica *cluster.Replica, into map[int64]bool) error {
	conn, err := c.AcquireReplica(ctx, replica)
	if err != nil {
		return err
	}
	if err := quiet(ctx, conn, t.base); err != nil {
		conn.Release(err)
		return err
	}
	var offsets proto.ColInt64
	err = conn.Do(ctx, ch.Query{
		Body: fmt.Sprintf("SELECT toInt64(%s) FROM %s WHERE toString(%s) = %s AND %s = %d AND %s >= %d AND %s < %d",
			quoteName(t.offsetColumn), table, quoteName(t.topicColumn), quoteText(t.topic),
			quoteName(t.partitionColumn), t.partition, quoteName(t.offsetColumn), t.from, quoteName(t.offsetColumn), t.to),
		Settings: wholeAnswer,
		Result:   proto.Results{{Data: &offsets}},
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

// offsets lists where each record comes from; a record that cannot be read is left out, because it is rejected in the cut as well.
func (j *job) offsets() (map[int32]int64, error) {
	at := make(map[int32]int64, j.source.Len())
	var rec Record
	for i := range j.source.Len() {
		rec.reset()
		if err := j.source.Record(i, &rec); err != nil {
			continue
		}
		if !rec.Provenance.Valid {
			return nil, fmt.Errorf("record %d does not say which offset it has: add offset to the input's metadata", i)
		}
		at[int32(i)] = rec.Provenance.Offset
	}
	return at, nil
}

// settleLanded takes the records that are in the tables already out of the job, and counts them. Where only some replicas have a row which
// should all have it, it is noted which do. A cut is given when its blocks were sent again under their own names.
func (j *job) settleLanded(seen []sighting, c *cut) (found int, _ error) {
	at, err := j.offsets()
	if err != nil {
		return 0, err
	}
	if c != nil && seen != nil && j.layout.Table.PartitionKey == "" {
		completeBlocks(seen, c, at)
	}
	var rows []int32
	j.partly = map[int32]placement{}
	for i, offset := range at {
		whole, some := find(seen, offset)
		switch {
		case whole:
			rows = append(rows, i)
		case some != nil:
			j.partly[i] = *some
		}
	}
	j.count(rows)
	return len(rows), nil
}

// find looks for an offset on all shards.
func find(seen []sighting, offset int64) (whole bool, partly *placement) {
	for n := range seen {
		all, some := seen[n].has(offset)
		if all {
			return true, nil
		}
		if len(some) > 0 {
			partly = &placement{seen[n].shard, some}
		}
	}
	return false, partly
}

// completeBlocks adds what else belongs to a block that has a row in its table. A block goes into a table without partitions as a whole: what
// of it is missing was replaced, collapsed or has expired since.
func completeBlocks(seen []sighting, c *cut, at map[int32]int64) {
	for _, p := range c.parts {
		for _, have := range seen[p.shard].on {
			if !slices.ContainsFunc(p.rows, func(i int32) bool { return have[at[i]] }) {
				continue
			}
			for _, i := range p.rows {
				have[at[i]] = true
			}
		}
	}
}

// lacking is the part without the rows that this replica has already; nil when it has all of them.
func (j *job) lacking(t *target, p *part, replica *cluster.Replica) (*part, error) {
	if len(j.partly) == 0 || replica == nil {
		return p, nil
	}
	rest := slices.DeleteFunc(slices.Clone(p.rows), func(i int32) bool { return slices.Contains(j.partly[i].on, replica) })
	switch len(rest) {
	case len(p.rows):
		return p, nil
	case 0:
		return nil, nil
	}
	return j.rebuild(t, p, rest, p.name)
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
