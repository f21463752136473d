package demo

import (
	"context"
	"sync"
	"time"

	"github.com/benthos-clickhouse/connect/tests/services"
)

// outage kills the node of the last shard in the middle of a run and starts it again.
type outage struct {
	node   *services.Node
	length time.Duration
	out    func(format string, args ...any)

	once    sync.Once
	running sync.WaitGroup
	mu      sync.Mutex
	down    bool
}

func newOutage(opts Options, s *Stack) *outage {
	nodes := s.nodes()
	return &outage{
		node: nodes[len(nodes)-1], length: opts.KillShard, down: opts.KillShard > 0,
		out: func(format string, args ...any) { say(opts.Out, format, args...) },
	}
}

// at is told how many rows have landed; past a third of them it kills the node, once.
func (o *outage) at(ctx context.Context, rows, total int64) {
	if o.length == 0 || rows < total/3 {
		return
	}
	o.once.Do(func() {
		o.running.Add(1)
		go func() {
			defer o.running.Done()
			o.out("\nKilling %s for %s …", o.node.Addr(), o.length)
			if err := o.node.Kill(); err != nil {
				o.out("killing %s: %v", o.node.Addr(), err)
			}
			select {
			case <-time.After(o.length):
			case <-ctx.Done():
			}
			// Not ctx: a cancelled run still wants its rows counted and its servers stopped in order.
			if err := o.node.Start(context.WithoutCancel(ctx)); err != nil {
				o.out("starting %s again: %v", o.node.Addr(), err)
			}
			o.mu.Lock()
			o.down = false
			o.mu.Unlock()
		}()
	})
}

// under tells whether the outage is still to come or not over yet.
func (o *outage) under() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.down
}

func (o *outage) wait() { o.running.Wait() }
