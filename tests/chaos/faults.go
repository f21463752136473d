package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"github.com/benthos-clickhouse/connect/tests/proxy"
	"github.com/benthos-clickhouse/connect/tests/services"
)

// fault is one kind of harm. do makes it and returns what ends it, run after length; target is what no other fault may
// touch meanwhile, so that whatever was killed is the thing that is started again.
type fault struct {
	kind   string
	weight int
	make   func(w *world, rng *rand.Rand) (target string, length time.Duration, do, undo func(context.Context) error)
}

func short(rng *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(rng.Int64N(int64(to-from)))
}

var faults = []fault{
	{"connector killed", 6, func(w *world, rng *rand.Rand) (string, time.Duration, func(context.Context) error, func(context.Context) error) {
		return "first", short(rng, 0, time.Second),
			func(context.Context) error { w.first.Kill(); return nil },
			func(context.Context) error { return w.start(w.first) }
	}},
	{"connector frozen past its session", 2, func(w *world, rng *rand.Rand) (string, time.Duration, func(context.Context) error, func(context.Context) error) {
		return "first", short(rng, 7*time.Second, 12*time.Second),
			func(context.Context) error { w.first.Signal(syscall.SIGSTOP); return nil },
			func(context.Context) error { w.first.Signal(syscall.SIGCONT); return nil }
	}},
	{"second connector added and removed", 3, func(w *world, rng *rand.Rand) (string, time.Duration, func(context.Context) error, func(context.Context) error) {
		gently := rng.IntN(2) == 0
		return "second", short(rng, 3*time.Second, 15*time.Second),
			func(context.Context) (err error) { w.second, err = w.consumer("second"); return err },
			func(context.Context) error {
				if gently {
					w.second.Signal(syscall.SIGTERM)
					select {
					case <-w.second.Done():
					case <-time.After(20 * time.Second):
					}
				}
				w.second.Kill()
				return nil
			}
	}},
	{"ClickHouse node killed", 6, func(w *world, rng *rand.Rand) (string, time.Duration, func(context.Context) error, func(context.Context) error) {
		i := rng.IntN(len(w.cluster.Servers))
		n := w.cluster.Servers[i]
		return nodeTarget(i), short(rng, 0, 3*time.Second),
			func(context.Context) error { return n.Kill() },
			func(ctx context.Context) error { return n.Start(ctx) }
	}},
	{"ClickHouse node frozen", 3, func(w *world, rng *rand.Rand) (string, time.Duration, func(context.Context) error, func(context.Context) error) {
		i := rng.IntN(len(w.cluster.Servers))
		n := w.cluster.Servers[i]
		return nodeTarget(i), short(rng, time.Second, 8*time.Second),
			func(context.Context) error { return n.Pause() },
			func(context.Context) error { return n.Resume() }
	}},
	{"broker killed", 2, func(w *world, rng *rand.Rand) (string, time.Duration, func(context.Context) error, func(context.Context) error) {
		return "broker", short(rng, 0, 2*time.Second),
			func(context.Context) error { return w.cluster.Kafka.Kill() },
			func(ctx context.Context) error { return w.cluster.Kafka.Start(ctx) }
	}},
	{"broker frozen", 1, func(w *world, rng *rand.Rand) (string, time.Duration, func(context.Context) error, func(context.Context) error) {
		return "broker", short(rng, time.Second, 8*time.Second),
			func(context.Context) error { return w.cluster.Kafka.Pause() },
			func(context.Context) error { return w.cluster.Kafka.Resume() }
	}},
	{"MySQL killed", 1, func(w *world, rng *rand.Rand) (string, time.Duration, func(context.Context) error, func(context.Context) error) {
		return "mysql", short(rng, 0, 3*time.Second),
			func(context.Context) error { return w.cluster.MySQL.Kill() },
			func(ctx context.Context) error { return w.cluster.MySQL.Start(ctx) }
	}},
	{"connections cut", 4, proxyFault(func(p *proxy.Proxy, _ *rand.Rand) { p.Cut() })},
	{"connection cut in a request", 6, proxyFault(func(p *proxy.Proxy, rng *rand.Rand) { p.CutAfter(rng.Int64N(60_000)) })},
	{"connection cut before the reply", 8, proxyFault(func(p *proxy.Proxy, _ *rand.Rand) { p.CutBeforeReply() })},
	{"replies dropped", 5, proxyFault(func(p *proxy.Proxy, _ *rand.Rand) { p.Set(proxy.DropReplies) })},
	{"black hole", 3, proxyFault(func(p *proxy.Proxy, _ *rand.Rand) { p.Set(proxy.BlackHole) })},
	{"connections refused", 2, proxyFault(func(p *proxy.Proxy, _ *rand.Rand) { p.Set(proxy.Refuse) })},
	{"connections delayed", 3, proxyFault(func(p *proxy.Proxy, rng *rand.Rand) { p.Delay(short(rng, 20*time.Millisecond, 400*time.Millisecond)) })},
	{"Kafka connections cut", 2, kafkaFault(func(p *proxy.Proxy) { p.Cut() })},
	{"Kafka connection cut before the reply", 3, kafkaFault(func(p *proxy.Proxy) { p.CutBeforeReply() })},
	{"Kafka replies dropped", 2, kafkaFault(func(p *proxy.Proxy) { p.Set(proxy.DropReplies) })},
	{"Kafka black hole", 1, kafkaFault(func(p *proxy.Proxy) { p.Set(proxy.BlackHole) })},
	{"cluster resized", 1, func(w *world, rng *rand.Rand) (string, time.Duration, func(context.Context) error, func(context.Context) error) {
		return "all nodes", 0, w.resize, nil
	}},
}

