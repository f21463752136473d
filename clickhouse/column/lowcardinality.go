package column

import (
	"encoding/binary"
	"fmt"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// lowCardinalityCodec is LowCardinality(T) and LowCardinality(Nullable(T)): what T takes, kept as a dictionary per block.
func lowCardinalityCodec(t *Type, env *environment) (*codec, error) {
	inner := t.Args[0]
	of, err := compile(inner, env)
	if err != nil {
		return nil, err
	}
	if base, _ := inner.Unwrap(); !dictionaryTypes[base.Name] {
		return nil, fmt.Errorf("ClickHouse has no LowCardinality(%s)", base.Name)
	}
	base := of
	if of.nullable {
		if base, err = compile(inner.Args[0], env); err != nil {
			return nil, err
		}
	}
	typ := proto.ColumnType(t.String())
	c := &codec{typ: t, nullable: of.nullable, value: base.value, width: base.width, zero: of.zero}
	c.column = func() column {
		col := &lowCardinalityColumn{typ: typ, codec: base, nullable: of.nullable}
		col.reset()
		return col
	}
	return c, nil
}

// dictionaryTypes are the types that ClickHouse allows in a LowCardinality (DataTypes/DataTypeLowCardinality.cpp).
var dictionaryTypes = func() map[string]bool {
	types := make(map[string]bool)
	for _, name := range []string{
		"String", "FixedString", "Date", "Date32", "DateTime", "Time", "UUID", "IPv4", "IPv6", "Bool", "Float32", "Float64", "BFloat16",
		"Int8", "Int16", "Int32", "Int64", "Int128", "Int256", "UInt8", "UInt16", "UInt32", "UInt64", "UInt128", "UInt256",
	} {
		types[name] = true
	}
	for _, name := range intervals {
		types[name] = true
	}
	return types
}()

// lowCardinalityColumn is the distinct values in the order they came, and each row's index into them.
type lowCardinalityColumn struct {
	typ      proto.ColumnType
	codec    *codec // of the values, without Nullable
	nullable bool   // entry 0 stands for NULL

	dict dictionary
	keys []byte // rows indexes of width bytes
	rows int
	wide int // bytes of an index: 1, 2 or 4
	text [8]byte
}

func (c *lowCardinalityColumn) append(src []byte, s jsonscan.Span, x *scratch) error {
	if s.Kind == jsonscan.String && c.codec.width == 0 {
		if i := c.dict.recall(src, int(s.Start), int(s.End)); i >= 0 {
			c.key(i)
		} else {
			c.put(src[s.Start:s.End])
		}
		return nil
	}
	if s.Kind == jsonscan.Null {
		c.zero()
		return nil
	}
	x.value = Value{}
	if err := c.codec.value(src, s, x, &x.value); err != nil {
		return err
	}
	c.put(c.wire(&x.value))
	return nil
}

func (c *lowCardinalityColumn) appendTexts(readers []*Reader, slot int) int {
	for n, r := range readers {
		s := r.spans[slot]
		if s.Kind != jsonscan.String {
			return n
		}
		if i := c.dict.recall(r.doc, int(s.Start), int(s.End)); i >= 0 {
			c.key(i)
		} else {
			c.put(r.doc[s.Start:s.End])
		}
	}
	return len(readers)
}

// wire is the value as the dictionary holds it.
func (c *lowCardinalityColumn) wire(v *Value) []byte {
	if v.B != nil || c.codec.width == 0 {
		return v.B
	}
	binary.LittleEndian.PutUint64(c.text[:], v.U)
	return c.text[:c.codec.width]
}

func (c *lowCardinalityColumn) zero() {
	if c.nullable {
		c.key(0)
		return
	}
	c.put(c.wire(&c.codec.zero))
}

func (c *lowCardinalityColumn) put(text []byte) {
	i := c.dict.index(text, c.rows)
	if i >= 1<<(8*c.wide) {
		c.widen()
	}
	c.key(i)
}

// key adds a row.
func (c *lowCardinalityColumn) key(i int) {
	c.rows++
	switch c.wide {
	case 1:
		c.keys = append(c.keys, byte(i))
	case 2:
		c.keys = binary.LittleEndian.AppendUint16(c.keys, uint16(i))
	default:
		c.keys = binary.LittleEndian.AppendUint32(c.keys, uint32(i))
	}
}

// widen doubles the width of the indexes, from the last to the first so that it can be done in place.
func (c *lowCardinalityColumn) widen() {
	n := len(c.keys)
	c.keys = append(c.keys, make([]byte, n)...)
	for i := c.rows - 1; i >= 0; i-- {
		if c.wide == 1 {
			binary.LittleEndian.PutUint16(c.keys[i*2:], uint16(c.keys[i]))
		} else {
			binary.LittleEndian.PutUint32(c.keys[i*4:], uint32(binary.LittleEndian.Uint16(c.keys[i*2:])))
		}
	}
	c.wide *= 2
}

func (c *lowCardinalityColumn) truncate(rows int) {
	if rows == 0 {
		c.reset()
		return
	}
	c.keys, c.rows = c.keys[:rows*c.wide], rows
	c.dict.forget(rows)
}

func (c *lowCardinalityColumn) reset() {
	c.keys, c.rows, c.wide = c.keys[:0], 0, 1
	c.dict.reset(c.codec.width)
	if c.nullable {
		c.dict.reserve(c.wire(&c.codec.zero))
	}
}

func (c *lowCardinalityColumn) Type() proto.ColumnType { return c.typ }
func (c *lowCardinalityColumn) Rows() int              { return c.rows }
func (c *lowCardinalityColumn) size() int              { return len(c.keys) + len(c.dict.data) }

// Serialization of LowCardinality (Serializations/SerializationLowCardinality.cpp): a version before the column; then, for each
// block, flags with the width of the indexes, the dictionary, the indexes.
const (
	sharedDictionariesWithAdditionalKeys = 1
	hasAdditionalKeys                    = 1 << 9
	needUpdateDictionary                 = 1 << 10
)

func (c *lowCardinalityColumn) EncodeState(b *proto.Buffer) {
	b.PutInt64(sharedDictionariesWithAdditionalKeys)
}

func (c *lowCardinalityColumn) EncodeColumn(b *proto.Buffer) {
	if c.rows == 0 {
		return
	}
	c.encodeHead(b)
	b.Buf = append(b.Buf, c.dict.data...)
	b.PutInt64(int64(c.rows))
	b.Buf = append(b.Buf, c.keys...)
}

func (c *lowCardinalityColumn) WriteColumn(w *proto.Writer) {
	if c.rows == 0 {
		return
	}
	w.ChainBuffer(c.encodeHead)
	w.ChainWrite(c.dict.data)
	w.ChainBuffer(func(b *proto.Buffer) { b.PutInt64(int64(c.rows)) })
	w.ChainWrite(c.keys)
}

func (c *lowCardinalityColumn) encodeHead(b *proto.Buffer) {
	b.PutInt64(int64(hasAdditionalKeys | needUpdateDictionary | c.wide>>1)) // 1, 2, 4 bytes are types 0, 1, 2
	b.PutInt64(int64(len(c.dict.entries)))
}
