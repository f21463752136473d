package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/benthos-clickhouse/connect/clickhouse/insert"
)

// inserts records what a gatherer writes. Each write waits for a turn.
type inserts struct {
	mu    sync.Mutex
	sizes []int
	turns chan error
}

func (s *inserts) write(ctx context.Context, batch service.MessageBatch, _ bool) error {
	s.mu.Lock()
	s.sizes = append(s.sizes, len(batch))
	s.mu.Unlock()
	select {
	case err := <-s.turns:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *inserts) begun() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]int(nil), s.sizes...)
}

func messages(texts ...string) (batch service.MessageBatch) {
	for _, text := range texts {
		batch = append(batch, service.NewMessage([]byte(text)))
	}
	return batch
}

// adding starts n adds of one message each.
func adding(ctx context.Context, g *gatherer, n int) chan error {
	done := make(chan error, n)
	for i := range n {
		go func() { done <- g.add(ctx, messages(fmt.Sprint(i))) }()
	}
	return done
}

// waiting is how many members the open group has.
func (g *gatherer) waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open == nil {
		return 0
	}
	return len(g.open.members)
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 10*time.Second, time.Millisecond)
}

func TestAnIdleGathererSendsAtOnce(t *testing.T) {
	s := &inserts{turns: make(chan error, 3)}
	g := newGatherer(4, s.write)
	for range 3 {
		s.turns <- nil
		require.NoError(t, g.add(t.Context(), messages("a", "b")))
	}
	require.Equal(t, []int{2, 2, 2}, s.begun(), "nothing was waited for")
}

func TestBatchesThatComeMeanwhileAreOneInsert(t *testing.T) {
	s := &inserts{turns: make(chan error)}
	g := newGatherer(4, s.write)
	first := adding(t.Context(), g, 1)
	eventually(t, func() bool { return len(s.begun()) == 1 })
	others := adding(t.Context(), g, 50)
	eventually(t, func() bool { return g.waiting() == 50 })
	require.Len(t, s.begun(), 1, "one small insert at a time")
	s.turns <- nil
	require.NoError(t, <-first)
	down := errors.New("down")
	s.turns <- down
	for range 50 {
		require.ErrorIs(t, <-others, down, "each has the outcome of the insert it was in")
	}
	require.Equal(t, []int{1, 50}, s.begun())
}

func TestFullGroupsDoNotWaitForSmallOnes(t *testing.T) {
	s := &inserts{turns: make(chan error)}
	g := newGatherer(2, s.write)
	first := adding(t.Context(), g, 1)
	eventually(t, func() bool { return len(s.begun()) == 1 })
	large := make(service.MessageBatch, gatheredRows-1)
	for i := range large {
		large[i] = service.NewMessage(nil)
	}
	rest := make(chan error, 3)
	go func() { rest <- g.add(t.Context(), large) }()
	eventually(t, func() bool { return g.waiting() == 1 })
	require.Len(t, s.begun(), 1)
	go func() { rest <- g.add(t.Context(), messages("a", "b")) }() // one too many: the group before is full without it
	eventually(t, func() bool { return len(s.begun()) == 2 })
	require.Equal(t, []int{1, gatheredRows - 1}, s.begun())
	go func() { rest <- g.add(t.Context(), make(service.MessageBatch, 0, 1)) }()
	eventually(t, func() bool { return g.waiting() == 2 })
	for range 3 {
		s.turns <- nil
	}
	require.NoError(t, <-first)
	for range 3 {
		require.NoError(t, <-rest)
	}
}

func TestSlotsBoundTheInserts(t *testing.T) {
	s := &inserts{turns: make(chan error)}
	g := newGatherer(1, s.write)
	first := adding(t.Context(), g, 1)
	eventually(t, func() bool { return len(s.begun()) == 1 })
	alone := make(chan error, 1)
	var ran atomic.Bool
	go func() { alone <- g.alone(t.Context(), func() error { ran.Store(true); return nil }) }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, g.alone(ctx, func() error { return nil }), context.Canceled)
	require.False(t, ran.Load())
	s.turns <- nil
	require.NoError(t, <-first)
	require.NoError(t, <-alone)
}

// A row that can never be inserted must not hold up the batches of others.
func TestARejectedRowFailsItsOwnBatch(t *testing.T) {
	var writes atomic.Int32
	gate := make(chan struct{})
	g := newGatherer(4, func(_ context.Context, batch service.MessageBatch, _ bool) error {
		if writes.Add(1) == 1 {
			<-gate
		}
		for i, m := range batch {
			if text, _ := m.AsBytes(); string(text) == "7" {
				return fmt.Errorf("inserting: %w", &insert.RejectedError{Records: []insert.Rejection{{Index: i}}})
			}
		}
		return nil
	})
	first := make(chan error, 1)
	go func() { first <- g.add(t.Context(), messages("first")) }()
	eventually(t, func() bool { return writes.Load() == 1 })
	results := make([]error, 64)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() { results[i] = g.add(t.Context(), messages(fmt.Sprint(i))) })
	}
	eventually(t, func() bool { return g.waiting() == len(results) })
	close(gate)
	wg.Wait()
	require.NoError(t, <-first)
	for i, err := range results {
		if i == 7 {
			require.ErrorIs(t, err, insert.ErrRejected)
			continue
		}
		require.NoError(t, err)
	}
	require.Equal(t, int32(3), writes.Load(), "the others are inserted together")
}

