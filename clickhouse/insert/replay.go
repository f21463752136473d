package insert

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	ch "github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/clickhouse/spool"
)

// ErrForgotten says that a spooled block may have landed so long ago that the table would not recognise it.
var ErrForgotten = errors.New("block may be in the table already, and the table no longer remembers its name: compare by hand, then replay with force, or drop it")

// Replay inserts a spooled block under the name it was first sent with, into the shard and, where only one replica knows that name,
// the replica it was meant for. Replaying twice, or what had landed, changes nothing:
//
//   - A block of a range whose table keeps where rows come from has its rows looked for, and only those that are missing are inserted. That
//     covers what the name does not tell: a range that its next owner has sent under other names, and a server that was killed and
//     remembers a block that it lost.
//   - Otherwise the table knows the name, while the deduplication window holds. After that the error is ErrForgotten, unless force is set.
//
// A block that nobody can have sent is inserted without either. One whose columns have types by now that would change its values is refused, with a
// *column.TypeChangedError. A damaged file is a *spool.CorruptError. The file is kept.
func Replay(ctx context.Context, c *cluster.Cluster, path string, force bool) (spool.Header, error) {
	h, input, err := spool.Read(path)
	if err != nil {
		return h, err
	}
	r := &replay{c: c, path: path, h: h, input: input}
	if r.layout, err = c.Resolve(h.Layout); err != nil {
		return h, fmt.Errorf("replaying %q: %w", path, err)
	}
	if h.Shard >= len(r.layout.Shards) {
		return h, &spool.CorruptError{Path: path, Reason: fmt.Sprintf("it is for shard %d of %d", h.Shard+1, len(r.layout.Shards))}
	}
	if err := fits(&h, r.layout.Table); err != nil {
		return h, fmt.Errorf("replaying %q: %w", path, err)
	}
	if r.offsets, err = r.findOffsets(); err != nil {
		return h, &spool.CorruptError{Path: path, Reason: err.Error()}
	}
	if err := r.run(ctx, force); err != nil {
		return h, fmt.Errorf("replaying %q into shard %d: %w", path, h.Shard+1, err)
	}
	return h, nil
}

// replay is one spooled block on its way to its shard.
type replay struct {
	c       *cluster.Cluster
	path    string
	h       spool.Header
	input   proto.Input
	layout  *cluster.Layout
	offsets []int64 // of the rows; nil where they cannot be looked for
}

func (r *replay) run(ctx context.Context, force bool) error {
	switch {
	case force, !r.h.MayHaveLanded(), r.h.Range != nil && r.h.Range.Repeatable:
		return r.insert(ctx)
	case r.offsets != nil:
		return r.insertMissing(ctx)
	}
	if err := r.remembered(ctx); err != nil {
		return err
	}
	return r.insert(ctx)
}

// insert sends the block under its name.
func (r *replay) insert(ctx context.Context) error {
	return r.send(ctx, r.h.Name, statement(r.layout.Target(r.h.Shard), r.input))
}

// insertMissing looks for the block's rows, and sends those that are not there. As long as none is, that is under the block's own name: somebody
// else may be sending it, too.
func (r *replay) insertMissing(ctx context.Context) error {
	missing, err := r.missing(ctx)
	if err != nil || len(missing) == 0 {
		return err
	}
	if len(missing) == len(r.offsets) {
		if err := r.insert(ctx); err != nil {
			return err
		}
		if missing, err = r.missing(ctx); err != nil || len(missing) == 0 {
			return err
		}
	}
	return r.send(ctx, restName(r.h.Name, missing), r.restOf(missing))
}

// send inserts the block, or what the statement takes of it, after it was noted that it may have landed.
func (r *replay) send(ctx context.Context, name, body string) error {
	conn, err := r.connect(ctx)
	if err != nil {
		return err
	}
	first := r.h.Written
	if !r.h.MayHaveLanded() {
		first = time.Now()
	}
	if err := spool.MarkSent(r.path, first); err != nil {
		conn.Release(nil)
		return err
	}
	err = conn.Do(ctx, ch.Query{Body: body, Input: r.input, Settings: append(baseSettings(nil),
		ch.Setting{Key: "insert_deduplication_token", Value: name, Important: true},
		ch.Setting{Key: "max_query_size", Value: maxRows, Important: true})})
	conn.Release(err)
	return err
}

// missing looks on all shards, since the range may have been cut otherwise meanwhile.
func (r *replay) missing(ctx context.Context) ([]int64, error) {
	w := r.h.Range
	t := trace{
		topicColumn: w.Columns.Topic, partitionColumn: w.Columns.Partition, offsetColumn: w.Columns.Offset,
		topic: w.Topic, partition: w.Partition, from: w.From, to: w.To, base: w.Base,
	}
	seen, err := landedIn(ctx, r.c, r.layout, t)
	if err != nil {
		return nil, err
	}
	var missing []int64
	for _, offset := range r.offsets {
		if !slices.ContainsFunc(seen, func(s sighting) bool { return r.isIn(&s, offset) }) {
			missing = append(missing, offset)
		}
	}
	if r.layout.Table.PartitionKey == "" && len(missing) < len(r.offsets) {
		return nil, nil // it went in as a whole: what of it is gone was replaced or has expired since
	}
	return missing, nil
}

// isIn tells whether a shard has a row so that this block need not bring it. Where each replica gets the rows for itself, this block is for one.
func (r *replay) isIn(s *sighting, offset int64) bool {
	whole, some := s.has(offset)
	if whole || !r.h.Each || s.shard != r.h.Shard {
		return whole
	}
	return slices.ContainsFunc(some, func(replica *cluster.Replica) bool { return replica.ID() == r.h.Replica })
}

// remembered is nil when the table would still recognise the block, if it has it.
func (r *replay) remembered(ctx context.Context) error {
	d, err := r.c.CheckDeduplication(ctx, r.layout)
	var check *cluster.CheckError
	if errors.As(err, &check) {
		return fmt.Errorf("%w (%w)", ErrForgotten, err)
	}
	if err != nil {
		return err
	}
	if d.Window > 0 && time.Since(r.h.Written) > d.Window-windowMargin {
		return fmt.Errorf("%w (first sent at %s, remembered for %s)", ErrForgotten, r.h.Written.Format(time.RFC3339), d.Window)
	}
	return nil
}

// connect takes a connection to where the block has to go.
func (r *replay) connect(ctx context.Context) (*cluster.Conn, error) {
	if r.h.Replica == "" {
		return r.c.Acquire(ctx, r.layout, r.h.Shard)
	}
	for _, replica := range r.layout.Shards[r.h.Shard].Replicas {
		if replica.ID() == r.h.Replica {
			return r.c.AcquireReplica(ctx, replica)
		}
	}
	return nil, fmt.Errorf("replica %s, the only one that may have the block, is no longer in shard %d", r.h.Replica, r.h.Shard+1)
}
