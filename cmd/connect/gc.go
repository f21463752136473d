package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// The collector is left alone until the heap has grown by roomyHeap, which is little memory and saves a small pipeline most of
// its collections; a heap that is large itself grows by three quarters of its size. A percentage that is high whatever the
// size was measured to cost time as well as memory: memory that the kernel has to hand out anew is slower than what a
// collection would have freed. See docs/performance.
const (
	roomyHeap     = 96 << 20
	minPercent    = 75
	maxPercent    = 400
	percentNeeded = 10 // a change that is worth stopping the world for
)

// tuneGC sets what GOGC and GOMEMLIMIT would set, unless the user did. The memory limit follows the container's, so that
// the collector works harder before the kernel ends the process.
func tuneGC() {
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(maxPercent)
		afterEachCollection(&percentTuner{set: maxPercent})
	}
	if _, set := os.LookupEnv("GOMEMLIMIT"); !set {
		// No limit to be found (no cgroup, another operating system) leaves Go's own default: none.
		_, _ = memlimit.SetGoMemLimitWithOpts(memlimit.WithRatio(0.9), memlimit.WithProvider(memlimit.FromCgroup))
	}
}

// gcPercent is GOGC for a heap with so many live bytes.
func gcPercent(live uint64) int {
	if live == 0 {
		return maxPercent
	}
	return int(max(minPercent, min(maxPercent, roomyHeap*100/live)))
}

// percentTuner keeps GOGC at gcPercent of the live heap.
type percentTuner struct{ set int }

// sentinel is collected at every collection: an object that holds a pointer shares no block with others that may live on.
type sentinel struct{ p *percentTuner }

// afterEachCollection has the tuner run after every collection, by way of an object that nothing refers to.
func afterEachCollection(p *percentTuner) {
	runtime.SetFinalizer(&sentinel{p: p}, func(s *sentinel) {
		s.p.tune()
		afterEachCollection(s.p)
	})
}

func (p *percentTuner) tune() {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return
	}
	want := gcPercent(sample[0].Value.Uint64())
	if d := want - p.set; d >= percentNeeded || d <= -percentNeeded || want == minPercent && p.set != minPercent {
		debug.SetGCPercent(want)
		p.set = want
	}
}
