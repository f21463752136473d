package column

import (
	"strconv"
	"strings"
)

// Type is a ClickHouse type taken apart. Treat it as immutable.
type Type struct {
	// Name is the family: "UInt64", "DateTime64", "Tuple". Decimal32(S)…Decimal256(S) are named "Decimal", as the server prints them.
	Name string
	// Args are the element types: one of Array, Nullable, LowCardinality and SimpleAggregateFunction, two of Map, all of
	// Tuple, Nested and Variant.
	Args []*Type
	// Fields are the names of a Tuple's or Nested's members, parallel to Args; empty strings in an unnamed Tuple.
	Fields []string

	Precision int    // Decimal: digits
	Scale     int    // Decimal: digits after the point; DateTime64, Time64: digits of a second
	Zone      string // DateTime, DateTime64: time zone, empty for the server's
	Length    int    // FixedString: bytes; QBit: elements
	Enum      []EnumValue
	Function  string // SimpleAggregateFunction: the function, with its parameters

	text string // as it was written
}

// EnumValue is one name of an Enum8 or Enum16.
type EnumValue struct {
	Name  string
	Value int16
}

// String returns the type as it was given to ParseType, or in ClickHouse's own spelling where it was built.
func (t *Type) String() string {
	if t.text != "" {
		return t.text
	}
	return t.canonical()
}

// canonical spells the type as ClickHouse does.
func (t *Type) canonical() string {
	params := t.params()
	if len(params) == 0 {
		return t.Name
	}
	return t.Name + "(" + strings.Join(params, ", ") + ")"
}

func (t *Type) params() []string {
	var params []string
	switch t.Name {
	case "Decimal":
		return []string{strconv.Itoa(t.Precision), strconv.Itoa(t.Scale)}
	case "DateTime64", "Time64":
		params = append(params, strconv.Itoa(t.Scale))
	case "FixedString":
		params = append(params, strconv.Itoa(t.Length))
	case "SimpleAggregateFunction":
		params = append(params, t.Function)
	}
	if t.Zone != "" {
		params = append(params, quote(t.Zone, '\''))
	}
	for _, e := range t.Enum {
		params = append(params, quote(e.Name, '\'')+" = "+strconv.Itoa(int(e.Value)))
	}
	for i, arg := range t.Args {
		s := arg.String()
		if i < len(t.Fields) && t.Fields[i] != "" {
			s = quoteName(t.Fields[i]) + " " + s
		}
		params = append(params, s)
	}
	if t.Name == "QBit" {
		params = append(params, strconv.Itoa(t.Length))
	}
	return params
}

// Unwrap takes LowCardinality, Nullable and SimpleAggregateFunction off: the type whose values are compared and hashed, and
// whether it may be NULL.
func (t *Type) Unwrap() (inner *Type, nullable bool) {
	for len(t.Args) == 1 {
		switch t.Name {
		case "LowCardinality", "SimpleAggregateFunction":
		case "Nullable":
			nullable = true
		default:
			return t, nullable
		}
		t = t.Args[0]
	}
	return t, nullable
}

// quote writes s between quotation marks with ClickHouse's backslash escapes.
func quote(s string, mark byte) string {
	var b strings.Builder
	b.WriteByte(mark)
	for i := 0; i < len(s); i++ {
		if s[i] == mark || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte(mark)
	return b.String()
}

// quoteName puts a member's name between backticks where ClickHouse would.
func quoteName(s string) string {
	if s == "" || s[0] >= '0' && s[0] <= '9' {
		return quote(s, '`')
	}
	for i := 0; i < len(s); i++ {
		if !isWord(s[i]) {
			return quote(s, '`')
		}
	}
	return s
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
