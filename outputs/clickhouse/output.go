package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/clickhouse/insert"
	"github.com/benthos-clickhouse/connect/clickhouse/spool"
	"github.com/benthos-clickhouse/connect/delivery"
	"github.com/benthos-clickhouse/connect/internal/benthoslog"
)

func init() {
	service.MustRegisterBatchOutput("clickhouse_native", spec(), func(conf *service.ParsedConfig, mgr *service.Resources) (service.BatchOutput, service.BatchPolicy, int, error) {
		policy, err := conf.FieldBatchPolicy(choFieldBatching)
		if err != nil {
			return nil, policy, 0, err
		}
		inFlight, err := conf.FieldMaxInFlight()
		if err != nil {
			return nil, policy, 0, err
		}
		if inFlight < 1 {
			return nil, policy, 0, &cluster.ConfigError{Field: choFieldMaxInFlight, Reason: "must be at least 1"}
		}
		o, err := newOutput(conf, mgr, inFlight)
		if err != nil {
			return nil, policy, 0, err
		}
		if gathers(policy, inFlight) {
			o.gather = newGatherer(inFlight, o.writeGathered)
			return o, policy, gatheredBatches, nil
		}
		return o, policy, inFlight, nil
	})
}

// Time limits of what has no context with an end of its own.
const (
	firstLook = 5 * time.Second  // at the servers, before the pipeline starts
	closing   = 10 * time.Second // child outputs and connections
)

// output is the glue between the engine of Benthos and a Writer.
type output struct {
	conf       *config
	log        *service.Logger
	deadLetter *deadLetter // nil without one
	alerts     *alerts     // nil without an output for them
	metrics    *metrics
	gather     *gatherer // nil where batches are written as they come

	mu      sync.Mutex // one Connect at a time
	cluster *cluster.Cluster
	writer  atomic.Pointer[insert.Writer]
	failed  atomic.Int32 // writes that failed in a row, for their backoff
}

func newOutput(conf *service.ParsedConfig, mgr *service.Resources, inFlight int) (*output, error) {
	c, err := parseConfig(conf)
	if err != nil {
		return nil, err
	}
	c.cluster.MaxConns = max(16, 2*inFlight)
	c.insert.Writes = inFlight
	o := &output{conf: c, log: mgr.Logger()}
	if c.spoolPath != "" {
		if c.insert.Spool, err = spool.Open(c.spoolPath, c.spoolMax); err != nil {
			return nil, &cluster.ConfigError{Field: "spool.path", Reason: err.Error()}
		}
	}
	if err := o.childOutputs(conf); err != nil {
		return nil, err
	}
	o.metrics = newMetrics(mgr.Metrics(), o.alerts)
	c.insert.Observer = o.metrics
	c.insert.KeepRejected = o.deadLetter != nil
	if err := o.lookBefore(); err != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closing)
		defer cancel()
		return nil, errors.Join(err, o.closeChildren(ctx))
	}
	return o, nil
}

// childOutputs makes and starts the outputs within this one.
func (o *output) childOutputs(conf *service.ParsedConfig) error {
	letters, err := childOutput(conf, choFieldDeadLetter)
	if err != nil {
		return err
	}
	if letters != nil {
		if err := letters.Prime(); err != nil {
			return fmt.Errorf("field `dead_letter`: %w", err)
		}
		o.deadLetter = &deadLetter{out: letters, log: o.log, retries: o.conf.insert.Retries}
	}
	told, err := childOutput(conf, choFieldAlert)
	if err != nil || told == nil {
		return err
	}
	if err := told.PrimeBuffered(waiting); err != nil {
		return fmt.Errorf("field `alert`: %w", err)
	}
	o.alerts = &alerts{out: told, log: o.log, table: o.conf.cluster.Database + "." + o.conf.cluster.Table}
	return nil
}

// childOutput is nil when the field is absent or empty.
func childOutput(conf *service.ParsedConfig, field string) (*service.OwnedOutput, error) {
	if !conf.Contains(field) {
		return nil, nil
	}
	raw, err := conf.FieldAny(field)
	if err != nil {
		return nil, fmt.Errorf("field `%s`: %w", field, err)
	}
	if m, ok := raw.(map[string]any); ok && len(m) == 0 || raw == nil {
		return nil, nil
	}
	out, err := conf.FieldOutput(field)
	if err != nil {
		return nil, fmt.Errorf("field `%s`: %w", field, err)
	}
	return out, nil
}

// lookBefore refuses, before the pipeline starts, what the servers say cannot work. Servers that do not answer are no reason to
// refuse: Connect waits for them.
func (o *output) lookBefore() error {
	ctx, cancel := context.WithTimeout(context.Background(), firstLook)
	defer cancel()
	c, w, err := o.open(ctx, nil) // what is found is told when the pipeline connects
	if err == nil {
		w.Close()
		return c.Close()
	}
	if permanent(err) {
		return oneLineError{err}
	}
	return nil
}

