package sharding

import (
	"encoding/binary"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
)

// wireColumn is a column of sampled values in ClickHouse's native form. It is written by hand so that what is compared
// with the server does not pass through the encoders of clickhouse/column.
type wireColumn struct {
	typ  string
	rows int
	data []byte
}

func (c *wireColumn) Type() proto.ColumnType       { return proto.ColumnType(c.typ) }
func (c *wireColumn) Rows() int                    { return c.rows }
func (c *wireColumn) EncodeColumn(b *proto.Buffer) { b.PutRaw(c.data) }
func (c *wireColumn) WriteColumn(w *proto.Writer)  { w.ChainWrite(c.data) }
func wireType(t *column.Type) (typ string, size int) {
	inner, nullable := t.Unwrap()
	typ = inner.String()
	if nullable {
		typ = "Nullable(" + typ + ")"
	}
	return typ, sizes[inner.Name]
}

// sizes of the types whose values stand in Value.U; the others bring their bytes.
var sizes = map[string]int{
	"Int8": 1, "UInt8": 1, "Bool": 1, "Enum8": 1, "Int16": 2, "UInt16": 2, "Enum16": 2, "Date": 2,
	"Int32": 4, "UInt32": 4, "Date32": 4, "DateTime": 4, "Float32": 4, "IPv4": 4,
	"Int64": 8, "UInt64": 8, "DateTime64": 8, "Float64": 8,
}

// encode puts column i of the rows into wire form. LowCardinality is left to the server.
func encode(t *column.Type, rows [][]column.Value, i int) *wireColumn {
	typ, size := wireType(t)
	c := &wireColumn{typ: typ, rows: len(rows)}
	inner, nullable := t.Unwrap()
	if nullable {
		for _, r := range rows {
			null := byte(0)
			if r[i].Null {
				null = 1
			}
			c.data = append(c.data, null)
		}
	}
	for _, r := range rows {
		switch {
		case inner.Name == "String":
			c.data = binary.AppendUvarint(c.data, uint64(len(r[i].B)))
			c.data = append(c.data, r[i].B...)
		case size == 0:
			c.data = append(c.data, r[i].B...)
		default:
			var b [8]byte
			binary.LittleEndian.PutUint64(b[:], r[i].U)
			c.data = append(c.data, b[:size]...)
		}
	}
	return c
}
