package column

import (
	"fmt"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// qbitCodec is QBit(T, N): an array of N numbers that the float type T takes. The default is a vector of zeros.
func qbitCodec(t *Type, env *environment) (*codec, error) {
	widths := map[string]int{"BFloat16": 16, "Float32": 32, "Float64": 64}
	if len(t.Args) != 1 || widths[t.Args[0].Name] == 0 {
		return nil, fmt.Errorf("a QBit has elements of a float type")
	}
	of, err := compile(t.Args[0], env)
	if err != nil {
		return nil, err
	}
	typ := proto.ColumnType(t.String())
	return &codec{typ: t, column: func() column {
		return &qbitColumn{
			typ: typ, parse: of.value, dimension: t.Length, stride: (t.Length + 7) / 8,
			planes: make([][]byte, widths[t.Args[0].Name]), vector: make([]uint64, t.Length),
		}
	}}, nil
}

// qbitColumn keeps one plane for each bit of an element, the highest bit first. A plane has a bit for each element of each row;
// those of the first eight elements stand in the row's last byte (Serializations/SerializationQBit.cpp).
type qbitColumn struct {
	typ       proto.ColumnType
	parse     func(src []byte, s jsonscan.Span, x *scratch, dst *Value) error
	dimension int
	stride    int // bytes of a row in a plane
	planes    [][]byte
	vector    []uint64 // the row at hand
}

func (c *qbitColumn) append(src []byte, s jsonscan.Span, x *scratch) error {
	if s.Kind == jsonscan.Null {
		c.zero()
		return nil
	}
	if s.Kind != jsonscan.Array {
		return notA(src, s, "an array")
	}
	elements := jsonscan.NewElements(src, s)
	for i := 0; ; i++ {
		e, ok := elements.Next()
		if !ok && i == c.dimension {
			c.put()
			return nil
		}
		if !ok || i == c.dimension {
			return reject(src, s, "does not have %d elements", c.dimension)
		}
		x.value = Value{}
		if e.Kind != jsonscan.Null {
			if err := c.parse(src, e, x, &x.value); err != nil {
				return fmt.Errorf("element %d: %w", i, err)
			}
		}
		c.vector[i] = x.value.U
	}
}

// put distributes the bits of the vector over the planes.
func (c *qbitColumn) put() {
	c.zero()
	for p, plane := range c.planes {
		bit := len(c.planes) - 1 - p
		row := plane[len(plane)-c.stride:]
		for i, u := range c.vector {
			row[c.stride-1-i/8] |= byte(u>>bit&1) << (i % 8)
		}
	}
}

func (c *qbitColumn) zero() {
	for p := range c.planes {
		for range c.stride {
			c.planes[p] = append(c.planes[p], 0)
		}
	}
}

func (c *qbitColumn) truncate(rows int) {
	for p := range c.planes {
		c.planes[p] = c.planes[p][:rows*c.stride]
	}
}

func (c *qbitColumn) Type() proto.ColumnType    { return c.typ }
func (c *qbitColumn) Rows() int                 { return len(c.planes[0]) / c.stride }
func (c *qbitColumn) size() int                 { return len(c.planes) * len(c.planes[0]) }
func (c *qbitColumn) EncodeState(*proto.Buffer) {}

func (c *qbitColumn) EncodeColumn(b *proto.Buffer) {
	for _, plane := range c.planes {
		b.Buf = append(b.Buf, plane...)
	}
}

func (c *qbitColumn) WriteColumn(w *proto.Writer) {
	for _, plane := range c.planes {
		w.ChainWrite(plane)
	}
}
