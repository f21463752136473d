package kafka_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEveryRecordOnce(t *testing.T) {
	for kind, start := range brokers {
		t.Run(kind, func(t *testing.T) {
			b := start(t)
			for name, input := range map[string]string{
				"a record a message":     "    range: { count: 100, period: 50ms }",
				"many records a message": "    range: { count: 100, period: 50ms }\n    records_per_message: 30",
			} {
				t.Run(name, func(t *testing.T) {
					topic := "plain-" + name[:1]
					w := newWarehouse(t, 1)
					b.createTopic(t, topic, 3, nil)
					want := b.produce(t, topic, 3, 0, 1234)
					stop := startStream(t, settings{Broker: b.addr, Topic: topic, Group: topic, Warehouse: w.addr, Input: input}.yaml())
					require.Eventually(t, func() bool { return w.count() == len(want) }, 30*time.Second, 10*time.Millisecond)
					b.requireCommitted(t, topic, topic)
					stop()
					w.requireExactly(t, want)
				})
			}
		})
	}
}
