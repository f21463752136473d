package column

import (
	"encoding/binary"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// stringCodec is String: the bytes of a JSON string, unescaped; of anything else its JSON text, as ClickHouse reads it with
// input_format_json_read_{numbers,bools,objects,arrays}_as_strings.
func stringCodec(t *Type, _ *environment) (*codec, error) {
	return textCodec(t, (*scratch).string, false), nil
}

// textParser gives the bytes of one value that is not null.
type textParser func(x *scratch, src []byte, s jsonscan.Span) ([]byte, error)

func textCodec(t *Type, parse textParser, versioned bool) *codec {
	typ := proto.ColumnType(t.String())
	return &codec{
		typ:    t,
		column: func() column { return &stringColumn{typ: typ, parse: parse, versioned: versioned} },
		zero:   Value{B: []byte{}},
		value: func(src []byte, s jsonscan.Span, x *scratch, dst *Value) (err error) {
			dst.B, err = parse(x, src, s)
			return err
		},
	}
}

// stringColumn keeps strings as ClickHouse sends them, each behind its length.
type stringColumn struct {
	fixedBytes
	typ       proto.ColumnType
	rows      int
	marks     []int // where every markEvery-th row starts, for truncate
	parse     textParser
	versioned bool // JSON: a version goes before the strings
}

// markEvery trades memory for the rows that truncate has to walk over.
const markEvery = 64

func (c *stringColumn) append(src []byte, s jsonscan.Span, x *scratch) error {
	if s.Kind == jsonscan.String && !c.versioned {
		c.put(src[s.Start:s.End])
		return nil
	}
	if s.Kind == jsonscan.Null {
		c.zero()
		return nil
	}
	text, err := c.parse(x, src, s)
	if err != nil {
		return err
	}
	c.put(text)
	return nil
}

func (c *stringColumn) appendTexts(readers []*Reader, slot int) int {
	for n, r := range readers {
		s := r.spans[slot]
		if s.Kind != jsonscan.String {
			return n
		}
		c.put(r.doc[s.Start:s.End])
	}
	return len(readers)
}

func (c *stringColumn) put(text []byte) {
	if c.rows%markEvery == 0 {
		c.marks = append(c.marks, len(c.data))
	}
	c.rows++
	if len(text) < 0x80 {
		c.data = append(c.data, byte(len(text)))
	} else {
		c.data = binary.AppendUvarint(c.data, uint64(len(text)))
	}
	c.data = append(c.data, text...)
}

func (c *stringColumn) zero() {
	if c.versioned {
		c.put(emptyObject)
		return
	}
	c.put(nil)
}

var emptyObject = []byte("{}")

func (c *stringColumn) truncate(rows int) {
	if rows >= c.rows {
		return
	}
	at := c.marks[rows/markEvery]
	for range rows % markEvery {
		n, width := binary.Uvarint(c.data[at:])
		at += width + int(n)
	}
	c.data, c.rows = c.data[:at], rows
	c.marks = c.marks[:(rows+markEvery-1)/markEvery]
}

func (c *stringColumn) Type() proto.ColumnType { return c.typ }
func (c *stringColumn) Rows() int              { return c.rows }

// EncodeState writes the version of JSON's serialization as strings, the same number that ch-go writes.
func (c *stringColumn) EncodeState(b *proto.Buffer) {
	if c.versioned {
		b.PutUInt64(proto.JSONStringSerializationVersion)
	}
}

// fixedStringCodec is FixedString(N): shorter values are padded with zero bytes, longer ones refused.
func fixedStringCodec(t *Type, _ *environment) (*codec, error) {
	return wideCodec(t, t.Length, func(dst, src []byte, s jsonscan.Span, x *scratch) error {
		text, err := x.string(src, s)
		if err != nil {
			return err
		}
		if len(text) > len(dst) {
			return reject(src, s, "is longer than %d bytes", len(dst))
		}
		clear(dst[copy(dst, text):])
		return nil
	}), nil
}
