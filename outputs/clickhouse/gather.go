package clickhouse

import (
	"context"
	"errors"
	"sort"
	"sync"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/benthos-clickhouse/connect/clickhouse/insert"
)

// Bounds of what is gathered into one insert.
const (
	gatheredRows  = 100_000
	gatheredBytes = 16 << 20
)

// gatheredBatches is how many batches the engine hands over at the same time, so that there is something to gather. Each of them has a
// goroutine of the engine.
const gatheredBatches = 1024

// gatherer makes one insert of the batches that come while another one is under way. A batch that finds none is sent at once: it waits
// for nothing that may never come, and inserts grow with the load by themselves.
type gatherer struct {
	write func(ctx context.Context, batch service.MessageBatch, several bool) error

	slots chan struct{} // one for each insert under way, max_in_flight at most
	small chan struct{} // the right to send a group that is not full: one at a time, for the next one to grow meanwhile

	mu   sync.Mutex
	open *group // takes batches
}

// group is batches that become one insert.
type group struct {
	ctx    context.Context // ends when those of all members have
	cancel context.CancelFunc
	full   chan struct{} // closed when nothing more fits

	members []*member
	present int // members whose contexts have not ended
	rows    int
	bytes   int
}

type member struct {
	batch service.MessageBatch
	done  chan error
}

// gathers tells whether batches are to be put together by themselves: no policy does it, and their order need not be kept.
func gathers(policy service.BatchPolicy, inFlight int) bool {
	return policy.IsNoop() && policy.Count == 0 && inFlight > 1
}

func newGatherer(inFlight int, write func(ctx context.Context, batch service.MessageBatch, several bool) error) *gatherer {
	return &gatherer{write: write, slots: make(chan struct{}, inFlight), small: make(chan struct{}, 1)}
}

// add writes a batch together with others, and returns what became of the insert that it was part of. When ctx ends, the insert goes on as long
// as others wait for it, and the answer is awaited: nobody else may use the messages meanwhile.
func (g *gatherer) add(ctx context.Context, batch service.MessageBatch) error {
	m := &member{batch: batch, done: make(chan error, 1)}
	in := g.join(ctx, m)
	stop := context.AfterFunc(ctx, func() { g.leave(in) })
	defer stop()
	return <-m.done
}

// alone runs a write that is not to be gathered, when there is a slot for it.
func (g *gatherer) alone(ctx context.Context, write func() error) error {
	if err := enter(ctx, g.slots); err != nil {
		return err
	}
	defer func() { <-g.slots }()
	return write()
}

func enter(ctx context.Context, room chan struct{}) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case room <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *gatherer) join(ctx context.Context, m *member) *group {
	rows, bytes := len(m.batch), sizeOf(m.batch)
	g.mu.Lock()
	defer g.mu.Unlock()
	if in := g.open; in != nil && (in.rows+rows > gatheredRows || in.bytes+bytes > gatheredBytes) {
		g.fill(in)
	}
	if g.open == nil {
		in := &group{full: make(chan struct{})}
		in.ctx, in.cancel = context.WithCancel(context.WithoutCancel(ctx))
		g.open = in
		go g.run(in)
	}
	in := g.open
	in.members = append(in.members, m)
	in.present++
	in.rows += rows
	in.bytes += bytes
	if in.rows >= gatheredRows || in.bytes >= gatheredBytes {
		g.fill(in)
	}
	return in
}

// fill lets the open group go as soon as there is a slot. It must be called with mu held.
func (g *gatherer) fill(in *group) {
	close(in.full)
	g.open = nil
}

// leave gives up on a group that nobody waits for any more.
func (g *gatherer) leave(in *group) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if in.present--; in.present > 0 {
		return
	}
	in.cancel()
	if g.open == in {
		g.open = nil
	}
}

// shut returns the members of a group that takes no more of them.
func (g *gatherer) shut(in *group) []*member {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open == in {
		g.open = nil
	}
	return in.members
}

func (g *gatherer) run(in *group) {
	defer in.cancel()
	select {
	case g.small <- struct{}{}:
		defer func() { <-g.small }()
	case <-in.full:
	case <-in.ctx.Done():
	}
	if err := enter(in.ctx, g.slots); err != nil {
		answer(g.shut(in), err)
		return
	}
	defer func() { <-g.slots }()
	g.send(in.ctx, g.shut(in))
}

// send inserts what the members have. A row that cannot be inserted fails the batch that it came with, and no other.
func (g *gatherer) send(ctx context.Context, members []*member) {
	for len(members) > 0 {
		err := g.write(ctx, joined(members), len(members) > 1)
		var rejected *insert.RejectedError
		if len(members) == 1 || !errors.As(err, &rejected) {
			answer(members, err)
			return
		}
		members = refuse(members, rejected, err)
	}
}

// refuse answers the members that the rejected records came with, each with its own ones, and returns the others.
func refuse(members []*member, rejected *insert.RejectedError, err error) (others []*member) {
	ends, n := make([]int, len(members)), 0 // of their records
	for i, m := range members {
		n += recordsIn(m.batch)
		ends[i] = n
	}
	own := make([][]insert.Rejection, len(members))
	for _, r := range rejected.Records {
		i := sort.SearchInts(ends, r.Index+1)
		if i > 0 {
			r.Index -= ends[i-1]
		}
		own[i] = append(own[i], r)
	}
	var failed *failure
	var wait time.Duration
	if errors.As(err, &failed) {
		wait = failed.wait
	}
	for i, m := range members {
		if own[i] == nil {
			others = append(others, m)
			continue
		}
		m.done <- &failure{oneLineError{&insert.RejectedError{Records: own[i]}}, wait}
	}
	return others
}

func answer(members []*member, err error) {
	for _, m := range members {
		m.done <- err
	}
}

func joined(members []*member) service.MessageBatch {
	if len(members) == 1 {
		return members[0].batch
	}
	n := 0
	for _, m := range members {
		n += len(m.batch)
	}
	all := make(service.MessageBatch, 0, n)
	for _, m := range members {
		all = append(all, m.batch...)
	}
	return all
}

// sizeOf is how many bytes the messages have that are bytes.
func sizeOf(batch service.MessageBatch) (n int) {
	for _, m := range batch {
		if !m.HasBytes() {
			continue
		}
		if content, err := m.AsBytes(); err == nil {
			n += len(content)
		}
	}
	return n
}
