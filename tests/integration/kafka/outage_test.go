package kafka_test

import (
	"maps"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestBrokerRestarts kills the broker with -9 while ranges are under way.
func TestBrokerRestarts(t *testing.T) {
	b := realBroker(t)
	s := seed(t)
	rng := rand.New(rand.NewPCG(s, 5))
	topic := "restarts"
	w := newWarehouse(t, s)
	w.lose = 0.02
	b.createTopic(t, topic, 3, nil)
	want := b.produce(t, topic, 3, 0, 500)
	startStream(t, settings{
		Broker: b.addr, Topic: topic, Group: topic, Warehouse: w.addr,
		Input: "    range: { count: 20, period: 30ms }\n    session_timeout: 4s\n    heartbeat_interval: 200ms",
		Sink:  "    delay: 10ms\n    fail: 0.02",
	}.yaml())
	for round := range 2 {
		have := w.count()
		require.Eventually(t, func() bool { return w.count() > have+100 }, 60*time.Second, time.Millisecond)
		time.Sleep(time.Duration(rng.IntN(50)) * time.Millisecond)
		require.NoError(t, shared.Kafka.Kill())
		w.set(func() { w.shards = 1 + rng.IntN(4) })
		require.NoError(t, shared.Kafka.Start(t.Context()))
		maps.Copy(want, b.produce(t, topic, 3, 1000*(round+1), 300))
	}
	w.requireAll(t, want)
	b.requireCommitted(t, topic, topic)
	w.requireExactly(t, want)
	w.requireOneCut(t)
}

// TestFrozenOwner stops a member past its session, lets another take over, and lets the first one go on.
func TestFrozenOwner(t *testing.T) {
	for kind, start := range brokers {
		t.Run(kind, func(t *testing.T) {
			b := start(t)
			s := seed(t)
			rng := rand.New(rand.NewPCG(s, 6))
			topic := "frozen"
			w := newWarehouse(t, s)
			b.createTopic(t, topic, 3, nil)
			want := b.produce(t, topic, 3, 0, 2000)
			conf := settings{
				Broker: b.addr, Topic: topic, Group: topic, Warehouse: w.addr,
				Input: "    range: { count: 20, period: 30ms }\n    session_timeout: 1500ms\n    rebalance_timeout: 2s\n    heartbeat_interval: 100ms",
				Sink:  "    delay: 10ms",
			}.yaml()
			a, c := startChild(t, conf), startChild(t, conf)
			for round := range 2 {
				have := w.count()
				maps.Copy(want, b.produce(t, topic, 3, 5000*(round+1), 1000))
				require.Eventually(t, func() bool { return w.count() > have+200 }, 60*time.Second, time.Millisecond)
				require.NoError(t, a.cmd.Process.Signal(syscall.SIGSTOP))
				w.set(func() { w.shards = 1 + rng.IntN(4) })
				maps.Copy(want, b.produce(t, topic, 3, 100_000*(round+1), 300))
				time.Sleep(2500 * time.Millisecond)
				require.NoError(t, a.cmd.Process.Signal(syscall.SIGCONT))
				a, c = c, a
			}
			w.requireAll(t, want)
			b.requireCommitted(t, topic, topic)
			w.requireExactly(t, want)
			w.requireOneCut(t)
		})
	}
}

// TestTopicCreatedAgainWhileReading deletes the topic under a running input.
func TestTopicCreatedAgainWhileReading(t *testing.T) {
	for kind, start := range brokers {
		t.Run(kind, func(t *testing.T) {
			b := start(t)
			topic := "again-running"
			w := newWarehouse(t, 1)
			b.createTopic(t, topic, 1, nil)
			want := b.produce(t, topic, 1, 0, 100)
			startStream(t, settings{Broker: b.addr, Topic: topic, Group: topic, Warehouse: w.addr, Input: quick + "\n    metadata_max_age: 300ms"}.yaml())
			w.requireAll(t, want)
			b.requireCommitted(t, topic, topic)
			_, err := b.admin.DeleteTopics(t.Context(), topic)
			require.NoError(t, err)
			require.Eventually(t, func() bool {
				_, err := b.admin.CreateTopic(t.Context(), 1, 1, nil, topic)
				return err == nil
			}, 20*time.Second, 50*time.Millisecond)
			maps.Copy(want, newBroker(t, b.addr).produce(t, topic, 1, 1000, 150))
			w.requireAll(t, want)
			w.requireExactly(t, want)
		})
	}
}
