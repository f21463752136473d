package insert

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/delivery"
	"github.com/benthos-clickhouse/connect/internal/safety"
)

// writeRange is Write under exactly-once: claim the lease, take the layout that was promised before or promise one, and make sure
// that each block of the range is in its shard once.
func (w *Writer) writeRange(ctx context.Context, source Source, lease delivery.Lease) (_ Result, err error) {
	release, err := lease.Claim(w.sink)
	if err != nil {
		return Result{}, fmt.Errorf("writing %s: %w", lease.Range(), err)
	}
	defer func() { release(err) }()
	if err := w.checkExactly(ctx, w.opts.Cluster.Layout()); err != nil {
		return Result{}, err
	}
	j := &job{source: source, naming: rangeNaming(lease.Range().Name(), w.sink), lease: lease}
	before, pinned := lease.Pinned(w.sink)
	if j.layout, err = w.promised(ctx, before, pinned); err != nil {
		return Result{}, fmt.Errorf("writing %s: %w", lease.Range(), err)
	}
	r := &promise{w: w, j: j, prepared: before, pinned: pinned}
	err = w.run(ctx, j, r)
	r.remember()
	if err != nil {
		return w.finish(j, err)
	}
	w.commitSpooled(j)
	return w.finish(j, nil)
}

// promised is the layout that a range has to be written with.
func (w *Writer) promised(ctx context.Context, before delivery.Prepared, pinned bool) (*cluster.Layout, error) {
	if pinned && !safety.Off(safety.PinnedLayout) {
		return w.opts.Cluster.Resolve(before.Layout)
	}
	t, err := w.current(ctx)
	if err != nil {
		return nil, err
	}
	return t.layout.Pin(t.layout.Table.Replicated()), nil
}

// promise is the intent of one range.
type promise struct {
	w        *Writer
	j        *job
	prepared delivery.Prepared
	pinned   bool // recorded before this Write: blocks of it may have landed
}

// keep records the intent before the first block is sent, and holds every cut against it.
func (r *promise) keep(ctx context.Context, c *cut) error {
	if !r.pinned {
		if err := r.record(ctx, c); err != nil {
			return err
		}
	}
	if r.j.naming.again != 0 {
		return nil // the rest of a range that was looked up: its blocks have names of their own
	}
	if r.prepared.LookUp {
		return r.lookUp(ctx, c, errLookedUp)
	}
	first := r.prepared.Landed
	if !first.IsZero() && r.w.forgotten(first) {
		return r.lookUp(ctx, c, fmt.Errorf("%w: it was first sent %s ago", ErrHorizon, time.Since(first).Round(time.Second)))
	}
	if c.digest != r.prepared.Digest && !safety.Off(safety.Digest) {
		return r.lookUp(ctx, c, ErrCutChanged)
	}
	if !first.IsZero() {
		r.j.mayLand(first)
	}
	return nil
}

// confirm looks for the rows of blocks that were sent again to servers started since (see restart.go). What is not there is cut anew.
func (r *promise) confirm(ctx context.Context, c *cut) error {
	if !r.j.unsure {
		return nil
	}
	if _, err := r.settleLanded(ctx, c.target, c); err != nil {
		return err
	}
	if r.j.complete() {
		return nil
	}
	return r.lookUp(ctx, c, ErrRestarted)
}

// record asks the input to make the intent durable.
func (r *promise) record(ctx context.Context, c *cut) error {
	layout, err := r.j.layout.MarshalBinary()
	if err != nil {
		return fmt.Errorf("encoding the shard layout: %w", err)
	}
	if safety.Off(safety.Intents) {
		r.prepared, r.pinned = delivery.Prepared{Intent: delivery.Intent{Layout: layout, Digest: c.digest}, At: time.Now()}, true
		return nil
	}
	r.prepared, err = r.j.lease.Prepare(ctx, r.w.sink, delivery.Intent{Layout: layout, Digest: c.digest})
	if err != nil {
		return fmt.Errorf("recording the intent to write %s: %w", r.j.lease.Range(), err)
	}
	r.pinned = true
	return nil
}

