package column

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// typeNames are types as ClickHouse prints them.
var typeNames = []string{
	"UInt8", "Decimal(38, 10)", "FixedString(16)", "DateTime", "DateTime('Europe/Berlin')", "DateTime64(3)", "DateTime64(6, 'UTC')", "Time64(3)",
	"Enum8('a' = 1, 'b\\'c' = -2)", "Enum16('x' = 1000)", "LowCardinality(Nullable(String))", "Array(Array(Nullable(Int8)))", "Map(LowCardinality(String), Array(UInt64))",
	"Tuple(String, Int8)", "Tuple(a String, `b c` Array(Int8))", "Nested(a Int8, b Nested(c String))", "SimpleAggregateFunction(sum, UInt64)",
	"SimpleAggregateFunction(groupArrayArray(10), Array(String))", "JSON", "JSON(max_dynamic_paths=16, a.b UInt32, SKIP c)", "Variant(String, UInt8)",
	"AggregateFunction(quantiles(0.5, 0.9), UInt64)", "Point", "Nothing", "Tuple()", "IntervalDay", "Dynamic(max_types=3)", "QBit(Float32, 16)",
}

func TestParseType(t *testing.T) {
	for _, s := range typeNames {
		typ, err := ParseType(s)
		require.NoError(t, err, s)
		require.Equal(t, s, typ.String())
	}
	typ, err := ParseType(" Map( LowCardinality(String),Tuple( `a``b` Nullable(DateTime64( 3,'UTC' )), b Decimal64(4)) ) ")
	require.ErrorContains(t, err, "expected")
	require.Nil(t, typ)

	typ, err = ParseType(" Map( LowCardinality(String),Tuple( `a\\`b` Nullable(DateTime64( 3,'UTC' )), b Decimal64(4)) ) ")
	require.NoError(t, err)
	value := typ.Args[1]
	require.Equal(t, []string{"a`b", "b"}, value.Fields)
	inner, nullable := value.Args[0].Unwrap()
	require.True(t, nullable)
	require.Equal(t, 3, inner.Scale)
	require.Equal(t, "UTC", inner.Zone)
	require.Equal(t, 18, value.Args[1].Precision)
	require.Equal(t, "Tuple(`a\\`b` Nullable(DateTime64( 3,'UTC' )), b Decimal64(4))", value.canonical())

	enum, err := ParseType("Enum('a', 'b' = 5, 'c')")
	require.NoError(t, err)
	require.Equal(t, []EnumValue{{"a", 1}, {"b", 5}, {"c", 6}}, enum.Enum)
	require.Equal(t, "Enum8", enum.Name)
}

func TestParseTypeErrors(t *testing.T) {
	for s, reason := range map[string]string{
		"": "expected a name", "Array": "Array needs parameters", "Array()": "expected a name", "Array(Int8, Int8)": "takes 1 types", "Map(Int8)": "expected ','",
		"Int8)": "unexpected text", "FixedString(0)": "0 is not between 1", "FixedString(x)": "expected a number", "DateTime64(10)": "10 is not between 0 and 9",
		"Decimal(5, 9)": "cannot have 9 after the point", "Decimal(77, 1)": "77 is not between", "Enum8('a' = 200)": "200 does not fit Enum8", "Enum8('a = 1)": "unterminated '",
		"Enum8()": "expected '\\''", "Nested(Int8)": "members of Nested need names", "AggregateFunction(sum": "unterminated (",
		strings.Repeat("Array(", 200) + "Int8" + strings.Repeat(")", 200): "nested deeper than 100",
	} {
		_, err := ParseType(s)
		require.ErrorContains(t, err, reason, s)
		var syntax *TypeSyntaxError
		require.ErrorAs(t, err, &syntax)
	}
}
