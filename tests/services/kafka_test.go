package services_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/benthos-clickhouse/connect/tests/services"
)

func TestKafka(t *testing.T) {
	broker := services.Run(t, services.Options{Kafka: true}).Kafka
	broker.CreateTopic(t, "clicks", 2, "max.message.bytes=2000000")
	produce := func(value string) {
		producer := broker.Client(t, kgo.DefaultProduceTopic("clicks"))
		require.NoError(t, producer.ProduceSync(t.Context(), kgo.StringRecord(value)).FirstErr())
	}
	produce("before")

	require.NoError(t, broker.Kill())
	require.NoError(t, broker.Start(t.Context()))
	produce("after")

	consumer := broker.Client(t, kgo.ConsumeTopics("clicks"), kgo.ConsumerGroup("g"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	var values []string
	for len(values) < 2 {
		fetches := consumer.PollFetches(t.Context())
		require.NoError(t, fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
	}
	require.ElementsMatch(t, []string{"before", "after"}, values)
	require.NoError(t, consumer.CommitUncommittedOffsets(t.Context()))

	offsets, err := broker.Admin(t).FetchOffsets(t.Context(), "g")
	require.NoError(t, err)
	var sum int64
	for _, partition := range offsets["clicks"] {
		sum += partition.At
	}
	require.EqualValues(t, 2, sum)
}
