package column

import (
	"slices"
	"strings"
)

// Holds tells whether a column of type t has room for all values of type was, so that the server, which is sent the latter and makes
// the former of them by a CAST, changes none. It is for data that was encoded when the column was another one, and says no wherever that
// is not plain: CAST wraps integers around, cuts digits off and takes the nearest date without a word (seen with ClickHouse 26.7).
func (t *Type) Holds(was *Type) bool {
	now := t.plain()
	was = was.plain()
	if now.Name == "Nullable" {
		now = now.Args[0].plain()
		if was.Name == "Nullable" {
			was = was.Args[0].plain()
		}
	}
	if now.canonical() == was.canonical() {
		return true
	}
	if now.Name != was.Name {
		return widens(now, was)
	}
	switch now.Name {
	case "Decimal":
		return now.Scale >= was.Scale && now.Precision-now.Scale >= was.Precision-was.Scale
	case "DateTime":
		return true // another zone shows the same instant otherwise
	case "DateTime64":
		return now.Scale >= was.Scale && (now.Scale < 9 || was.Scale == 9) // the finest scale ends in 2262
	case "Time64":
		return now.Scale >= was.Scale
	case "Enum8", "Enum16":
		return holdsNames(now, was)
	case "Array", "Map", "Tuple", "Nested":
		return slices.Equal(now.Fields, was.Fields) && slices.EqualFunc(now.Args, was.Args, (*Type).Holds)
	}
	return false
}

// plain takes off what says nothing of a type's values.
func (t *Type) plain() *Type {
	for t.Name == "LowCardinality" || t.Name == "SimpleAggregateFunction" {
		t = t.Args[0]
	}
	return t
}

// widens is Holds for types of different names.
func widens(now, was *Type) bool {
	switch was.Name {
	case "BFloat16":
		return now.Name == "Float32" || now.Name == "Float64"
	case "Float32":
		return now.Name == "Float64"
	case "Date":
		return now.Name == "Date32"
	case "DateTime":
		return now.Name == "DateTime64" && now.Scale < 9
	case "Enum8":
		return now.Name == "Enum16" && holdsNames(now, was)
	}
	room, signed := integerBits(now.Name)
	need, negative := integerBits(was.Name)
	switch {
	case room == 0 || need == 0:
		return false
	case signed == negative:
		return room >= need
	}
	return signed && room > need
}

// integerBits is how wide the integers of a type are; 0 of others.
func integerBits(name string) (bits int, signed bool) {
	c := integers[name]
	if c == nil {
		return 0, false
	}
	signed = !strings.HasPrefix(name, "U")
	for _, digit := range name {
		if digit >= '0' && digit <= '9' {
			bits = 10*bits + int(digit-'0')
		}
	}
	return bits, signed
}

func holdsNames(now, was *Type) bool {
	return !slices.ContainsFunc(was.Enum, func(v EnumValue) bool { return !slices.Contains(now.Enum, v) })
}
