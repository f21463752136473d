package clickhouse

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/benthos-clickhouse/connect/clickhouse/insert"
	"github.com/benthos-clickhouse/connect/delivery"
)

// BenchmarkSource is what this package itself costs for each record.
func BenchmarkSource(b *testing.B) {
	const rows = 10000
	ctx := context.Background()
	var single, packed service.MessageBatch
	records := &delivery.Records{Topic: "clicks"}
	var content []byte
	for i := range rows {
		doc := []byte(`{"id":1,"user_id":2,"name":"a longer name than most","price":"12.50"}`)
		m := service.NewMessageWithContext(ctx, doc)
		m.MetaSetMut("kafka_topic", "clicks")
		m.MetaSetMut("kafka_partition", 3)
		m.MetaSetMut("kafka_offset", i)
		single = append(single, m)
		content = append(content, doc...)
		records.Ends = append(records.Ends, len(content))
		records.Offsets = append(records.Offsets, int64(i))
		content = append(content, '\n')
	}
	m := service.NewMessageWithContext(ctx, content)
	m.MetaSetMut(delivery.MetaRecords, records)
	packed = append(packed, m)
	for name, batch := range map[string]service.MessageBatch{"one record a message": single, "many": packed} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var rec insert.Record
			for b.Loop() {
				shares := byLease(batch)
				s, err := newSource(shares[0].batch, nil, wants{}, nil, nil)
				require.NoError(b, err)
				for i := range s.Len() {
					rec = insert.Record{}
					if err := s.Record(i, &rec); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/record")
		})
	}
}
