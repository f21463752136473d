package sharding

import (
	"fmt"
	"strconv"
	"time"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
)

// kind is what the evaluator tells types apart by.
type kind uint8

const (
	kindInt  kind = iota // 8 to 64 bits, Bool included
	kindWide             // 128 and 256 bits
	kindFloat
	kindString
	kindFixedString
	kindDate
	kindDate32
	kindDateTime
	kindDateTime64
	kindEnum
	kindUUID
	kindIPv4
	kindIPv6
	kindTuple
)

// valueType is the type of an expression. LowCardinality leaves no trace: functions see the type inside it.
type valueType struct {
	name     string // as ClickHouse spells it, without Nullable
	kind     kind
	size     int // bytes in memory; 0 for String and Tuple
	signed   bool
	boolean  bool
	nullable bool
	zone     string // DateTime and DateTime64; empty for the server's
	scale    int    // DateTime64
	enum     []column.EnumValue
}

func (t valueType) String() string {
	if t.nullable {
		return "Nullable(" + t.name + ")"
	}
	return t.name
}

// scalarTypes are the types without parameters that a sharding expression may read.
var scalarTypes = map[string]valueType{
	"Int8": {kind: kindInt, size: 1, signed: true}, "UInt8": {kind: kindInt, size: 1},
	"Int16": {kind: kindInt, size: 2, signed: true}, "UInt16": {kind: kindInt, size: 2},
	"Int32": {kind: kindInt, size: 4, signed: true}, "UInt32": {kind: kindInt, size: 4},
	"Int64": {kind: kindInt, size: 8, signed: true}, "UInt64": {kind: kindInt, size: 8},
	"Int128": {kind: kindWide, size: 16, signed: true}, "UInt128": {kind: kindWide, size: 16},
	"Int256": {kind: kindWide, size: 32, signed: true}, "UInt256": {kind: kindWide, size: 32},
	"Bool":    {kind: kindInt, size: 1, boolean: true},
	"Float32": {kind: kindFloat, size: 4}, "Float64": {kind: kindFloat, size: 8},
	"String": {kind: kindString},
	"Date":   {kind: kindDate, size: 2}, "Date32": {kind: kindDate32, size: 4, signed: true},
	"UUID": {kind: kindUUID, size: 16},
	"IPv4": {kind: kindIPv4, size: 4}, "IPv6": {kind: kindIPv6, size: 16},
}

// newValueType says how the evaluator sees a column; ok is false for types that no sharding expression may read here.
func newValueType(t *column.Type) (v valueType, ok bool) {
	inner, nullable := t.Unwrap()
	v, ok = scalarTypes[inner.Name]
	if !ok {
		switch inner.Name {
		case "FixedString":
			v = valueType{kind: kindFixedString, size: inner.Length}
		case "DateTime":
			v = valueType{kind: kindDateTime, size: 4, zone: inner.Zone}
		case "DateTime64":
			v = valueType{kind: kindDateTime64, size: 8, signed: true, zone: inner.Zone, scale: inner.Scale}
		case "Enum8":
			v = valueType{kind: kindEnum, size: 1, signed: true, enum: inner.Enum}
		case "Enum16":
			v = valueType{kind: kindEnum, size: 2, signed: true, enum: inner.Enum}
		default:
			return v, false
		}
	}
	v.name, v.nullable = inner.String(), nullable
	return v, true
}

// integerType is the integer type of a width in bytes.
func integerType(size int, signed bool) valueType {
	name := "UInt"
	if signed {
		name = "Int"
	}
	return valueType{name: name + strconv.Itoa(size*8), kind: kindInt, size: size, signed: signed}
}

func fixedStringType(size int) valueType {
	return valueType{name: fmt.Sprintf("FixedString(%d)", size), kind: kindFixedString, size: size}
}

var (
	stringType = valueType{name: "String", kind: kindString}
	dateType   = valueType{name: "Date", kind: kindDate, size: 2}
)

// truncate wraps an integer to the type's width, sign-extended where the type is signed.
func (t valueType) truncate(u uint64) uint64 {
	if t.size >= 8 {
		return u
	}
	shift := uint(64 - 8*t.size)
	if t.signed {
		return uint64(int64(u<<shift) >> shift)
	}
	return u << shift >> shift
}

// bits is the integer as it stands in memory, zero-extended.
func (t valueType) bits(u uint64) uint64 {
	if t.size >= 8 {
		return u
	}
	return u & (1<<(8*uint(t.size)) - 1)
}

// isText says that the value stands in datum.b as text.
func (t valueType) isText() bool { return t.kind == kindString || t.kind == kindFixedString }

// isClock says that the value is a moment, which a time zone turns into a date.
func (t valueType) isClock() bool { return t.kind == kindDateTime || t.kind == kindDateTime64 }

// isInteger says that arithmetic takes the type.
func (t valueType) isInteger() bool { return t.kind == kindInt }

// loadZone finds a time zone by its IANA name.
func loadZone(name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("loading time zone %q: %w", name, err)
	}
	return zone, nil
}
