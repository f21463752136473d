package column

import (
	"fmt"

	"github.com/ClickHouse/ch-go/proto"
)

// Types that are another type under a name of their own: they take what that one takes and look the same on the wire.
// The block carries the column's own name for it.

// geometry are ClickHouse's geometric types (DataTypes/DataTypeCustomGeo.cpp).
var geometry = map[string]string{
	"Point":           "Tuple(Float64, Float64)",
	"Ring":            "Array(Point)",
	"LineString":      "Array(Point)",
	"MultiLineString": "Array(LineString)",
	"Polygon":         "Array(Ring)",
	"MultiPolygon":    "Array(Polygon)",
}

// geometryCodec is Point, as [x, y], and what is made of points.
func geometryCodec(t *Type, env *environment) (*codec, error) {
	shape, err := ParseType(geometry[t.Name])
	if err != nil {
		return nil, err
	}
	return aliasCodec(t, shape, env)
}

// nestedCodec is Nested as one column (flatten_nested=0): an array of objects or of arrays.
func nestedCodec(t *Type, env *environment) (*codec, error) {
	row := &Type{Name: "Tuple", Args: t.Args, Fields: t.Fields}
	return aliasCodec(t, &Type{Name: "Array", Args: []*Type{row}}, env)
}

// aggregateCodec is SimpleAggregateFunction(f, T): what T takes.
func aggregateCodec(t *Type, env *environment) (*codec, error) {
	if len(t.Args) != 1 {
		return nil, fmt.Errorf("it needs the type of its values")
	}
	return aliasCodec(t, t.Args[0], env)
}

func aliasCodec(t, shape *Type, env *environment) (*codec, error) {
	of, err := compile(shape, env)
	if err != nil {
		return nil, err
	}
	c := *of
	c.typ = t
	typ := proto.ColumnType(t.String())
	c.column = func() column { return &aliasColumn{column: of.column(), typ: typ} }
	return &c, nil
}

// aliasColumn is a column under another name.
type aliasColumn struct {
	column
	typ proto.ColumnType
}

func (c *aliasColumn) Type() proto.ColumnType { return c.typ }
