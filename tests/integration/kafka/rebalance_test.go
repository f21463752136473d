package kafka_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestRebalances lets members of one group come, leave and die while records are produced and the warehouse changes its layout.
func TestRebalances(t *testing.T) {
	t.Parallel()
	for kind, start := range brokers {
		t.Run(kind, func(t *testing.T) {
			b := beside(t, start)
			for _, balancer := range []string{"cooperative_sticky", "range"} {
				t.Run(balancer, func(t *testing.T) {
					t.Parallel()
					rebalances(t, b, balancer)
				})
			}
		})
	}
}

func rebalances(t *testing.T, b *broker, balancer string) {
	t.Helper()
	seed := seed(t)
	rng := rand.New(rand.NewPCG(seed, 4))
	s := b.scene(t, "rebalances-"+balancer, 6, seed)
	s.lose = 0.02
	s.produce(t, 0, 300)
	pipeline := func() string {
		return s.pipeline(
			fmt.Sprintf("    group_balancers: [ %s ]\n    session_timeout: 2s\n    rebalance_timeout: 3s\n    heartbeat_interval: 100ms\n    range: { count: 40, period: 30ms }", balancer),
			fmt.Sprintf("    seed: %d\n    fail: 0.02\n    delay: 5ms", rng.Uint32()))
	}
	stops := []func(){startStream(t, pipeline())}
	for round := range 6 {
		// kfake never expels a member that dies between its join and its sync, so only Kafka sees members die.
		switch n := rng.IntN(3); {
		case n == 0:
			stops = append(stops, startStream(t, pipeline()))
		case n == 1 && b.fake == nil:
			c := startChild(t, pipeline())
			time.AfterFunc(time.Duration(rng.IntN(1500))*time.Millisecond, c.kill)
		default:
			if len(stops) > 1 {
				stops[0]()
				stops = stops[1:]
			}
		}
		s.set(func() { s.shards = 1 + rng.IntN(4) })
		s.produce(t, 1000*(round+1), 100)
		time.Sleep(time.Duration(rng.IntN(600)) * time.Millisecond)
	}
	s.requireOnce(t)
	s.requireOneCut(t)
}

// TestHandOver lets a second member join while the first is busy: nothing is inserted twice even without names, since ranges are drained
// before partitions are given up.
func TestHandOver(t *testing.T) {
	t.Parallel()
	for _, balancer := range []string{"cooperative_sticky", "range"} {
		t.Run(balancer, func(t *testing.T) {
			s := beside(t, brokers["kfake"]).scene(t, "hand-over", 4, 1)
			s.produce(t, 0, 3000)
			input := fmt.Sprintf("    group_balancers: [ %s ]\n    heartbeat_interval: 50ms\n    range: { count: 50, period: 20ms }", balancer)
			s.start(t, input, "    lease: false")
			require.Eventually(t, func() bool { return s.count() > 1000 }, patience, time.Millisecond)
			stop := s.start(t, input, "    lease: false")
			s.produce(t, 5000, 1000)
			require.Eventually(t, func() bool { return s.count() > 12500 }, patience, time.Millisecond)
			stop()
			s.requireAll(t, s.want)
			s.requireExactly(t, s.want)
		})
	}
}
