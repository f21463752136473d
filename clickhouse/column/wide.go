package column

import (
	"github.com/ClickHouse/ch-go/proto"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// wideParser converts one JSON value that is not null into dst, which has the width of the type. What dst held before is lost.
type wideParser func(dst, src []byte, s jsonscan.Span, x *scratch) error

// wide is a scalar type of a fixed number of bytes that is no word; its default is all zero bytes.
type wide struct {
	typ   proto.ColumnType
	width int
	parse wideParser
}

// wideCodec makes the codec of a scalar of a fixed number of bytes.
func wideCodec(t *Type, width int, parse wideParser) *codec {
	w := &wide{typ: proto.ColumnType(t.String()), width: width, parse: parse}
	return &codec{
		typ:    t,
		column: func() column { return &wideColumn{wide: w} },
		width:  width,
		zero:   Value{B: make([]byte, width)},
		value: func(src []byte, s jsonscan.Span, x *scratch, dst *Value) error {
			dst.B = x.room(width)
			return parse(dst.B, src, s, x)
		},
	}
}

// wideColumn keeps the values one after the other.
type wideColumn struct {
	*wide
	fixedBytes
}

func (c *wideColumn) append(src []byte, s jsonscan.Span, x *scratch) error {
	c.zero()
	if s.Kind == jsonscan.Null {
		return nil
	}
	return c.parse(c.data[len(c.data)-c.width:], src, s, x)
}

func (c *wideColumn) zero() {
	n := len(c.data)
	if cap(c.data)-n >= c.width {
		c.data = c.data[:n+c.width]
		clear(c.data[n:])
		return
	}
	c.data = append(c.data, make([]byte, c.width)...)
}

func (c *wideColumn) Type() proto.ColumnType { return c.typ }
func (c *wideColumn) Rows() int              { return len(c.data) / c.width }
func (c *wideColumn) truncate(rows int)      { c.data = c.data[:rows*c.width] }