// remember keeps, for the next attempt at the range, when the first block of it was sent, if one may have landed.
func (r *promise) remember() {
	r.j.mu.Lock()
	at, may := r.j.began, !r.j.ambiguous.IsZero() || len(r.j.landed) > 0
	r.j.mu.Unlock()
	if !may || at.IsZero() {
		return
	}
	r.j.lease.MayHaveLanded(r.w.sink, at)
	if r.prepared.Landed.IsZero() {
		r.prepared.Landed = at
	}
}

// lookUp finds the rows of the range that are in the tables already, where the tables keep where each row comes from, and has the
// others cut anew: under names that no block has had, because the server may or may not know the range's own.
func (r *promise) lookUp(ctx context.Context, c *cut, why error) error {
	if !c.target.traceable() {
		return &PermanentError{Err: fmt.Errorf("%s: %w", r.j.lease.Range(), why), Advice: adviceTrace(c.target)}
	}
	if err := r.recordLookUp(ctx); err != nil {
		return err
	}
	var sent *cut
	if errors.Is(why, ErrRestarted) {
		sent = c
	}
	found, err := r.settleLanded(ctx, c.target, sent)
	if err != nil {
		return err
	}
	r.w.log.Warn("range resolved by looking for its rows", "range", r.j.lease.Range().String(), "reason", why, "found", found, "missing", r.j.source.Len()-found)
	r.j.mu.Lock()
	r.j.ambiguous = time.Time{} // nothing has been sent under the names to come
	r.j.unsure = false
	r.j.mu.Unlock()
	r.j.naming.again = rand.Uint64() | 1
	return errCutAgain
}

// settleLanded looks for the range's rows and takes those that are in out of the job. sent is the cut whose blocks were sent under their names,
// if any.
func (r *promise) settleLanded(ctx context.Context, t *target, sent *cut) (found int, _ error) {
	seen, err := r.w.landed(ctx, t, r.j)
	if err != nil {
		return 0, err
	}
	if found, err = r.j.settleLanded(seen, sent); err != nil {
		return 0, &PermanentError{Err: err}
	}
	return found, nil
}

// lookUpSettle is how long a block of an earlier owner may be on its way that the server has not begun to insert: those that it
// has begun are waited for by name.
const lookUpSettle = 10 * time.Second

// errLookedUp is why a range is looked up that was before.
var errLookedUp = errors.New("an earlier attempt has looked for its rows")

// recordLookUp makes every later attempt at the range a look-up too, and waits until no earlier owner can be sending. Without the
// record, an attempt after this one that cuts as at first would send under names that this one passes by.
func (r *promise) recordLookUp(ctx context.Context) error {
	prepared, err := r.j.lease.LookUp(ctx, r.w.sink, lookUpSettle)
	if err != nil {
		return fmt.Errorf("recording that rows of %s are looked for: %w", r.j.lease.Range(), err)
	}
	r.prepared = prepared
	return nil
}

// errCutAgain has the rows that are not settled cut anew at once.
var errCutAgain = errors.New("to be cut again")

// lookUpWhenOld has a range looked up that was sent so long ago that the tables may have forgotten its blocks' names.
func (s *shipment) lookUpWhenOld() error {
	if s.j.lease == nil {
		return nil
	}
	first := s.j.firstSent()
	if first.IsZero() || !s.w.forgotten(first) {
		return nil
	}
	return fmt.Errorf("%w: %s has been tried for %s", ErrHorizon, s.j.lease.Range(), time.Since(first).Round(time.Second))
}

// forgotten tells whether a block sent then may no longer be recognised.
func (w *Writer) forgotten(sent time.Time) bool {
	window := time.Duration(w.window.Load())
	return window > 0 && time.Since(sent) > window
}
