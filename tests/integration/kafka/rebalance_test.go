package kafka_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestRebalances lets members of one group come, leave and die while records are produced and the warehouse changes its layout.
func TestRebalances(t *testing.T) {
	for kind, start := range brokers {
		t.Run(kind, func(t *testing.T) {
			b := start(t)
			for _, balancer := range []string{"cooperative_sticky", "range"} {
				t.Run(balancer, func(t *testing.T) { rebalances(t, b, balancer) })
			}
		})
	}
}

func rebalances(t *testing.T, b *broker, balancer string) {
	t.Helper()
	s := seed(t)
	rng := rand.New(rand.NewPCG(s, 4))
	topic := "rebalances-" + balancer
	w := newWarehouse(t, s)
	w.lose = 0.02
	b.createTopic(t, topic, 6, nil)
	want := b.produce(t, topic, 6, 0, 300)
	conf := func() string {
		return settings{
			Broker: b.addr, Topic: topic, Group: topic, Warehouse: w.addr,
			Input: fmt.Sprintf("    group_balancers: [ %s ]\n    session_timeout: 2s\n    rebalance_timeout: 3s\n    heartbeat_interval: 100ms\n    range: { count: 40, period: 30ms }", balancer),
			Sink:  fmt.Sprintf("    seed: %d\n    fail: 0.02\n    delay: 5ms", rng.Uint32()),
		}.yaml()
	}
	stops := []func(){startStream(t, conf())}
	for round := range 6 {
		// kfake never expels a member that dies between its join and its sync, so only Kafka sees members die.
		switch n := rng.IntN(3); {
		case n == 0:
			stops = append(stops, startStream(t, conf()))
		case n == 1 && b.fake == nil:
			c := startChild(t, conf())
			time.AfterFunc(time.Duration(rng.IntN(1500))*time.Millisecond, c.kill)
		default:
			if len(stops) > 1 {
				stops[0]()
				stops = stops[1:]
			}
		}
		w.set(func() { w.shards = 1 + rng.IntN(4) })
		maps.Copy(want, b.produce(t, topic, 6, 1000*(round+1), 100))
		time.Sleep(time.Duration(rng.IntN(600)) * time.Millisecond)
	}
	w.requireAll(t, want)
	b.requireCommitted(t, topic, topic)
	w.requireExactly(t, want)
	w.requireOneCut(t)
}

// TestHandOver lets a second member join while the first is busy: nothing is inserted twice even without names, since ranges are drained
// before partitions are given up.
func TestHandOver(t *testing.T) {
	for _, balancer := range []string{"cooperative_sticky", "range"} {
		t.Run(balancer, func(t *testing.T) {
			b := fakeBroker(t)
			topic := "hand-over"
			w := newWarehouse(t, 1)
			b.createTopic(t, topic, 4, nil)
			want := b.produce(t, topic, 4, 0, 3000)
			conf := settings{
				Broker: b.addr, Topic: topic, Group: topic, Warehouse: w.addr,
				Input: fmt.Sprintf("    group_balancers: [ %s ]\n    heartbeat_interval: 50ms\n    range: { count: 50, period: 20ms }", balancer),
				Sink:  "    lease: false",
			}.yaml()
			startStream(t, conf)
			require.Eventually(t, func() bool { return w.count() > 1000 }, 20*time.Second, time.Millisecond)
			stop := startStream(t, conf)
			maps.Copy(want, b.produce(t, topic, 4, 5000, 1000))
			require.Eventually(t, func() bool { return w.count() > 12500 }, 20*time.Second, time.Millisecond)
			stop()
			w.requireAll(t, want)
			w.requireExactly(t, want)
		})
	}
}