// oneLineError shows an error that joins several as a log or a terminal wants it.
type oneLineError struct{ error }

func (e oneLineError) Error() string { return strings.ReplaceAll(e.error.Error(), "\n", "; ") }

func (e oneLineError) Unwrap() error { return e.error }

// open connects to the cluster and prepares the writer.
func (o *output) open(ctx context.Context, log *slog.Logger) (*cluster.Cluster, *insert.Writer, error) {
	conf := o.conf.cluster
	conf.Logger = log
	c, err := cluster.Open(ctx, conf)
	if err != nil {
		return nil, nil, err
	}
	opts := o.conf.insert
	opts.Cluster, opts.Logger = c, log
	w, err := insert.Open(ctx, opts)
	if err != nil {
		_ = c.Close()
		return nil, nil, err
	}
	return c, w, nil
}

// permanent tells whether an error will be the same until somebody changes something.
func permanent(err error) bool {
	var p *insert.PermanentError
	return errors.As(err, &p) || cluster.Fatal(err)
}

// Connect discovers the cluster the first time; later it finds out whether every shard can be written again.
func (o *output) Connect(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if w := o.writer.Load(); w != nil {
		if err := w.Ready(ctx); err != nil {
			return oneLineError{err}
		}
		return nil
	}
	c, w, err := o.open(ctx, benthoslog.New(o.log))
	if err != nil {
		if permanent(err) {
			return o.stop(err)
		}
		return fmt.Errorf("waiting for ClickHouse: %w", oneLineError{err})
	}
	o.cluster = c
	o.writer.Store(w)
	return nil
}

// stop ends the pipeline with one line that says why.
func (o *output) stop(err error) error {
	o.log.Errorf("Stopping, because no retry can cure this: %v", oneLineError{err})
	return service.ErrEndOfInput
}

// WriteBatch inserts a batch. It answers for the whole of it or not at all: since Benthos restores contexts by position, an error
// about single messages could be taken for one about others.
func (o *output) WriteBatch(ctx context.Context, batch service.MessageBatch) error {
	shares := byLease(batch)
	var err error
	switch {
	case o.gather == nil:
		err = o.writeAll(ctx, shares)
	case len(shares) == 1 && shares[0].lease == nil:
		err = o.gather.add(ctx, batch)
	default: // ranges are large enough, and their blocks have names of their own
		err = o.gather.alone(ctx, func() error { return o.writeAll(ctx, shares) })
	}
	var failed *failure
	if errors.As(err, &failed) {
		_ = pause(ctx, failed.wait)
		return failed.err
	}
	return err
}

// writeGathered inserts a batch that is made of several ones, or of one. The engine knows of several no more than that each is under way, so
// while the servers cannot be reached they are kept together: what some shards have of them already is recognised only then.
func (o *output) writeGathered(ctx context.Context, batch service.MessageBatch, several bool) error {
	for {
		err := o.writeAll(ctx, []share{{batch: batch}})
		if !several || !errors.Is(err, service.ErrNotConnected) {
			return err
		}
		if err := o.reachable(ctx); err != nil {
			return err
		}
	}
}

