package insert

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// pace holds the blocks of a shard back that has more than it can merge. All Writes share it: it is the shard that is slow, not one batch.
type pace struct {
	mu    sync.Mutex
	delay time.Duration // before each block; zero when the shard keeps up
	next  time.Time
}

// Bounds of the delay before each block of a slow shard.
const (
	firstDelay = time.Second
	endDelay   = 50 * time.Millisecond
)

// wait holds back until the shard may have its next block.
func (p *pace) wait(ctx context.Context) error {
	p.mu.Lock()
	var hold time.Duration
	if p.delay > 0 {
		now := time.Now()
		p.next = later(p.next, now)
		hold = p.next.Sub(now)
		p.next = p.next.Add(p.delay)
	}
	p.mu.Unlock()
	return sleep(ctx, hold)
}

// slower doubles the delay, up to most.
func (p *pace) slower(most time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = min(max(2*p.delay, firstDelay), most)
	p.next = later(p.next, time.Now().Add(p.delay))
}

// faster takes a quarter off the delay with each block that went in.
func (p *pace) faster() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.delay -= p.delay / 4; p.delay < endDelay {
		p.delay = 0
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// backoff is how long to wait after attempt n, from 1: it doubles, and half of it is random.
func (r Retries) backoff(n int) time.Duration {
	d := r.InitialInterval
	for ; n > 1 && d < r.MaxInterval; n-- {
		d *= 2
	}
	d = min(d, r.MaxInterval)
	return d/2 + rand.N(d/2+1)
}

// sleep waits, or until the context ends.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