func nodeTarget(i int) string { return fmt.Sprintf("node %d", i) }

func proxyFault(do func(*proxy.Proxy, *rand.Rand)) func(*world, *rand.Rand) (string, time.Duration, func(context.Context) error, func(context.Context) error) {
	return func(w *world, rng *rand.Rand) (string, time.Duration, func(context.Context) error, func(context.Context) error) {
		i := rng.IntN(len(w.proxies) + 1)
		p := w.mysql
		if i < len(w.proxies) {
			p = w.proxies[i]
		}
		return fmt.Sprintf("proxy %d", i), short(rng, 500*time.Millisecond, 6*time.Second),
			func(context.Context) error { do(p, rng); return nil },
			func(context.Context) error { pass(p); return nil }
	}
}

// kafkaFault breaks what the connectors say to the broker; who produces and counts talks to it directly.
func kafkaFault(do func(*proxy.Proxy)) func(*world, *rand.Rand) (string, time.Duration, func(context.Context) error, func(context.Context) error) {
	return func(w *world, rng *rand.Rand) (string, time.Duration, func(context.Context) error, func(context.Context) error) {
		return "Kafka proxy", short(rng, 500*time.Millisecond, 10*time.Second),
			func(context.Context) error { do(w.kafka); return nil },
			func(context.Context) error { pass(w.kafka); return nil }
	}
}

// pass ends a fault.
func pass(p *proxy.Proxy) {
	p.Delay(0)
	p.Set(proxy.Pass)
}

