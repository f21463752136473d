package column

import (
	"encoding/binary"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// wordParser converts one JSON value that is not null to a scalar of up to eight bytes.
type wordParser func(src []byte, s jsonscan.Span, x *scratch) (uint64, error)

// word is a scalar type of one, two, four or eight bytes.
type word struct {
	typ   proto.ColumnType
	width int
	zero  uint64
	parse wordParser
}

// wordCodec makes the codec of a scalar that fits a word.
func wordCodec(t *Type, width int, zero uint64, parse wordParser) *codec {
	w := &word{typ: proto.ColumnType(t.String()), width: width, zero: zero, parse: parse}
	return &codec{
		typ:    t,
		column: func() column { return &wordColumn{word: w} },
		width:  width,
		zero:   Value{U: zero},
		value: func(src []byte, s jsonscan.Span, x *scratch, dst *Value) (err error) {
			dst.U, err = parse(src, s, x)
			return err
		},
	}
}

// wordColumn keeps words one after the other, little endian.
type wordColumn struct {
	*word
	fixedBytes
}

func (c *wordColumn) append(src []byte, s jsonscan.Span, x *scratch) error {
	if s.Kind == jsonscan.Null {
		c.zero()
		return nil
	}
	u, err := c.parse(src, s, x)
	if err != nil {
		return err
	}
	c.put(u, c.width)
	return nil
}

func (c *wordColumn) zero()                  { c.put(c.word.zero, c.width) }
func (c *wordColumn) Type() proto.ColumnType { return c.typ }
func (c *wordColumn) Rows() int              { return len(c.data) / c.width }
func (c *wordColumn) truncate(rows int)      { c.data = c.data[:rows*c.width] }

// fixedBytes is the wire form of a column that needs no more than its bytes.
type fixedBytes struct{ data []byte }

func (c *fixedBytes) put(u uint64, width int) {
	switch width {
	case 8:
		c.data = binary.LittleEndian.AppendUint64(c.data, u)
	case 4:
		c.data = binary.LittleEndian.AppendUint32(c.data, uint32(u))
	case 2:
		c.data = binary.LittleEndian.AppendUint16(c.data, uint16(u))
	default:
		c.data = append(c.data, byte(u))
	}
}

func (c *fixedBytes) size() int                    { return len(c.data) }
func (c *fixedBytes) EncodeState(*proto.Buffer)    {}
func (c *fixedBytes) EncodeColumn(b *proto.Buffer) { b.Buf = append(b.Buf, c.data...) }
func (c *fixedBytes) WriteColumn(w *proto.Writer)  { w.ChainWrite(c.data) }
