package kafka

import (
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/benthos-clickhouse/connect/delivery"
)

func sampleRecords() []*kgo.Record {
	at := time.UnixMilli(1_700_000_000_123)
	return []*kgo.Record{
		{
			Topic: "clicks", Partition: 3, Offset: 10, Key: []byte("k1"), Value: []byte(`{"a":1}`), Timestamp: at,
			Headers: []kgo.RecordHeader{{Key: "trace", Value: []byte("x")}, {Key: "kafka_offset", Value: []byte("forged")}},
		},
		{Topic: "clicks", Partition: 3, Offset: 12, Timestamp: at},
		{Topic: "clicks", Partition: 3, Offset: 13, Value: []byte("two\nlines"), Timestamp: at},
	}
}

// sampleAttempt is the delivery of a range that has the records.
func sampleAttempt(c *config, records []*kgo.Record) attempt {
	s := testSession(nil)
	p := newPartition(s, "clicks", [16]byte{1}, 3)
	l := p.newLease(10, 14)
	c.count, c.byteSize = 100, 1<<20
	for _, r := range records {
		l.records.push(c, r)
	}
	return attempt{lease: l, n: 1, highWater: 20}
}

func metadata(t *testing.T, m *service.Message) map[string]any {
	t.Helper()
	out := map[string]any{}
	require.NoError(t, m.MetaWalkMut(func(key string, value any) error {
		out[key] = value
		return nil
	}))
	return out
}

func TestMetadataIsThatOfRedpandaConnect(t *testing.T) {
	all, err := parseFields([]string{"topic", "partition", "offset", "key", "timestamp_ms", "timestamp_unix", "headers", "lag", "tombstone_message"})
	require.NoError(t, err)
	c := &config{recordsPerMessage: 1, fields: all}
	a := sampleAttempt(c, sampleRecords())
	batch := c.messages(a)
	require.Len(t, batch, 3)
	require.Equal(t, map[string]any{
		"kafka_topic": "clicks", "kafka_partition": 3, "kafka_offset": 10, "kafka_key": "k1",
		"kafka_timestamp_ms": int64(1_700_000_000_123), "kafka_timestamp_unix": int64(1_700_000_000),
		"kafka_lag": int64(9), "kafka_tombstone_message": false, "trace": "x",
	}, metadata(t, batch[0]))
	require.Equal(t, true, metadata(t, batch[1])["kafka_tombstone_message"])
	tombstone, err := batch[1].AsBytes()
	require.NoError(t, err)
	require.Nil(t, tombstone)
	last, err := batch[2].AsBytes()
	require.NoError(t, err)
	require.Equal(t, "two\nlines", string(last))
	require.Equal(t, len(last), cap(last), "appending to one must not reach the next")
	for _, m := range batch {
		require.Equal(t, a, delivery.FromContext(m.Context()), "a processor may drop any of them")
	}
}

func TestMetadataIsChosen(t *testing.T) {
	c := &config{recordsPerMessage: 1, fields: fields{offset: true}}
	a := sampleAttempt(c, sampleRecords())
	require.Equal(t, map[string]any{"kafka_offset": 10}, metadata(t, c.messages(a)[0]))
}

func TestPackedRecords(t *testing.T) {
	c := &config{recordsPerMessage: 2, fields: fields{topic: true, partition: true, offset: true, key: true, timestampMs: true}}
	a := sampleAttempt(c, sampleRecords())
	batch := c.messages(a)
	require.Len(t, batch, 2)
	content, err := batch[0].AsBytes()
	require.NoError(t, err)
	require.Equal(t, "{\"a\":1}\n\n", string(content))
	v, ok := batch[0].MetaGetMut(delivery.MetaRecords)
	require.True(t, ok)
	rs := v.(*delivery.Records)
	require.NoError(t, rs.Check(content))
	require.Equal(t, []int64{10, 12}, rs.Offsets)
	require.Equal(t, [][]byte{[]byte("k1"), nil}, rs.Keys)
	require.Equal(t, []int64{1_700_000_000_123, 1_700_000_000_123}, rs.Timestamps)
	require.Empty(t, rs.Value(content, 1), "a tombstone is an empty value")

	content, err = batch[1].AsBytes()
	require.NoError(t, err)
	require.Equal(t, "two\nlines\n", string(content))
	require.Equal(t, a, delivery.FromContext(batch[1].Context()))
	offset, _ := batch[1].MetaGetMut("kafka_offset")
	require.Equal(t, 13, offset)
}

func BenchmarkMessages(b *testing.B) {
	for name, n := range map[string]int{"one record a message": 1, "many": 10_000} {
		b.Run(name, func(b *testing.B) {
			c := &config{recordsPerMessage: n, fields: fields{topic: true, partition: true, offset: true, key: true, timestampMs: true}}
			a := sampleAttempt(c, manyRecords(10_000))
			b.ReportAllocs()
			for range b.N {
				c.messages(a)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*10_000), "ns/record")
		})
	}
}
