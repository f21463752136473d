package output

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/insert"
)

const benchRows = 50000

// nullTables take rows and keep nothing, so that what is measured is the connector's side.
func nullTables(b *testing.B) string {
	b.Helper()
	db := database(b)
	servers.Exec(b, fmt.Sprintf(`
		CREATE TABLE %[1]s.events_local (id UInt64, user_id UInt64, session String, at DateTime64(3, 'UTC'), url String, referrer String,
			product LowCardinality(String), price Decimal(10, 2), quantity UInt16, tags Array(LowCardinality(String)), attributes Map(String, String),
			country LowCardinality(String), agent String, width UInt16, height UInt16, score Float64, flag Bool, ip IPv4, uid UUID, note Nullable(String), n Int64) ENGINE = Null;
		CREATE TABLE %[1]s.events AS %[1]s.events_local ENGINE = Distributed('events_cluster', %[1]s, events_local, cityHash64(user_id))`, db))
	return db
}

func benchEvents() documents {
	docs := make(documents, benchRows)
	for i := range docs {
		docs[i] = fmt.Sprintf(`{"id":%d,"user_id":%d,"session":"s-%08x","at":"2026-01-02T03:04:%02d.678Z","url":"https://shop.example/products/%d?ref=mail","referrer":"https://www.example.org/","product":"sku-%d","price":"%d.99","quantity":%d,"tags":["new","sale"],"attributes":{"ab":"b","slot":"%d"},"country":"DE","agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36","width":1920,"height":1080,"score":0.%d,"flag":true,"ip":"10.1.2.%d","uid":"0b5e8a3c-8f0e-4d7a-9c1b-%012x","note":null,"n":-%d}`,
			i, i*7919%5000, i, i%60, i%1000, i%500, i%90, i%9, i%7, i%1000, i%256, i, i)
	}
	return docs
}

func BenchmarkWrite(b *testing.B) {
	docs := benchEvents()
	size := 0
	for _, d := range docs {
		size += len(d)
	}
	raw := make([][]byte, len(docs))
	for i := range docs {
		raw[i] = []byte(docs[i])
	}
	w := open(b, nullTables(b))
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		result, err := w.Write(b.Context(), rawDocuments(raw), nil)
		require.NoError(b, err)
		require.Equal(b, benchRows, result.Inserted)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchRows), "ns/row")
}

type rawDocuments [][]byte

func (d rawDocuments) Len() int { return len(d) }

func (d rawDocuments) Record(i int, rec *insert.Record) error {
	rec.JSON = d[i]
	return nil
}
