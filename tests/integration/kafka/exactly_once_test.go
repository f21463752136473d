package kafka_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryRecordOnce(t *testing.T) {
	t.Parallel()
	for kind, start := range brokers {
		t.Run(kind, func(t *testing.T) {
			b := beside(t, start)
			for name, input := range map[string]string{
				"a record a message":     "    range: { count: 100, period: 50ms }",
				"many records a message": "    range: { count: 100, period: 50ms }\n    records_per_message: 30",
			} {
				t.Run(name, func(t *testing.T) {
					s := b.scene(t, "plain-"+name[:1], 3, 1)
					s.produce(t, 0, 1234)
					s.start(t, input, "")
					s.requireRead(t)
					s.requireEnds(t)
					require.Equal(t, len(s.want), s.count())
					s.requireExactly(t, s.want)
				})
			}
		})
	}
}
