package kafka_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// seed of the random faults; KAFKA_TEST_SEED runs a failed one again.
func seed(t *testing.T) uint64 {
	t.Helper()
	s := rand.Uint64() % 1_000_000
	if v := os.Getenv("KAFKA_TEST_SEED"); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		require.NoError(t, err)
		s = n
	}
	t.Logf("KAFKA_TEST_SEED=%d", s)
	return s
}

// TestCrashes lets processes die at random steps of the protocol, and by kill -9 at random moments, while the warehouse loses answers and changes its
// number of shards.
func TestCrashes(t *testing.T) {
	t.Parallel()
	for kind, start := range brokers {
		t.Run(kind, func(t *testing.T) {
			seed := seed(t)
			rng := rand.New(rand.NewPCG(seed, 3))
			s := beside(t, start).scene(t, "crashes", 3, seed)
			s.lose, s.refuse = 0.02, 0.02
			s.produce(t, 0, 2000)
			crashes := 0
			for life := 0; s.count() < len(s.want) || life < 12; life++ {
				require.Less(t, life, 200, "%d of %d rows after %d lives", s.count(), len(s.want), life)
				crash := 0.01
				if life > 30 {
					crash = 0
				}
				c := startChild(t, s.pipeline(static+"    range: { count: 40, period: 30ms }\n    ranges_in_flight: 3",
					fmt.Sprintf("    seed: %d\n    crash: %f\n    fail: 0.02\n    delay: 1ms", rng.Uint32(), crash)))
				select {
				case <-c.done:
				case <-time.After(time.Duration(400+rng.IntN(1200)) * time.Millisecond):
					c.kill()
				}
				crashes++
				s.set(func() { s.shards = 1 + rng.IntN(4) })
				if life < 12 {
					s.produce(t, 2000+life*50, 50)
				}
			}
			s.requireExactly(t, s.want)
			t.Logf("%d crashes", crashes)
			s.requireOneCut(t)
		})
	}
}

// TestCrashBetweenAnyTwoSteps dies once at each step, lets the topic and the layout change, and goes on in another process.
func TestCrashBetweenAnyTwoSteps(t *testing.T) {
	t.Parallel()
	for kind, start := range brokers {
		t.Run(kind, func(t *testing.T) {
			b := beside(t, start)
			for _, step := range []string{"claimed", "prepared", "inserted 0", "inserted 1", "written"} {
				t.Run(step, func(t *testing.T) {
					t.Parallel()
					s := crashOnce(t, b, "step-"+strings.ReplaceAll(step, " ", "-"), step, "")
					s.requireAll(t, s.want)
					s.requireExactly(t, s.want)
					s.requireOneCut(t)
				})
			}
		})
	}
}

// TestProtocolIsNeeded takes parts of the protocol out of the sink: the same crash then loses or doubles rows.
func TestProtocolIsNeeded(t *testing.T) {
	b := beside(t, brokers["kfake"])
	for _, part := range []string{"intent", "pin", "names"} {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			s := crashOnce(t, b, "without-"+part, "inserted 0", part)
			s.requireCommitted(t, s.topic, s.topic)
			lost, double, _ := s.compare(s.want)
			require.Positive(t, lost+double, "everything went well without %s", part)
			t.Logf("%d rows lost, %d double", lost, double)
		})
	}
}

// crashOnce runs a process that dies at a step, changes what a second attempt meets, and starts another process.
func crashOnce(t *testing.T, b *broker, topic, step, without string) *scene {
	t.Helper()
	s := b.scene(t, topic, 1, 1)
	s.produce(t, 0, 130)
	pipeline := func(crashAt string) string {
		return s.pipeline(static+"    range: { count: 1000, period: 200ms }", fmt.Sprintf("    crash_at: %q\n    without: %q", crashAt, without))
	}
	<-startChild(t, pipeline(step)).done
	s.set(func() { s.shards = 3 })
	s.produce(t, 1000, 70)
	startChild(t, pipeline(""))
	return s
}
