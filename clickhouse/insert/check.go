package insert

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
)

// windowMargin is what the table's deduplication window is shortened by: the clocks of this host and of the servers may differ,
// and an insert takes its time.
const windowMargin = time.Minute

// fewBlocks is a window that a busy table may fill within the minutes that a takeover takes.
const fewBlocks = 1000

// check finds out, before the first batch, whether the tables can keep what delivery promises. Under auto that is asked again
// with the first range.
func (w *Writer) check(ctx context.Context, l *cluster.Layout, columns []string) error {
	if err := w.opts.Cluster.CheckGrants(ctx, l, columns...); err != nil && !transient(err) {
		return fmt.Errorf("checking privileges: %w", err)
	}
	if w.opts.Delivery == DeliveryExactlyOnce {
		return w.checkExactly(ctx, l)
	}
	return nil
}

// checkExactly asks the tables for how long they recognise a block. Its error says what to run.
func (w *Writer) checkExactly(ctx context.Context, l *cluster.Layout) error {
	w.checkMu.Lock()
	defer w.checkMu.Unlock()
	if w.checked != nil && w.checked.SameShards(l) && w.checked.SameTable(l) {
		return nil
	}
	d, err := w.opts.Cluster.CheckDeduplication(ctx, l)
	if err != nil && !transient(err) {
		return &PermanentError{Err: fmt.Errorf("exactly-once delivery into %s: %w", w.sink, err)}
	}
	if err != nil {
		return &UnavailableError{Shards: []error{fmt.Errorf("checking that repeated blocks would be dropped: %w", err)}}
	}
	window := d.Window
	if window > 2*windowMargin {
		window -= windowMargin
	}
	w.window.Store(int64(window))
	w.checked = l
	if d.Blocks < fewBlocks {
		w.log.Warn("the table remembers few inserted blocks: a range that is finished after a crash may have been forgotten by then if other inserts are frequent; "+
			"raise replicated_deduplication_window or non_replicated_deduplication_window", "table", w.sink, "blocks", d.Blocks)
	}
	if t := w.target.Load(); !d.Replicated && t != nil && !t.traceable() {
		why, cure := "the table does not keep where rows come from", "add columns for @kafka_topic, @kafka_partition and @kafka_offset, or use a Replicated engine"
		if t.changes != nil {
			why, cure = "rows that collapse leave no trace", "use a Replicated engine, or write_mode replacing"
		}
		w.log.Warn("a server killed in the middle of an insert may remember a block that it lost, and "+why+", so this cannot be found out; "+cure, "table", w.sink)
	}
	w.checkViews(ctx, l)
	return nil
}

// checkViews warns of materialized views for which less is promised than for the table.
func (w *Writer) checkViews(ctx context.Context, l *cluster.Layout) {
	err := w.opts.Cluster.CheckViews(ctx, l)
	var problem *cluster.ViewError
	switch joined, ok := err.(interface{ Unwrap() []error }); {
	case err == nil:
	case ok && errors.As(err, &problem):
		for _, e := range joined.Unwrap() {
			w.log.Warn("less is promised for a materialized view than for its table", "table", w.sink, "reason", e)
		}
	default:
		w.log.Debug("materialized views could not be looked at", "table", w.sink, "error", err)
	}
}

// transient tells whether an error, or each that it joins, is only that a host could not be asked.
func transient(err error) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok && !isUnavailable(err) {
		for _, e := range joined.Unwrap() {
			if !transient(e) {
				return false
			}
		}
		return true
	}
	return !cluster.Fatal(err)
}

func isUnavailable(err error) bool {
	var unavailable *cluster.UnavailableError
	return errors.As(err, &unavailable)
}
