package kafka_test

import (
	"fmt"
	"maps"
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
	for kind, start := range brokers {
		t.Run(kind, func(t *testing.T) {
			b := start(t)
			s := seed(t)
			rng := rand.New(rand.NewPCG(s, 3))
			topic := "crashes"
			w := newWarehouse(t, s)
			w.lose, w.refuse = 0.02, 0.02
			b.createTopic(t, topic, 3, nil)
			want := b.produce(t, topic, 3, 0, 2000)
			crashes := 0
			for life := 0; w.count() < len(want) || life < 12; life++ {
				require.Less(t, life, 200, "%d of %d rows after %d lives", w.count(), len(want), life)
				crash := 0.01
				if life > 30 {
					crash = 0
				}
				c := startChild(t, settings{
					Broker: b.addr, Topic: topic, Group: topic, Warehouse: w.addr,
					// A static member is replaced at once, where a dead dynamic one has to time out first.
					Input: "    instance_id: one\n    session_timeout: 3s\n    heartbeat_interval: 300ms\n    range: { count: 40, period: 30ms }\n    ranges_in_flight: 3",
					Sink:  fmt.Sprintf("    seed: %d\n    crash: %f\n    fail: 0.02\n    delay: 1ms", rng.Uint32(), crash),
				}.yaml())
				select {
				case <-c.done:
				case <-time.After(time.Duration(400+rng.IntN(1200)) * time.Millisecond):
					c.kill()
				}
				crashes++
				w.set(func() { w.shards = 1 + rng.IntN(4) })
				if life < 12 {
					maps.Copy(want, b.produce(t, topic, 3, 2000+life*50, 50))
				}
			}
			w.requireExactly(t, want)
			t.Logf("%d crashes", crashes)
			w.requireOneCut(t)
		})
	}
}

// TestCrashBetweenAnyTwoSteps dies once at each step, lets the topic and the layout change, and goes on in another process.
func TestCrashBetweenAnyTwoSteps(t *testing.T) {
	for kind, start := range brokers {
		t.Run(kind, func(t *testing.T) {
			b := start(t)
			for _, step := range []string{"claimed", "prepared", "inserted 0", "inserted 1", "written"} {
				t.Run(step, func(t *testing.T) {
					w, want := crashOnce(t, b, "step-"+strings.ReplaceAll(step, " ", "-"), step, "")
					w.requireAll(t, want)
					w.requireExactly(t, want)
					w.requireOneCut(t)
				})
			}
		})
	}
}

// TestProtocolIsNeeded takes parts of the protocol out of the sink: the same crash then loses or doubles rows.
func TestProtocolIsNeeded(t *testing.T) {
	b := fakeBroker(t)
	for _, part := range []string{"intent", "pin", "names"} {
		t.Run(part, func(t *testing.T) {
			w, want := crashOnce(t, b, "without-"+part, "inserted 0", part)
			b.requireCommitted(t, "without-"+part, "without-"+part)
			lost, double, _ := w.compare(want)
			require.Positive(t, lost+double, "everything went well without %s", part)
			t.Logf("%d rows lost, %d double", lost, double)
		})
	}
}

// crashOnce runs a process that dies at a step, changes what a second attempt meets, and starts another process.
func crashOnce(t *testing.T, b *broker, topic, step, without string) (*warehouse, map[string]bool) {
	t.Helper()
	w := newWarehouse(t, 1)
	b.createTopic(t, topic, 1, nil)
	want := b.produce(t, topic, 1, 0, 130)
	conf := func(crashAt string) string {
		return settings{
			Broker: b.addr, Topic: topic, Group: topic, Warehouse: w.addr,
			Input: "    instance_id: one\n    session_timeout: 3s\n    heartbeat_interval: 300ms\n    range: { count: 1000, period: 200ms }",
			Sink:  fmt.Sprintf("    crash_at: %q\n    without: %q", crashAt, without),
		}.yaml()
	}
	<-startChild(t, conf(step)).done
	w.set(func() { w.shards = 3 })
	maps.Copy(want, b.produce(t, topic, 1, 1000, 70))
	startChild(t, conf(""))
	return w, want
}