// reachable waits until every shard can be written.
func (o *output) reachable(ctx context.Context) error {
	for wait := o.conf.insert.Retries.InitialInterval; ; wait = min(2*wait, o.conf.insert.Retries.MaxInterval) {
		if err := pause(ctx, wait); err != nil {
			return err
		}
		w := o.writer.Load()
		if w == nil {
			return service.ErrNotConnected
		}
		if w.Ready(ctx) == nil {
			return nil
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// judge turns the error of a write into what the engine understands.
func (o *output) judge(ctx context.Context, err error) error {
	var unavailable *insert.UnavailableError
	switch {
	case ctx.Err() != nil, errors.Is(err, delivery.ErrClaimed), errors.Is(err, delivery.ErrAlreadyWritten):
		return err
	case errors.As(err, &unavailable):
		o.log.Warnf("%v", err)
		return service.ErrNotConnected
	case permanent(err):
		// Nothing goes on until somebody acts. The engine has no way to end a pipeline from here: each of its goroutines would have to
		// be given a batch to answer for.
		return &failure{oneLineError{err}, o.conf.insert.Retries.MaxInterval}
	}
	wait := o.conf.insert.Retries.MaxInterval
	if n := o.failed.Add(1); n < 16 {
		wait = min(o.conf.insert.Retries.InitialInterval<<(n-1), wait)
	}
	return &failure{oneLineError{err}, wait}
}

// failure is an error that is answered with after a while: the engine has no backoff of its own for writes that fail.
type failure struct {
	err  error
	wait time.Duration
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// share is the part of a batch that was made from one range, or that has none.
type share struct {
	batch service.MessageBatch
	lease *heldLease // nil without one
}

// byLease takes a batch apart at the borders of ranges: a batching policy may have put several into one.
func byLease(batch service.MessageBatch) []share {
	var shares []share
	var last context.Context
	var lease delivery.Lease
	start := 0
	for i, m := range batch {
		if ctx := m.Context(); ctx != last || i == 0 {
			l := delivery.FromContext(ctx)
			if i > 0 && l != lease {
				shares = append(shares, newShare(batch[start:i], lease))
				start = i
			}
			last, lease = ctx, l
		}
	}
	return append(shares, newShare(batch[start:], lease))
}

func newShare(batch service.MessageBatch, l delivery.Lease) share {
	if l == nil {
		return share{batch: batch}
	}
	return share{batch: batch, lease: &heldLease{Lease: l}}
}

// heldLease is released when all of the batch is decided, dead letters included: the batch is delivered again as a whole.
type heldLease struct {
	delivery.Lease
	release func(error)
}

// Claim keeps the release for later.
func (h *heldLease) Claim(sink string) (func(error), error) {
	release, err := h.Lease.Claim(sink)
	if err != nil {
		return nil, err
	}
	h.release = release
	return func(error) {}, nil
}

// writeAll writes the shares side by side, and lets go of their leases with the result.
func (o *output) writeAll(ctx context.Context, shares []share) error {
	w := o.writer.Load()
	if w == nil {
		return service.ErrNotConnected
	}
	err := o.writeShares(ctx, w, shares)
	if err != nil {
		return o.judge(ctx, err)
	}
	o.failed.Store(0)
	return nil
}

func (o *output) writeShares(ctx context.Context, w *insert.Writer, shares []share) error {
	errs := make([]error, len(shares))
	var wg sync.WaitGroup
	for i := range shares[1:] {
		wg.Go(func() { errs[i+1] = o.write(ctx, w, shares[i+1]) })
	}
	errs[0] = o.write(ctx, w, shares[0])
	wg.Wait()
	err := together(errs)
	for i, s := range shares {
		if s.lease == nil || s.lease.release == nil {
			continue
		}
		if err == nil {
			s.lease.release(errs[i])
		} else {
			s.lease.release(err)
		}
	}
	return err
}

// together is the batch's result. A range whose lease is lost is no failure: it is for its next owner to write, nothing that is done
// here could change that, and an engine that repeats failed writes for ever, as the one behind `broker: fan_out` does, would hold
// up everything else. The input does not take it for written, since the lease was released with the loss.
func together(errs []error) error {
	for _, err := range errs {
		if err != nil && !errors.Is(err, delivery.ErrLost) {
			return errors.Join(errs...)
		}
	}
	return nil
}

func (o *output) write(ctx context.Context, w *insert.Writer, s share) error {
	var lease delivery.Lease
	if s.lease != nil {
		lease = s.lease
	}
	src, err := newSource(s.batch, lease, o.conf.wants, o.conf.computed, o.conf.operation)
	if err != nil {
		return err
	}
	result, err := w.Write(ctx, src, lease)
	if err != nil {
		return err
	}
	if len(result.Rejected) > 0 {
		return o.deadLetter.write(ctx, src, result.Rejected)
	}
	return nil
}

// ConnectionTest is what `connect dry-run` and the API ask.
func (o *output) ConnectionTest(ctx context.Context) service.ConnectionTestResults {
	c, w, err := o.open(ctx, nil)
	if err != nil {
		return service.ConnectionTestFailed(err).AsList()
	}
	defer func() {
		w.Close()
		_ = c.Close()
	}()
	if err := w.Ready(ctx); err != nil {
		return service.ConnectionTestFailed(err).AsList()
	}
	return service.ConnectionTestSucceeded().AsList()
}

// Close ends connections and child outputs. The engine gives it a context without an end.
func (o *output) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, closing)
	defer cancel()
	o.mu.Lock()
	defer o.mu.Unlock()
	var errs []error
	if w := o.writer.Swap(nil); w != nil {
		w.Close()
	}
	if o.cluster != nil {
		errs = append(errs, o.cluster.Close())
		o.cluster = nil
	}
	return errors.Join(append(errs, o.closeChildren(ctx))...)
}

// closeChildren ends the outputs within this one.
func (o *output) closeChildren(ctx context.Context) error {
	var errs []error
	if o.deadLetter != nil {
		errs = append(errs, o.deadLetter.out.Close(ctx))
	}
	if o.alerts != nil {
		errs = append(errs, o.alerts.out.Close(ctx))
	}
	return errors.Join(errs...)
}
