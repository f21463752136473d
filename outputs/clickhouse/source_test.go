package clickhouse

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redpanda-data/benthos/v4/public/bloblang"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/clickhouse/insert"
	"github.com/benthos-clickhouse/connect/delivery"
)

// packedMessage holds three records, one of whose values has a newline in it.
func packedMessage() *service.Message {
	m := service.NewMessage([]byte("{\"a\":1}\n{\n}\n{\"a\":3}\n"))
	m.MetaSetMut(delivery.MetaRecords, &delivery.Records{
		Topic: "clicks", Partition: 2, Ends: []int{7, 11, 19}, Offsets: []int64{10, 11, 15},
		Timestamps: []int64{100, 200, 300}, Keys: [][]byte{[]byte("x"), nil, []byte("z")},
		Errors: map[int]error{2: errors.New("no such product")},
	})
	m.MetaSetMut("kafka_topic", "clicks")
	return m
}

func TestSourceShowsRecordsOfBothForms(t *testing.T) {
	single := service.NewMessage([]byte(`{"a":0}`))
	single.MetaSetMut("kafka_topic", "clicks")
	single.MetaSetMut("kafka_partition", 2)
	single.MetaSetMut("kafka_offset", 9)
	last := service.NewMessage([]byte(`{"a":4}`))
	s, err := newSource(service.MessageBatch{single, packedMessage(), last}, nil, wants{}, nil, nil)
	require.NoError(t, err)
	require.Equal(t, 5, s.Len())

	var rec insert.Record
	require.NoError(t, s.Record(0, &rec))
	require.Equal(t, `{"a":0}`, string(rec.JSON))
	require.Equal(t, column.Provenance{Topic: "clicks", Partition: 2, Offset: 9, Valid: true}, rec.Provenance)
	rec = insert.Record{}
	require.NoError(t, s.Record(1, &rec))
	require.Equal(t, `{"a":1}`, string(rec.JSON))
	require.Equal(t, column.Provenance{Topic: "clicks", Partition: 2, Offset: 10, TimestampMs: 100, Key: []byte("x"), Valid: true}, rec.Provenance)
	rec = insert.Record{}
	require.NoError(t, s.Record(2, &rec))
	require.Equal(t, "{\n}", string(rec.JSON))
	require.ErrorContains(t, s.Record(3, &rec), "no such product")
	rec = insert.Record{}
	require.NoError(t, s.Record(4, &rec))
	require.Equal(t, `{"a":4}`, string(rec.JSON))
	require.False(t, rec.Provenance.Valid)
	require.NoError(t, s.Record(1, &rec), "records are read again to find the ones at fault")
	require.Equal(t, int64(10), rec.Provenance.Offset)
}

func TestSourceShowsOriginals(t *testing.T) {
	s, err := newSource(service.MessageBatch{packedMessage()}, nil, wants{}, nil, nil)
	require.NoError(t, err)
	m := s.original(2)
	content, err := m.AsBytes()
	require.NoError(t, err)
	require.Equal(t, `{"a":3}`, string(content))
	offset, _ := m.MetaGetMut("kafka_offset")
	require.Equal(t, 15, offset)
	key, _ := m.MetaGet("kafka_key")
	require.Equal(t, "z", key)
	_, packed := m.MetaGetMut(delivery.MetaRecords)
	require.False(t, packed)
}

func TestSourceRefusesBoundariesThatDoNotFit(t *testing.T) {
	m := packedMessage()
	m.SetBytes([]byte(`{}`))
	_, err := newSource(service.MessageBatch{m}, nil, wants{}, nil, nil)
	require.ErrorIs(t, err, delivery.ErrRecords)
}

func TestSourceStructuredAndFailedMessages(t *testing.T) {
	structured := service.NewMessage(nil)
	structured.SetStructured(map[string]any{"a": 1})
	failed := service.NewMessage([]byte(`{}`))
	failed.SetError(errors.New("join failed"))
	empty := service.NewMessage([]byte{})
	s, err := newSource(service.MessageBatch{structured, failed, empty}, nil, wants{}, nil, nil)
	require.NoError(t, err)
	var rec insert.Record
	require.NoError(t, s.Record(0, &rec))
	require.Nil(t, rec.JSON)
	require.Equal(t, map[string]any{"a": 1}, rec.Value)
	require.ErrorContains(t, s.Record(1, &rec), "join failed")
	rec = insert.Record{}
	require.NoError(t, s.Record(2, &rec))
	require.NotNil(t, rec.JSON)
}

// Inputs that keep keys as strings cannot tell an empty one from none.
func TestKeys(t *testing.T) {
	require.Nil(t, keyBytes(""))
	require.Nil(t, keyBytes(7))
	require.Equal(t, []byte("k"), keyBytes("k"))
	require.Equal(t, []byte{}, keyBytes([]byte{}))
}

func TestSourceComputesColumns(t *testing.T) {
	for mapping, want := range map[string]any{
		`root = this.a + 1`: float64(2),
		`root = "text"`:     "text",
		`root = null`:       nil,
		`root = [1, "b"]`:   []any{int64(1), "b"},
		`root = @kafka_topic + content().string()`: `clicks{"a":1}`,
		`root = if true { deleted() }`:             column.Missing{},
		`root = @kafka_offset`:                     int64(10),
	} {
		t.Run(mapping, func(t *testing.T) {
			m, err := bloblang.Parse(mapping)
			require.NoError(t, err)
			single := service.NewMessage([]byte(`{"a":1}`))
			single.MetaSetMut("kafka_topic", "clicks")
			single.MetaSetMut("kafka_offset", int64(10))
			s, err := newSource(service.MessageBatch{single, packedMessage()}, nil, wants{}, []computed{{column: "c", mapping: m}}, nil)
			require.NoError(t, err)
			for i := range 2 {
				var rec insert.Record
				require.NoError(t, s.Record(i, &rec))
				require.EqualValues(t, want, rec.Computed[0], "record %d", i)
			}
		})
	}
}