// resize adds the spare node as a third shard; after that it changes the new shard's weight. Taking a shard away is an
// operator's decision, made once nothing is pinned to it. A node takes a configuration up by a restart.
func (w *world) resize(ctx context.Context) error {
	var all []services.Shard
	for s := range shards {
		all = append(all, services.Shard{
			Weight: 1, WriteAll: w.opts.Variant == WriteAll, Replicas: []services.Replica{{Node: s * replicas}, {Node: s*replicas + 1}},
		})
	}
	w.resized++
	all = append(all, services.Shard{Weight: 1 + w.resized%2, Replicas: []services.Replica{{Node: spare}}})
	if err := w.cluster.Reconfigure(map[string][]services.Shard{services.ClusterName: all}); err != nil {
		return err
	}
	for _, n := range w.cluster.Servers {
		if err := errors.Join(n.Kill(), n.Start(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// breakThings makes the faults, several at a time where they have different targets.
func (w *world) breakThings(ctx context.Context, rng *rand.Rand, r *Report) error {
	deal := w.deal(rng)
	for r.FaultCount < w.opts.Faults {
		pause := time.Duration(rng.ExpFloat64() * float64(w.opts.Every))
		if err := w.sleep(ctx, min(pause, 3*w.opts.Every)); err != nil {
			return err
		}
		f := deal.next(rng)
		if !w.first.Running() && !w.isBusy("first") {
			return fmt.Errorf("the connector ended by itself; the end of its log:\n%s", w.first.LogTail())
		}
		// Drawn before it is known whether the target is free, so that the same seed draws the same faults.
		target, length, do, undo := f.make(w, rand.New(rand.NewPCG(rng.Uint64(), 2)))
		if target == "all nodes" {
			if err := w.heal(ctx); err != nil {
				return err
			}
		} else if !w.claim(target) {
			deal.putBack(f)
			continue
		}
		r.Faults[f.kind]++
		r.FaultCount++
		fmt.Fprintf(w.out, "%s %3d/%d  %s: %s for %s, %d events produced\n", time.Now().Format("15:04:05.000"),
			r.FaultCount, w.opts.Faults, target, f.kind, length.Round(time.Millisecond), w.produced.Load())
		if err := do(ctx); err != nil {
			return fmt.Errorf("%s: %w", f.kind, err)
		}
		if undo != nil {
			w.healing.Go(func() { w.undo(ctx, f.kind, target, length, undo) })
		}
	}
	return nil
}

func (w *world) undo(ctx context.Context, kind, target string, length time.Duration, undo func(context.Context) error) {
	_ = w.sleep(ctx, length)
	if err := undo(ctx); err != nil {
		w.errs <- fmt.Errorf("ending %q of %s: %w", kind, target, err)
	}
	w.mu.Lock()
	delete(w.busy, target)
	w.mu.Unlock()
}

func (w *world) sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case err := <-w.errs:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// claim marks the target as broken; false when it is already.
func (w *world) claim(target string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy[target] {
		return false
	}
	w.busy[target] = true
	return true
}

func (w *world) isBusy(target string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.busy[target]
}

func (w *world) kinds() []fault {
	if len(w.opts.Only) == 0 {
		return faults
	}
	var out []fault
	for _, f := range faults {
		if slices.Contains(w.opts.Only, f.kind) {
			out = append(out, f)
		}
	}
	return out
}

// Kinds are the names of the faults.
func Kinds() []string {
	var names []string
	for _, f := range faults {
		names = append(names, f.kind)
	}
	return names
}

// deal is the order of the faults: each kind once where the run wants that, and after that by weight.
type deal struct {
	kinds []fault
	first []fault
}

func (w *world) deal(rng *rand.Rand) *deal {
	d := &deal{kinds: w.kinds()}
	if w.opts.EachFirst {
		d.first = slices.Clone(d.kinds)
		rng.Shuffle(len(d.first), func(i, j int) { d.first[i], d.first[j] = d.first[j], d.first[i] })
	}
	return d
}

func (d *deal) next(rng *rand.Rand) fault {
	if len(d.first) == 0 {
		return pick(d.kinds, rng)
	}
	f := d.first[0]
	d.first = d.first[1:]
	return f
}

// putBack takes back a fault whose target was busy.
func (d *deal) putBack(f fault) {
	if d.first != nil {
		d.first = append(d.first, f)
	}
}

func pick(kinds []fault, rng *rand.Rand) fault {
	total := 0
	for _, f := range kinds {
		total += f.weight
	}
	n := rng.IntN(total)
	for _, f := range kinds {
		if n -= f.weight; n < 0 {
			return f
		}
	}
	return kinds[0]
}

// heal waits for the end of all faults.
func (w *world) heal(ctx context.Context) error {
	w.healing.Wait()
	select {
	case err := <-w.errs:
		return err
	default:
	}
	if !w.first.Running() {
		return fmt.Errorf("the connector ended by itself; the end of its log:\n%s", w.first.LogTail())
	}
	return ctx.Err()
}
