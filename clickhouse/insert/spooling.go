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
// table's columns or the ownership of the range that is wrong.
func (w *Writer) spoolable(ctx context.Context, err error) bool {
	var shard *ShardError
	var permanent *PermanentError
	var stale *staleError
	return w.opts.Spool != nil && ctx.Err() == nil && errors.As(err, &shard) &&
		!errors.As(err, &permanent) && !errors.As(err, &stale) && !errors.Is(err, delivery.ErrLost)
}

// spool puts the block on disk under its name. When that fails too, the batch waits as if there were no spool.
func (s *shipment) spool(cause error) error {
	pin, err := s.j.layout.MarshalBinary()
	if err != nil {
		return fmt.Errorf("%w (and it could not be spooled: %w)", cause, err)
	}
	shard := &s.j.layout.Shards[s.part.shard]
	h := spool.Header{
		Database: shard.Database, Table: s.j.layout.Table.Name, Shard: s.part.shard, Layout: pin,
		Name: s.part.name, Written: time.Now().UTC(), Reason: cause.Error(), Rows: len(s.part.rows),
	}
	switch {
	case s.only != nil:
		h.Replica = s.only.ID()
	case s.landing != nil:
		h.Replica, h.Sent = s.landing.ID(), true
	}
	path, err := s.w.opts.Spool.Put(h, s.part.block.Input())
	if err != nil {
		return fmt.Errorf("%w (and it could not be spooled: %w)", cause, err)
	}
	s.w.opts.Observer.Spooled(s.part.shard+1, len(s.part.rows), path, cause)
	s.w.log.Error("block spooled, to be replayed with `clickhouse spool replay`", "path", path, "rows", len(s.part.rows), "reason", cause)
	s.j.spooled(s.part)
	return nil
}
