package column

import (
	"errors"
	"fmt"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// tupleCodec is Tuple: a JSON array of as many elements, or, where the members have names, an object. A member that the object
// lacks gets its type's default, and members of the object that the Tuple lacks are passed over, both as in ClickHouse.
func tupleCodec(t *Type, env *environment) (*codec, error) {
	if len(t.Args) == 0 {
		return nil, errors.New("a Tuple without members holds nothing")
	}
	return tuple(t, t, env)
}

// tuple makes the codec of a Tuple with the members of shape, under the name of t.
func tuple(t, shape *Type, env *environment) (*codec, error) {
	members := make([]*codec, len(shape.Args))
	for i, arg := range shape.Args {
		var err error
		if members[i], err = compile(arg, env); err != nil {
			return nil, fmt.Errorf("member %d: %w", i+1, err)
		}
	}
	names := make(map[string]int)
	for i, name := range shape.Fields {
		if name != "" {
			names[name] = i
		}
	}
	typ := proto.ColumnType(t.String())
	return &codec{typ: t, column: func() column {
		c := &tupleColumn{typ: typ, names: names, strict: env.strict}
		for _, m := range members {
			c.members = append(c.members, m.column())
		}
		c.found = make([]jsonscan.Span, len(members))
		return c
	}}, nil
}

// tupleColumn is a column per member.
type tupleColumn struct {
	typ     proto.ColumnType
	members []column
	names   map[string]int  // empty: the members have none
	strict  bool            // a member may not stand twice
	found   []jsonscan.Span // where each member stands in the object at hand
}

func (c *tupleColumn) append(src []byte, s jsonscan.Span, x *scratch) error {
	switch {
	case s.Kind == jsonscan.Null:
		c.zero()
		return nil
	case s.Kind == jsonscan.Array:
		return c.appendArray(src, s, x)
	case s.Kind == jsonscan.Object && len(c.names) == len(c.members):
		return c.appendObject(src, s, x)
	case len(c.names) == len(c.members):
		return notA(src, s, "an object or an array")
	}
	return notA(src, s, "an array")
}

func (c *tupleColumn) appendArray(src []byte, s jsonscan.Span, x *scratch) error {
	elements := jsonscan.NewElements(src, s)
	for i, m := range c.members {
		e, ok := elements.Next()
		if !ok {
			return reject(src, s, "has fewer than %d elements", len(c.members))
		}
		if err := m.append(src, e, x); err != nil {
			return fmt.Errorf("member %d: %w", i+1, err)
		}
	}
	if _, more := elements.Next(); more {
		return reject(src, s, "has more than %d elements", len(c.members))
	}
	return nil
}

func (c *tupleColumn) appendObject(src []byte, s jsonscan.Span, x *scratch) error {
	clear(c.found)
	members := jsonscan.NewMembers(src, s)
	for {
		name, value, ok := members.Next()
		if !ok {
			break
		}
		text, err := x.string(src, name)
		if err != nil {
			return err
		}
		i, ok := c.names[string(text)]
		if !ok {
			continue
		}
		if c.found[i].Kind != jsonscan.Missing && c.strict {
			return reject(src, name, "stands twice in an object")
		}
		c.found[i] = value
	}
	for i, m := range c.members {
		if c.found[i].Kind == jsonscan.Missing {
			m.zero()
			continue
		}
		if err := m.append(src, c.found[i], x); err != nil {
			return fmt.Errorf("member %d: %w", i+1, err)
		}
	}
	return nil
}

func (c *tupleColumn) zero() {
	for _, m := range c.members {
		m.zero()
	}
}

func (c *tupleColumn) truncate(rows int) {
	for _, m := range c.members {
		m.truncate(rows)
	}
}

func (c *tupleColumn) size() (n int) {
	for _, m := range c.members {
		n += m.size()
	}
	return n
}

func (c *tupleColumn) Type() proto.ColumnType { return c.typ }
func (c *tupleColumn) Rows() int              { return c.members[0].Rows() }

func (c *tupleColumn) EncodeState(b *proto.Buffer) {
	for _, m := range c.members {
		m.EncodeState(b)
	}
}

func (c *tupleColumn) EncodeColumn(b *proto.Buffer) {
	for _, m := range c.members {
		m.EncodeColumn(b)
	}
}

func (c *tupleColumn) WriteColumn(w *proto.Writer) {
	for _, m := range c.members {
		m.WriteColumn(w)
	}
}
