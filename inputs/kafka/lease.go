package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/benthos-clickhouse/connect/delivery"
)

// state is how far a range has come.
type state uint8

const (
	planned   state = iota // prepared by an earlier owner, its records not read again yet
	waiting                // cut, but ranges_in_flight others are under way
	ready                  // in the session's queue
	delivered              // with the pipeline
	returned               // the pipeline failed it; waits out its backoff
	done                   // acknowledged, and kept only while a lower range is not
)

// lease is one range of a partition from its cut to its commit. Its boundaries never change. Fields below rng are guarded by the session's mutex.
type lease struct {
	p   *partition
	rng delivery.Range

	state    state
	records  packed
	attempts int                // deliveries so far
	intents  map[string]*intent // by sink
	held     map[string]bool    // sinks with a write under way
	written  map[string]bool    // sinks whose write of this attempt succeeded
	gaveUp   map[string]bool    // sinks whose write of this attempt ended because the lease seemed lost
	ending   []func()           // what this attempt wants called once its end is committed
}

// intent is a delivery.Prepared on its way into Kafka: durable is closed once a commit that holds it was answered.
type intent struct {
	delivery.Prepared
	durable chan struct{}
	sent    bool  // part of a commit that was sent: it may be durable without our knowing, so it can no longer be taken back
	kept    bool  // Kafka holds an earlier form of it, which must not go before this one is there
	err     error // set before durable is closed: the intent can never be recorded
}

var closedChan = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// drop lets go of the records: they will not be delivered again.
func (l *lease) drop() {
	l.p.s.buffered -= l.records.held
	l.records = packed{}
}

func (i *intent) recorded() bool {
	select {
	case <-i.durable:
		return i.err == nil
	default:
		return false
	}
}

// fixed tells whether every commit has to hold the intent.
func (i *intent) fixed() bool { return i.sent || i.kept || i.recorded() }

// attempt is one delivery of a lease, and what the context of its messages carries. A write that still runs for an earlier attempt keeps its claim;
// one that starts late, after the range was delivered again, is refused.
type attempt struct {
	*lease
	n         int
	highWater int64 // end of the partition when the range was handed over
}

var _ delivery.Lease = attempt{}

// Range implements delivery.Lease.
func (a attempt) Range() delivery.Range { return a.rng }

// Claim implements delivery.Lease.
func (a attempt) Claim(sink string) (func(error), error) {
	s := a.p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case a.p.gone != nil:
		return nil, a.lostLocked()
	case a.n != a.attempts || a.state != delivered || a.held[sink]:
		return nil, fmt.Errorf("claiming %v for %s: %w", a.rng, sink, delivery.ErrClaimed)
	case a.written[sink]:
		return nil, fmt.Errorf("claiming %v for %s: %w", a.rng, sink, delivery.ErrAlreadyWritten)
	}
	a.held[sink] = true
	return func(err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(a.held, sink)
		if a.n == a.attempts {
			a.written[sink] = err == nil
			a.gaveUp[sink] = errors.Is(err, delivery.ErrLost)
		}
	}, nil
}

// Pinned implements delivery.Lease. An intent that an earlier attempt gave up waiting for may be durable by now: then its commit is waited for. One
// that no commit has held yet is withdrawn.
func (a attempt) Pinned(sink string) (delivery.Prepared, bool) {
	in := a.sentIntent(sink)
	if in == nil {
		return delivery.Prepared{}, false
	}
	select {
	case <-in.durable:
		return in.Prepared, in.err == nil
	case <-a.p.lost:
		return delivery.Prepared{}, false
	}
}

func (a attempt) sentIntent(sink string) *intent {
	s := a.p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	in := a.intents[sink]
	if in == nil || in.fixed() {
		return in
	}
	delete(a.intents, sink)
	return nil
}

// Prepare implements delivery.Lease.
func (a attempt) Prepare(ctx context.Context, sink string, wanted delivery.Intent) (delivery.Prepared, error) {
	in, err := a.record(sink, wanted)
	if err != nil {
		return delivery.Prepared{}, err
	}
	return a.await(ctx, sink, in)
}

