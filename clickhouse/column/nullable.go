package column

import (
	"fmt"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// nullableCodec is Nullable(T): null, or what T takes.
func nullableCodec(t *Type, env *environment) (*codec, error) {
	inner := t.Args[0]
	switch inner.Name {
	case "Nullable", "LowCardinality", "Array", "Map", "Nested":
		return nil, fmt.Errorf("ClickHouse has no Nullable(%s)", inner.Name)
	}
	of, err := compile(inner, env)
	if err != nil {
		return nil, err
	}
	typ := proto.ColumnType(t.String())
	return &codec{
		typ: t, nullable: true, value: of.value, zero: Value{Null: true},
		column: func() column { return &nullableColumn{typ: typ, values: of.column()} },
	}, nil
}

// nullableColumn is a mask, one byte a row, and a column that has the type's default where the mask says NULL.
type nullableColumn struct {
	typ    proto.ColumnType
	nulls  []byte
	values column
}

func (c *nullableColumn) append(src []byte, s jsonscan.Span, x *scratch) error {
	if s.Kind == jsonscan.Null {
		c.zero()
		return nil
	}
	c.nulls = append(c.nulls, 0)
	return c.values.append(src, s, x)
}

func (c *nullableColumn) zero() {
	c.nulls = append(c.nulls, 1)
	c.values.zero()
}

func (c *nullableColumn) truncate(rows int) {
	c.nulls = c.nulls[:rows]
	c.values.truncate(rows)
}

func (c *nullableColumn) Type() proto.ColumnType      { return c.typ }
func (c *nullableColumn) Rows() int                   { return len(c.nulls) }
func (c *nullableColumn) size() int                   { return len(c.nulls) + c.values.size() }
func (c *nullableColumn) EncodeState(b *proto.Buffer) { c.values.EncodeState(b) }

func (c *nullableColumn) EncodeColumn(b *proto.Buffer) {
	b.Buf = append(b.Buf, c.nulls...)
	c.values.EncodeColumn(b)
}

func (c *nullableColumn) WriteColumn(w *proto.Writer) {
	w.ChainWrite(c.nulls)
	c.values.WriteColumn(w)
}
