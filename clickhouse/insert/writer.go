package insert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	ch "github.com/ClickHouse/ch-go"
	"github.com/google/uuid"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/delivery"
	"github.com/benthos-clickhouse/connect/internal/safety"
)

// Writer inserts batches into the local tables of one cluster. It is safe for concurrent use.
type Writer struct {
	opts Options
	log  *slog.Logger
	sink string

	target   atomic.Pointer[target]
	targetMu sync.Mutex // one change of the target at a time
	sequence atomic.Int64
	base     []ch.Setting // of every INSERT, but for the block's name

	pacesMu sync.Mutex
	paces   map[int]*pace

	checkMu sync.Mutex
	checked *cluster.Layout // the layout whose tables are known to drop repeated blocks
	window  atomic.Int64    // for how long they do, in nanoseconds; 0: for ever

	zonesMu sync.Mutex
	zones   string // that were warned of

	evolution      evolution
	manyBlocks     sync.Once
	unfinished     unfinished
	collapsingOnce sync.Once // a warning

	closed atomic.Bool
}

// Open prepares the insertion into the cluster's table: its columns are planned, its sharding expression is bound and proved
// equal to the server's. Errors that nothing but a change elsewhere can cure are a *PermanentError, or cluster.Fatal.
func Open(ctx context.Context, opts Options) (*Writer, error) {
	opts.setDefaults()
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	l := opts.Cluster.Layout()
	w := &Writer{opts: opts, log: opts.Logger, sink: opts.Sink, paces: map[int]*pace{}}
	if w.sink == "" {
		w.sink = l.Table.Database + "." + l.Table.Name
	}
	w.base = baseSettings(opts.Settings)
	t, err := w.newTarget(ctx, l)
	if err != nil {
		return nil, fmt.Errorf("preparing inserts into %s.%s: %w", l.Table.Database, l.Table.Name, err)
	}
	w.target.Store(t)
	if err := w.check(ctx, l, t.plan.Columns()); err != nil {
		return nil, err
	}
	return w, nil
}

// Close makes every further Write fail. Writes under way end with their contexts.
func (w *Writer) Close() { w.closed.Store(true) }

// Write inserts a batch and returns when every shard has acknowledged, or nothing is left to try. lease is the right to insert
// the range that the batch is, or nil.
//
// On an error some shards may have the batch's rows, others not. Under exactly-once the same batch can be written again without
// doubling any; under at-least-once rows that had been acknowledged may be doubled then (see resume.go).
func (w *Writer) Write(ctx context.Context, source Source, lease delivery.Lease) (Result, error) {
	if w.closed.Load() {
		return Result{}, ErrClosed
	}
	if source.Len() == 0 {
		return Result{}, nil
	}
	switch w.opts.Delivery {
	case DeliveryAtLeastOnce:
		lease = nil
	case DeliveryExactlyOnce:
		if lease == nil {
			return Result{}, &PermanentError{Err: ErrNoLease}
		}
	}
	if lease != nil {
		return w.writeRange(ctx, source, lease)
	}
	t, err := w.current(ctx)
	if err != nil {
		return Result{}, err
	}
	j := w.resume(t, source)
	if err = w.run(ctx, j, nil); err != nil {
		w.keepProgress(j)
	}
	return w.finish(j, err)
}

// finish makes the answer of a Write.
func (w *Writer) finish(j *job, err error) (Result, error) {
	if err != nil {
		return Result{}, unavailable(err)
	}
	if n := len(j.result.Rejected); n > 0 {
		w.opts.Observer.Rejected(n)
		slices.SortFunc(j.result.Rejected, func(a, b Rejection) int { return a.Index - b.Index })
	}
	return j.result, nil
}

// run cuts and sends the batch, again and again while its table changes under it. Under exactly-once r holds every cut against what
// was promised before anything of it is sent; otherwise it is nil.
func (w *Writer) run(ctx context.Context, j *job, r *promise) error {
	for {
		t, err := w.current(ctx)
		if err != nil {
			return err
		}
		err = w.runOnce(ctx, j, t, r)
		var stale *staleError
		switch {
		case errors.Is(err, errCutAgain):
			continue
		case r != nil && errors.Is(err, ErrRestarted):
			r.remember()
			j.unsure = true
			continue
		case !errors.As(err, &stale):
			return err
		}
		j.whole = false
		j.naming.again = 0 // the rest of a range would be cut into other blocks under the same names: it is looked up once more
		if j.cuts++; j.cuts >= w.opts.Retries.MaxAttempts {
			return stale.err
		}
		w.log.Info("the table's columns changed, reading them again", "table", w.sink, "error", stale.err)
		if err := w.refresh(ctx, t); err != nil {
			w.log.Warn("the table's columns could not be read", "table", w.sink, "error", err)
		}
		if err := sleep(ctx, w.opts.Retries.backoff(j.cuts)); err != nil {
			return err
		}
	}
}

