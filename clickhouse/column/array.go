package column

import (
	"encoding/binary"
	"fmt"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// arrayCodec is Array(T): a JSON array of what T takes.
func arrayCodec(t *Type, env *environment) (*codec, error) {
	of, err := compile(t.Args[0], env)
	if err != nil {
		return nil, err
	}
	typ := proto.ColumnType(t.String())
	return &codec{typ: t, array: true, column: func() column {
		return &arrayColumn{offsets: offsets{}, typ: typ, values: of.column()}
	}}, nil
}

// arrayColumn is where each row's elements end, and the elements of all rows in one column.
type arrayColumn struct {
	offsets
	typ    proto.ColumnType
	values column
}

func (c *arrayColumn) append(src []byte, s jsonscan.Span, x *scratch) error {
	if s.Kind == jsonscan.Null {
		c.zero()
		return nil
	}
	if s.Kind != jsonscan.Array {
		return notA(src, s, "an array")
	}
	elements := jsonscan.NewElements(src, s)
	for n := 0; ; n++ {
		e, ok := elements.Next()
		if !ok {
			break
		}
		if err := c.values.append(src, e, x); err != nil {
			return fmt.Errorf("element %d: %w", n, err)
		}
	}
	c.end(c.values.Rows())
	return nil
}

func (c *arrayColumn) zero() { c.end(c.values.Rows()) }

func (c *arrayColumn) truncate(rows int) { c.values.truncate(c.keep(rows)) }

func (c *arrayColumn) Type() proto.ColumnType      { return c.typ }
func (c *arrayColumn) size() int                   { return len(c.data) + c.values.size() }
func (c *arrayColumn) EncodeState(b *proto.Buffer) { c.values.EncodeState(b) }

func (c *arrayColumn) EncodeColumn(b *proto.Buffer) {
	c.offsets.EncodeColumn(b)
	c.values.EncodeColumn(b)
}

func (c *arrayColumn) WriteColumn(w *proto.Writer) {
	c.offsets.WriteColumn(w)
	c.values.WriteColumn(w)
}

// offsets are where the rows of an Array or a Map end in the columns of their elements, as eight little-endian bytes each.
type offsets struct{ fixedBytes }

// Rows counts the rows, not the elements.
func (o *offsets) Rows() int { return len(o.data) / 8 }

// end closes a row: its elements are those up to n.
func (o *offsets) end(n int) { o.data = binary.LittleEndian.AppendUint64(o.data, uint64(n)) }

// keep drops all rows but the first, and returns how many elements these have.
func (o *offsets) keep(rows int) (elements int) {
	o.data = o.data[:rows*8]
	if rows == 0 {
		return 0
	}
	return int(binary.LittleEndian.Uint64(o.data[rows*8-8:]))
}