func TestRejectedRecordsFindTheirBatches(t *testing.T) {
	var members []*member
	for _, batch := range []service.MessageBatch{messages("0", "1"), messages("2"), append(messages("3"), packedMessage()), messages("7")} {
		members = append(members, &member{batch: batch, done: make(chan error, 1)})
	}
	rejected := &insert.RejectedError{Records: []insert.Rejection{{Index: 6, Reason: "packed"}, {Index: 1, Reason: "second"}, {Index: 3, Reason: "single"}}}
	others := refuse(members, rejected, &failure{rejected, time.Minute})
	require.Equal(t, []*member{members[1], members[3]}, others)
	for i, want := range map[int]string{0: "1 of the batch's records .* record 1: second", 2: "2 of the batch's records .* record 3: packed"} {
		err := <-members[i].done
		var failed *failure
		require.ErrorAs(t, err, &failed)
		require.Equal(t, time.Minute, failed.wait, "it is not tried again at once")
		require.ErrorIs(t, err, insert.ErrRejected)
		require.Regexp(t, want, err.Error())
	}
}

func TestAGroupEndsWithItsLastMember(t *testing.T) {
	s := &inserts{turns: make(chan error)}
	g := newGatherer(4, s.write)
	first := adding(t.Context(), g, 1)
	eventually(t, func() bool { return len(s.begun()) == 1 })
	ctxA, leaveA := context.WithCancel(t.Context())
	ctxB, leaveB := context.WithCancel(t.Context())
	a, b := adding(ctxA, g, 1), adding(ctxB, g, 1)
	eventually(t, func() bool { return g.waiting() == 2 })
	leaveA()
	s.turns <- nil
	require.NoError(t, <-first)
	eventually(t, func() bool { return len(s.begun()) == 2 })
	leaveB()
	require.ErrorIs(t, <-a, context.Canceled)
	require.ErrorIs(t, <-b, context.Canceled)

	// One that waits for its turn, too; and the next batch does not join a group that was given up.
	again := adding(t.Context(), g, 1)
	eventually(t, func() bool { return len(s.begun()) == 3 })
	ctxC, leaveC := context.WithCancel(t.Context())
	c := adding(ctxC, g, 1)
	eventually(t, func() bool { return g.waiting() == 1 })
	leaveC()
	require.ErrorIs(t, <-c, context.Canceled)
	d := adding(t.Context(), g, 1)
	s.turns <- nil
	s.turns <- nil
	require.NoError(t, <-again)
	require.NoError(t, <-d)
	require.Equal(t, []int{1, 2, 1, 1}, s.begun())
}

// Whatever happens at the same time, a batch that was answered with success was inserted once, and none is without an answer.
func TestGatheringAtRandom(t *testing.T) {
	var mu sync.Mutex
	inserted := map[string]int{}
	broken := errors.New("broken")
	g := newGatherer(3, func(ctx context.Context, batch service.MessageBatch, _ bool) error {
		time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if rand.IntN(20) == 0 {
			return broken
		}
		mu.Lock()
		defer mu.Unlock()
		for _, m := range batch {
			text, _ := m.AsBytes()
			inserted[string(text)]++
		}
		return nil
	})
	const senders, batches = 32, 100
	var wg sync.WaitGroup
	acknowledged := make([]map[string]bool, senders)
	for s := range senders {
		acknowledged[s] = map[string]bool{}
		wg.Go(func() {
			for n := range batches {
				ctx, cancel := context.WithCancel(t.Context())
				if n%7 == 0 {
					time.AfterFunc(time.Duration(rand.IntN(300))*time.Microsecond, cancel)
				}
				one, two := fmt.Sprintf("%d-%d-a", s, n), fmt.Sprintf("%d-%d-b", s, n)
				if err := g.add(ctx, messages(one, two)); err == nil {
					acknowledged[s][one], acknowledged[s][two] = true, true
				}
				cancel()
			}
		})
	}
	wg.Wait()
	count := 0
	for _, of := range acknowledged {
		count += len(of)
		for name := range of {
			require.Equal(t, 1, inserted[name], name)
		}
	}
	require.Positive(t, count)
	require.Empty(t, g.slots)
	require.Empty(t, g.small)
	require.Zero(t, g.waiting())
}