// runOnce makes one cut and sends what of it is not in yet.
func (w *Writer) runOnce(ctx context.Context, j *job, t *target, r *promise) error {
	c, err := w.cut(j, t)
	if err != nil {
		return err
	}
	defer func() {
		c.release()
		j.release(t)
	}()
	if w.evolve(ctx, c) {
		j.startOver()
		return errCutAgain
	}
	if j.whole && (j.digest != c.digest || !j.fits(c)) {
		j.startOver() // a mapping answered otherwise, or the blocks were bounded otherwise
		return errCutAgain
	}
	j.target, j.digest = t, c.digest
	if len(j.result.Rejected) > 0 && !w.opts.KeepRejected {
		return &RejectedError{Records: j.result.Rejected}
	}
	if r != nil {
		if err := r.keep(ctx, c); err != nil {
			return err
		}
	}
	if err := w.trySplit(ctx, j, c); err != nil {
		return err
	}
	if err := w.send(ctx, j, c); err != nil || r == nil {
		return err
	}
	return r.confirm(ctx, c)
}

// current is the target for the cluster's present layout, made anew when that has changed.
func (w *Writer) current(ctx context.Context) (*target, error) {
	t := w.target.Load()
	if l := w.opts.Cluster.Layout(); l == t.source && !w.spaceIsOld(t) {
		return t, nil
	}
	w.targetMu.Lock()
	defer w.targetMu.Unlock()
	t = w.target.Load()
	l := w.opts.Cluster.Layout()
	if l == t.source && !w.spaceIsOld(t) {
		return t, nil
	}
	next, err := w.newTarget(ctx, l)
	if err != nil {
		return nil, fmt.Errorf("taking up the changed table %s: %w", w.sink, err)
	}
	w.target.Store(next)
	return next, nil
}

// refresh reads the topology and the columns again, unless that has been done since t.
func (w *Writer) refresh(ctx context.Context, t *target) error {
	if w.target.Load() != t {
		return nil
	}
	_, err := w.opts.Cluster.Refresh(ctx)
	return err
}

// Ready tells whether each shard that rows may go to has a replica that can be used; the error says what is waited for.
func (w *Writer) Ready(ctx context.Context) error {
	l := w.opts.Cluster.Layout()
	var missing []error
	for i := range l.Shards {
		if l.Shards[i].Weight == 0 {
			continue
		}
		conn, err := w.opts.Cluster.Acquire(ctx, l, i)
		if err != nil {
			missing = append(missing, err)
			continue
		}
		conn.Release(nil)
	}
	if len(missing) > 0 {
		return &UnavailableError{Shards: missing}
	}
	return nil
}

// unavailable turns the failure of shards that could not be reached, and nothing else, into an *UnavailableError.
func unavailable(err error) error {
	failed := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		failed = joined.Unwrap()
	}
	var shard *ShardError
	var permanent *PermanentError
	for _, e := range failed {
		if !errors.As(e, &shard) || errors.As(e, &permanent) || ch.IsException(e) || errors.Is(e, delivery.ErrLost) {
			return err
		}
	}
	return &UnavailableError{Shards: failed}
}

// pace is what all Writes share about a shard.
func (w *Writer) pace(shard int) *pace {
	w.pacesMu.Lock()
	defer w.pacesMu.Unlock()
	p, ok := w.paces[shard]
	if !ok {
		p = new(pace)
		w.paces[shard] = p
	}
	return p
}

// baseSettings are those of every INSERT. What they are for stands in options.go, at owned. Settings that older servers do not know
// are not marked as important, so that these pass them over.
func baseSettings(extra map[string]string) []ch.Setting {
	settings := []ch.Setting{
		{Key: "async_insert", Value: "0", Important: true},
		{Key: "insert_deduplicate", Value: "1", Important: true},
		{Key: "deduplicate_insert", Value: "enable"}, // since 26.x, over insert_deduplicate
		{Key: "deduplicate_blocks_in_dependent_materialized_views", Value: "1", Important: true},
		{Key: "max_partitions_per_insert_block", Value: "0", Important: true},
		{Key: "min_insert_block_size_rows", Value: "0", Important: true},
		{Key: "min_insert_block_size_bytes", Value: "0", Important: true},
		{Key: "max_insert_block_size", Value: maxRows, Important: true},
		{Key: "max_insert_block_size_rows", Value: maxRows}, // since 26.x, its new name
		{Key: "max_insert_block_size_bytes", Value: "0"},
		// An INSERT that a profile lets "break" at max_execution_time is acknowledged without its rows.
		{Key: "timeout_overflow_mode", Value: "throw", Important: true},
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		settings = append(settings, ch.Setting{Key: name, Value: extra[name], Important: true})
	}
	return settings
}

// maxRows is more rows than a block of ours has, so that the server never cuts one.
const maxRows = "4294967295"

// settings are those of the INSERT of the block with this name.
func (w *Writer) settings(name string) []ch.Setting {
	if name == "" {
		return w.base
	}
	if safety.Off(safety.BlockNames) {
		name = uuid.NewString()
	}
	return append(w.base[:len(w.base):len(w.base)], ch.Setting{Key: "insert_deduplication_token", Value: name, Important: true})
}
