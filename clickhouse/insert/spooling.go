package insert

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/benthos-clickhouse/connect/clickhouse/spool"
	"github.com/benthos-clickhouse/connect/delivery"
)

// spoolable tells whether a block that failed so goes to disk: its attempts are used up, and it is not the configuration, the
// table's columns or the ownership of the range that is wrong, nor a restart that calls for a look at the table.
func (w *Writer) spoolable(ctx context.Context, err error) bool {
	var shard *ShardError
	var permanent *PermanentError
	var stale *staleError
	return w.opts.Spool != nil && ctx.Err() == nil && errors.As(err, &shard) &&
		!errors.As(err, &permanent) && !errors.As(err, &stale) && !errors.Is(err, delivery.ErrLost) && !errors.Is(err, ErrRestarted)
}

// spool puts the block on disk under its name. When that fails too, the batch waits as if there were no spool.
func (s *shipment) spool(cause error) error {
	h, err := s.header(cause)
	if err != nil {
		return fmt.Errorf("%w (and it could not be spooled: %w)", cause, err)
	}
	path, err := s.w.opts.Spool.Put(h, s.part.block.Input())
	if err != nil {
		return fmt.Errorf("%w (and it could not be spooled: %w)", cause, err)
	}
	s.w.opts.Observer.Spooled(s.part.shard+1, len(s.part.rows), path, cause)
	s.w.log.Error("block spooled, to be inserted later with: connect clickhouse spool replay", "path", path, "rows", len(s.part.rows), "reason", cause)
	s.j.spooled(s.part, path)
	return nil
}

// commitSpooled has the files of a range that was written note when Kafka holds that it is done: until then the range's next owner
// may send their blocks, too.
func (w *Writer) commitSpooled(j *job) {
	for _, path := range j.files {
		j.lease.OnCommitted(func() {
			if err := spool.Commit(path); err != nil {
				w.log.Warn("it could not be noted that a spooled block's range is committed, so its rows will be looked for before it is replayed", "path", path, "error", err)
			}
		})
	}
}

// header says how the block has to be sent some day.
func (s *shipment) header(cause error) (spool.Header, error) {
	l := s.j.layout
	pin, err := l.MarshalBinary()
	if err != nil {
		return spool.Header{}, err
	}
	h := spool.Header{
		Database: l.Shards[s.part.shard].Database, Table: l.Table.Name, Shard: s.part.shard, Layout: pin, Cluster: l.Cluster,
		Name: s.part.name, Written: time.Now().UTC(), Reason: cause.Error(), Rows: len(s.part.rows),
	}
	if h.Cluster == "" {
		for i := range l.Shards {
			var replicas []string
			for _, r := range l.Shards[i].Replicas {
				replicas = append(replicas, r.ID())
			}
			h.Shards = append(h.Shards, replicas)
		}
	}
	if at := s.j.firstSent(); !at.IsZero() {
		h.Sent, h.Written = true, at.UTC()
	}
	if s.j.lease != nil {
		h.Range = s.t.spooledRange(s.j)
	}
	switch {
	case s.only != nil:
		h.Replica, h.Each = s.only.ID(), true
	case s.landing != nil:
		h.Replica = s.landing.ID()
	}
	return h, nil
}

// spooledRange is what a replay has to know of the block's range.
func (t *target) spooledRange(j *job) *spool.Range {
	r := j.lease.Range()
	out := &spool.Range{Topic: r.Topic, Partition: r.Partition, From: r.From, To: r.To, Base: j.naming.base}
	if t.changes != nil {
		out.Repeatable = t.changes.repeatable()
	} else if t.traceable() {
		out.Columns = &spool.Provenance{Topic: t.topicColumn, Partition: t.partitionColumn, Offset: t.offsetColumn}
	}
	return out
}
