package kafka_test

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/tests/services"
)

// TestBrokerRestarts kills the broker with -9 while ranges are under way. It has a broker of its own, since others use the shared one meanwhile.
func TestBrokerRestarts(t *testing.T) {
	t.Parallel()
	kafka := services.Run(t, services.Options{Kafka: true, KafkaProperties: brokerProperties}).Kafka
	seed := seed(t)
	rng := rand.New(rand.NewPCG(seed, 5))
	s := newBroker(t, kafka.Addr()).scene(t, "restarts", 3, seed)
	s.lose = 0.02
	s.produce(t, 0, 500)
	s.start(t, "    range: { count: 20, period: 30ms }\n    session_timeout: 4s\n    heartbeat_interval: 200ms", "    delay: 10ms\n    fail: 0.02")
	for round := range 2 {
		have := s.count()
		require.Eventually(t, func() bool { return s.count() > have+100 }, patience, time.Millisecond)
		time.Sleep(time.Duration(rng.IntN(50)) * time.Millisecond)
		require.NoError(t, kafka.Kill())
		s.set(func() { s.shards = 1 + rng.IntN(4) })
		require.NoError(t, kafka.Start(t.Context()))
		s.produce(t, 1000*(round+1), 300)
	}
	s.requireOnce(t)
	s.requireOneCut(t)
}

// TestFrozenOwner stops a member past its session, lets another take over, and lets the first one go on.
func TestFrozenOwner(t *testing.T) {
	t.Parallel()
	for kind, start := range brokers {
		t.Run(kind, func(t *testing.T) {
			seed := seed(t)
			rng := rand.New(rand.NewPCG(seed, 6))
			s := beside(t, start).scene(t, "frozen", 3, seed)
			s.produce(t, 0, 2000)
			pipeline := s.pipeline("    range: { count: 20, period: 30ms }\n    session_timeout: 1500ms\n    rebalance_timeout: 2s\n    heartbeat_interval: 100ms", "    delay: 10ms")
			a, c := startChild(t, pipeline), startChild(t, pipeline)
			for round := range 2 {
				have := s.count()
				s.produce(t, 5000*(round+1), 1000)
				require.Eventually(t, func() bool { return s.count() > have+200 }, patience, time.Millisecond)
				require.NoError(t, a.cmd.Process.Signal(syscall.SIGSTOP))
				s.set(func() { s.shards = 1 + rng.IntN(4) })
				s.produce(t, 100_000*(round+1), 300)
				time.Sleep(2500 * time.Millisecond)
				require.NoError(t, a.cmd.Process.Signal(syscall.SIGCONT))
				a, c = c, a
			}
			s.requireOnce(t)
			s.requireOneCut(t)
		})
	}
}

// TestTopicCreatedAgainWhileReading deletes the topic under a running input.
func TestTopicCreatedAgainWhileReading(t *testing.T) {
	t.Parallel()
	for kind, start := range brokers {
		t.Run(kind, func(t *testing.T) {
			s := beside(t, start).scene(t, "again-running", 1, 1)
			s.produce(t, 0, 100)
			s.start(t, quick+"\n    metadata_max_age: 300ms", "")
			s.requireRead(t)
			s.recreate(t)
			s.produce(t, 1000, 150)
			s.requireAll(t, s.want)
			s.requireExactly(t, s.want)
		})
	}
}

// recreate deletes the topic and creates one of the same name, which later records go to.
func (s *scene) recreate(t *testing.T) {
	t.Helper()
	_, err := s.admin.DeleteTopics(t.Context(), s.topic)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := s.admin.CreateTopic(t.Context(), s.partitions, 1, nil, s.topic)
		return err == nil
	}, patience, 50*time.Millisecond)
	s.broker = newBroker(t, s.broker.addr) // its client has not seen the old topic
}