// LookUp implements delivery.Lease.
func (a attempt) LookUp(ctx context.Context, sink string, settle time.Duration) (delivery.Prepared, error) {
	in, err := a.recordLookUp(sink)
	if err != nil {
		return delivery.Prepared{}, err
	}
	prepared, err := a.await(ctx, sink, in)
	if err != nil || !prepared.Recovered {
		return prepared, err
	}
	// Whoever had the partition before us may have checked its lease up to a session timeout after we got it.
	silent := a.p.since + a.p.s.cfg.sessionTimeout + settle - a.p.s.pulse.now()
	wait := time.NewTimer(max(silent, 0))
	defer wait.Stop()
	select {
	case <-wait.C:
		return prepared, a.Alive()
	case <-a.p.lost:
		return delivery.Prepared{}, a.Alive()
	case <-ctx.Done():
		return delivery.Prepared{}, fmt.Errorf("waiting for earlier owners of %v: %w", a.rng, ctx.Err())
	}
}

// MayHaveLanded implements delivery.Lease.
func (a attempt) MayHaveLanded(sink string, at time.Time) {
	s := a.p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if in := a.intents[sink]; in != nil && (in.Landed.IsZero() || at.Before(in.Landed)) {
		in.Landed = at
	}
}

// OnCommitted implements delivery.Lease.
func (a attempt) OnCommitted(f func()) {
	s := a.p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.n == a.attempts && a.state == delivered {
		a.ending = append(a.ending, f)
	}
}

// recordLookUp has the look-up recorded with the intent, unless it is already. There has to be an intent.
func (a attempt) recordLookUp(sink string) (*intent, error) {
	s := a.p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.p.gone != nil {
		return nil, a.lostLocked()
	}
	old := a.intents[sink]
	if old == nil || !old.recorded() {
		return nil, fmt.Errorf("looking up rows of %v for %s: no intent is recorded", a.rng, sink)
	}
	if old.LookUp {
		return old, nil
	}
	// It takes the place of an intent that Kafka holds, and is no longer: there is room for it.
	in := &intent{Prepared: old.Prepared, durable: make(chan struct{}), kept: true}
	in.LookUp = true
	a.intents[sink] = in
	s.touchLocked(a.p)
	return in, nil
}

// await returns once a commit that holds the intent was answered.
func (a attempt) await(ctx context.Context, sink string, in *intent) (delivery.Prepared, error) {
	select {
	case <-in.durable:
		if in.err != nil {
			return delivery.Prepared{}, fmt.Errorf("preparing %v for %s: %w", a.rng, sink, in.err)
		}
		return in.Prepared, a.Alive()
	case <-a.p.lost:
		return delivery.Prepared{}, a.Alive()
	case <-ctx.Done():
		return delivery.Prepared{}, fmt.Errorf("preparing %v for %s: %w", a.rng, sink, ctx.Err())
	}
}

// record hands the intent to the committer, or finds the one that is there already: the first layout a range was tried with is the one it keeps.
func (a attempt) record(sink string, wanted delivery.Intent) (*intent, error) {
	s := a.p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.p.gone != nil {
		return nil, a.lostLocked()
	}
	if a.n != a.attempts || a.state != delivered {
		return nil, fmt.Errorf("preparing %v for %s: %w", a.rng, sink, delivery.ErrClaimed)
	}
	if in := a.intents[sink]; in != nil && (in.err == nil) {
		return in, nil
	}
	in := &intent{
		Prepared: delivery.Prepared{Intent: wanted, At: time.Now().Truncate(time.Second)},
		durable:  make(chan struct{}),
	}
	if a.intents == nil {
		a.intents = map[string]*intent{}
	}
	a.intents[sink] = in
	s.touchLocked(a.p)
	return in, nil
}

// Alive implements delivery.Lease.
func (a attempt) Alive() error {
	if a.p.isLost() {
		s := a.p.s
		s.mu.Lock()
		defer s.mu.Unlock()
		return a.lostLocked()
	}
	if silent := a.p.s.pulse.silence(); silent > a.p.s.cfg.sessionTimeout {
		return fmt.Errorf("checking %v: no heartbeat was answered for %v: %w", a.rng, silent.Round(time.Millisecond), delivery.ErrLost)
	}
	return nil
}

// givenUp tells whether a write ended because the lease seemed lost, and none has succeeded since.
func (l *lease) givenUp() bool {
	for _, gaveUp := range l.gaveUp {
		if gaveUp {
			return true
		}
	}
	return false
}

func (a attempt) lostLocked() error {
	return fmt.Errorf("%v: %w (%w)", a.rng, delivery.ErrLost, a.p.gone)
}
