package column

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHolds(t *testing.T) {
	for _, test := range []struct {
		now, was string
		want     bool
	}{
		{"Int8", "Int8", true},
		{"Int64", "Int8", true},
		{"Int8", "Int64", false},
		{"Int16", "UInt8", true},
		{"Int8", "UInt8", false},
		{"UInt64", "Int8", false},
		{"UInt256", "UInt128", true},
		{"String", "Int8", false},
		{"Nullable(Int16)", "Int8", true},
		{"Int16", "Nullable(Int8)", false},
		{"LowCardinality(Nullable(String))", "Nullable(String)", true},
		{"Nullable(String)", "LowCardinality(String)", true},
		{"String", "LowCardinality(Nullable(String))", false},
		{"SimpleAggregateFunction(max, Int64)", "Int32", true},
		{"Decimal(12, 4)", "Decimal(10, 2)", true},
		{"Decimal(10, 4)", "Decimal(10, 2)", false},
		{"Decimal(12, 1)", "Decimal(10, 2)", false},
		{"FixedString(4)", "FixedString(3)", false},
		{"DateTime('Asia/Tokyo')", "DateTime", true},
		{"DateTime64(3, 'UTC')", "DateTime", true},
		{"DateTime64(3)", "DateTime64(6)", false},
		{"DateTime64(9)", "DateTime64(6)", false},
		{"DateTime", "DateTime64(0)", false},
		{"Date32", "Date", true},
		{"Date", "Date32", false},
		{"Enum8('a' = 1, 'b' = 2)", "Enum8('b' = 2)", true},
		{"Enum8('a' = 1)", "Enum8('a' = 1, 'b' = 2)", false},
		{"Enum16('a' = 2)", "Enum8('a' = 1)", false},
		{"Array(Nullable(Int32))", "Array(Int16)", true},
		{"Array(Int8)", "Array(Int16)", false},
		{"Map(LowCardinality(String), Int64)", "Map(String, Int32)", true},
		{"Tuple(a Int64, b String)", "Tuple(a Int8, b String)", true},
		{"Tuple(b Int64, a Int64)", "Tuple(a Int8, b Int8)", false},
		{"Tuple(Int8, Int8, Int8)", "Tuple(Int8, Int8)", false},
	} {
		now, err := ParseType(test.now)
		require.NoError(t, err)
		was, err := ParseType(test.was)
		require.NoError(t, err)
		require.Equal(t, test.want, now.Holds(was), "%s has room for %s", test.now, test.was)
	}
}
