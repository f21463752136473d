package output

import (
	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/clickhouse/insert"
	"github.com/benthos-clickhouse/connect/tests/leases"
)

// partition is one whose ranges nobody has written.
func partition() *leases.Kafka { return leases.New("clicks", 3) }

// records is a Source whose documents have Kafka offsets, the first one's being that of the range.
type records struct {
	documents
	from int64
}

func (r records) Record(i int, rec *insert.Record) error {
	rec.JSON = []byte(r.documents[i])
	rec.Provenance = column.Provenance{Topic: "clicks", Partition: 3, Offset: r.from + int64(i), Valid: true}
	return nil
}

func rangeOf(from, to int) records { return records{events(from, to), int64(from)} }

// provenance are the columns that let landed rows be looked up.
var provenance = []insert.Column{
	{Name: "topic", Source: column.Meta("kafka_topic")},
	{Name: "partition", Source: column.Meta("kafka_partition")},
	{Name: "offset", Source: column.Meta("kafka_offset")},
}
