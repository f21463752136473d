package column

import (
	"fmt"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// mapCodec is Map(K, V): a JSON object, its members in their order, each name read as a K and each value as a V. A name that
// stands twice is there twice, as in ClickHouse.
func mapCodec(t *Type, env *environment) (*codec, error) {
	keyType, nullable := t.Args[0].Unwrap()
	keys, err := compile(t.Args[0], env)
	if err != nil {
		return nil, err
	}
	if keys.value == nil || nullable {
		return nil, fmt.Errorf("%s cannot be the key of a Map", keyType)
	}
	values, err := compile(t.Args[1], env)
	if err != nil {
		return nil, err
	}
	typ := proto.ColumnType(t.String())
	return &codec{typ: t, column: func() column {
		return &mapColumn{typ: typ, keys: keys.column(), values: values.column()}
	}}, nil
}

// mapColumn is where each row's members end, and the keys and values of all rows in one column each.
type mapColumn struct {
	offsets
	typ          proto.ColumnType
	keys, values column
}

func (c *mapColumn) append(src []byte, s jsonscan.Span, x *scratch) error {
	if s.Kind == jsonscan.Null {
		c.zero()
		return nil
	}
	if s.Kind != jsonscan.Object {
		return notA(src, s, "an object")
	}
	members := jsonscan.NewMembers(src, s)
	for {
		name, value, ok := members.Next()
		if !ok {
			break
		}
		if err := c.keys.append(src, name, x); err != nil {
			return fmt.Errorf("key: %w", err)
		}
		if err := c.values.append(src, value, x); err != nil {
			return fmt.Errorf("value of %s: %w", shorten(name.Bytes(src)), err)
		}
	}
	c.end(c.values.Rows())
	return nil
}

func (c *mapColumn) zero() { c.end(c.values.Rows()) }

func (c *mapColumn) truncate(rows int) {
	n := c.keep(rows)
	c.keys.truncate(n)
	c.values.truncate(n)
}

func (c *mapColumn) Type() proto.ColumnType { return c.typ }
func (c *mapColumn) size() int              { return len(c.data) + c.keys.size() + c.values.size() }

func (c *mapColumn) EncodeState(b *proto.Buffer) {
	c.keys.EncodeState(b)
	c.values.EncodeState(b)
}

func (c *mapColumn) EncodeColumn(b *proto.Buffer) {
	c.offsets.EncodeColumn(b)
	c.keys.EncodeColumn(b)
	c.values.EncodeColumn(b)
}

func (c *mapColumn) WriteColumn(w *proto.Writer) {
	c.offsets.WriteColumn(w)
	c.keys.WriteColumn(w)
	c.values.WriteColumn(w)
}
