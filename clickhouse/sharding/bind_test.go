package sharding

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
)

func TestBindRefuses(t *testing.T) {
	for _, tc := range []struct{ expr, typ, errContains string }{
		{"x", "String", "a key of type String is not supported: ClickHouse takes integers of 8 to 64 bits"},
		{"x", "Nullable(UInt64)", "cityHash64(tuple(column))"},
		{"x", "LowCardinality(Nullable(UInt64))", "takes no Nullable sharding key"},
		{"x", "UInt128", "a key of type UInt128"},
		{"x", "Date", "a key of type Date"},
		{"x", "Enum8('a' = 1)", "a key of type Enum8"},
		{"cityHash64(x)", "Nullable(UInt64)", "a key of type Nullable(UInt64)"},
		{"cityHash64(tuple(x), x)", "Nullable(UInt64)", "a key of type Nullable(UInt64)"},
		{"sipHash128(x)", "UInt64", "a key of type FixedString(16)"},
		{"(x, x)", "UInt64", "a key of type Tuple(UInt64, UInt64)"},
		{"tuple()", "", "function tuple with 0 arguments is not supported: it takes 1 or more"},
		{"cityHash64()", "", "it takes 1 or more"},
		{"toUInt64(x, 1)", "UInt64", "function toUInt64 with 2 arguments is not supported: it takes 1"},
		{"rand(x, 1)", "UInt64", "it takes 0 to 1"},
		{"x", "Array(UInt64)", `type Array(UInt64) of column "x" is not supported`},
		{"cityHash64(x)", "Decimal(9, 2)", `type Decimal(9, 2) of column "x"`},
		{"cityHash64(x)", "Tuple(UInt8)", `type Tuple(UInt8) of column "x"`},
		{"x + 1", "String", "function plus of type String"},
		{"x + 1", "Float64", "function plus of type Float64"},
		{"x * 1", "Date", "function multiply of type Date"},
		{"x - 1", "Int128", "function minus of type Int128"},
		{"-x", "String", "function negate of type String"},
		{"abs(x)", "Float32", "function abs of type Float32"},
		{"bitAnd(x, 1)", "Float32", "function bitAnd of type Float32"},
		{"x % 0", "UInt64", "modulo by zero is not supported: ClickHouse fails every insert with it"},
		{"5 % 0", "", "modulo by zero"},
		{"cityHash64(tuple(x % x))", "Nullable(UInt64)", "modulo by a column where either is Nullable"},
		{"intHash32(x)", "String", "function intHash32 of type String"},
		{"intHash64(x)", "Enum8('a' = 1)", "function intHash64 of type Enum8"},
		{"javaHash(x)", "UInt32", "function javaHash of type UInt32"},
		{"javaHash(x)", "DateTime('UTC')", "function javaHash of type DateTime"},
		{"javaHash(tuple(x))", "String", "function javaHash of type Tuple(String)"},
		{"CRC32(x)", "UInt32", "function CRC32 of type UInt32"},
		{"cityHash64(lower(x))", "UUID", "function lower of type UUID"},
		{"toYYYYMM(x)", "UInt32", "function toYYYYMM of type UInt32"},
		{"toYYYYMM(x)", "DateTime", "time zone"},
		{"toYYYYMM(x, 'Mars/Olympus')", "DateTime('UTC')", "Mars/Olympus"},
		{"toYYYYMM(x, x)", "DateTime('UTC')", "not a constant string"},
		{"toYYYYMM(x, 'UTC')", "Date", "function toYYYYMM of type Date is not supported: a time zone goes with DateTime and DateTime64 only"},
		{"cityHash64(toDate(x))", "String", "function toDate of type String"},
		{"cityHash64(toDate(x))", "UInt64", "integers of up to 32 bits"},
		{"cityHash64(toString(x))", "Float64", "function toString of type Float64"},
		{"cityHash64(toString(x))", "IPv6", "function toString of type IPv6"},
		{"toUInt64(x)", "Float64", "function toUInt64 of type Float64"},
		{"toUInt64(x)", "UUID", "function toUInt64 of type UUID"},
		{"toUInt8(x)", "IPv4", "function toUInt8 of type IPv4"},
		{"toUInt8(x)", "DateTime64(3, 'UTC')", "function toUInt8 of type DateTime64"},
		{"cityHash64(tuple(toUInt8(x)))", "Nullable(String)", "into NULL"},
		{"toUInt8('abc')", "", "a constant that cannot be computed is not supported"},
		{"toUInt8((x, 1))", "UInt8", "function toUInt8 of type Tuple(UInt8, UInt8)"},
	} {
		t.Run(tc.expr+" of "+tc.typ, func(t *testing.T) {
			e, err := Parse(tc.expr)
			require.NoError(t, err)
			var types []*column.Type
			for range e.Columns() {
				types = append(types, mustType(t, tc.typ))
			}
			_, err = e.Bind(types)
			require.ErrorContains(t, err, tc.errContains)
			var unsupported *UnsupportedError
			require.ErrorAs(t, err, &unsupported)
			require.Equal(t, tc.expr, unsupported.Expr)
		})
	}
}

func TestBindWantsATypePerColumn(t *testing.T) {
	e, err := Parse("cityHash64(a, b)")
	require.NoError(t, err)
	_, err = e.Bind(nil)
	require.ErrorContains(t, err, "it reads 2 columns, 0 types were given")
}

func TestEvalRefusesRowsThatClickHouseRefuses(t *testing.T) {
	for _, tc := range []struct {
		expr, typ   string
		value       column.Value
		errContains string
	}{
		{"7 % x", "UInt64", column.Value{}, "modulo: division by zero"},
		{"x % x", "Int8", column.Value{}, "modulo: division by zero"},
		{"x % -1", "Int16", column.Value{U: 1<<64 - 1<<15}, "smallest Int16 by -1"},
		{"toUInt64(x)", "String", column.Value{B: []byte("12x")}, `toUInt64: "12x" is not an integer`},
		{"toUInt64(x)", "String", column.Value{B: []byte("")}, `"" is not an integer`},
		{"toUInt64(x)", "String", column.Value{B: []byte("-1")}, `"-1" is not an integer`},
		{"toInt64(x)", "String", column.Value{B: []byte("-")}, `"-" is not an integer`},
		{"toInt64(x)", "String", column.Value{B: []byte("+-1")}, "is not an integer"},
		{"toUInt64(x)", "FixedString(3)", column.Value{B: []byte("1\x002")}, "is not an integer"},
		{"toUInt64(x)", "DateTime64(3, 'UTC')", column.Value{U: 1<<64 - 5000}, "-5 seconds do not fit UInt64"},
		{"toInt32(x)", "DateTime64(0, 'UTC')", column.Value{U: 1 << 31}, "2147483648 seconds do not fit Int32"},
	} {
		t.Run(tc.expr+" of "+tc.typ, func(t *testing.T) {
			f := bindAll(t, tc.expr, mustType(t, tc.typ))
			_, err := f.Eval([]column.Value{tc.value}, Record{})
			require.ErrorContains(t, err, tc.errContains)
			var eval *EvalError
			require.ErrorAs(t, err, &eval)
			_, err = f.Eval([]column.Value{{U: 1, B: []byte("001")}}, Record{})
			require.NoError(t, err, "a refused row must not spoil the next")
		})
	}
}

func TestValueIsTakenAsUnsigned(t *testing.T) {
	minusOne := []column.Value{{U: 1<<64 - 1}}
	for _, tc := range []struct {
		expr, typ string
		want      uint64
	}{
		{"x", "Int8", 1<<32 - 1},
		{"x", "Int16", 1<<32 - 1},
		{"x", "Int32", 1<<32 - 1},
		{"x", "Int64", 1<<64 - 1},
		{"x * 0 - 3", "Int8", 1<<32 - 3},  // Int32 by now
		{"x * 0 - 3", "Int16", 1<<64 - 3}, // Int64
		{"toUInt8(x)", "Int64", 255},
		{"toInt8(-1)", "", 255}, // constants: unsigned of their own width
		{"-300", "", 1<<16 - 300},
		{"-70000", "", 1<<32 - 70000},
		{"toInt64(-1)", "", 1<<64 - 1},
	} {
		t.Run(tc.expr+" of "+tc.typ, func(t *testing.T) {
			var typ *column.Type
			if tc.typ != "" {
				typ = mustType(t, tc.typ)
			}
			f := bindAll(t, tc.expr, typ)
			v, err := f.Eval(minusOne, Record{})
			require.NoError(t, err)
			require.Equal(t, tc.want, v)
		})
	}
}

func TestDateTimeWithoutZoneUsesTheServers(t *testing.T) {
	e, err := Parse("toYYYYMM(x)")
	require.NoError(t, err)
	types := []*column.Type{mustType(t, "DateTime")}
	newYear := []column.Value{{U: 1577836800}} // 2020-01-01 00:00:00 UTC
	for zone, want := range map[string]uint64{"UTC": 202001, "America/New_York": 201912, "Asia/Tokyo": 202001} {
		f, err := e.Bind(types, ServerZone(zone))
		require.NoError(t, err)
		v, err := f.Eval(newYear, Record{})
		require.NoError(t, err)
		require.Equal(t, want, v, zone)
	}
}

func TestShortFixedStringIsPadded(t *testing.T) {
	f := bindAll(t, "cityHash64(x)", mustType(t, "FixedString(4)"))
	short, err := f.Eval([]column.Value{{B: []byte("ab")}}, Record{})
	require.NoError(t, err)
	padded, err := f.Eval([]column.Value{{B: []byte("ab\x00\x00")}}, Record{})
	require.NoError(t, err)
	require.Equal(t, padded, short)
}

func BenchmarkEval(b *testing.B) {
	for _, bench := range []struct{ expr, typ string }{
		{"x", "UInt64"}, {"cityHash64(x)", "UInt64"}, {"cityHash64(x)", "String"}, {"sipHash64(x, x)", "String"}, {"toYYYYMM(x)", "DateTime('UTC')"}, {"rand()", ""},
	} {
		b.Run(bench.expr+" of "+bench.typ, func(b *testing.B) {
			e, err := Parse(bench.expr)
			require.NoError(b, err)
			var types []*column.Type
			if len(e.Columns()) > 0 {
				types = append(types, mustType(b, bench.typ))
			}
			f, err := e.Bind(types)
			require.NoError(b, err)
			vals, rec := []column.Value{{U: 1577836800, B: []byte("0f1e2d3c4b5a69788796")}}, Record{Topic: "clicks"}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f.Eval(vals, rec); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestEvalIsSafeForConcurrentUse(t *testing.T) {
	f := bindAll(t, "cityHash64(toString(x), sipHash128(lower(toString(x))))", mustType(t, "UInt64"))
	want := make([]uint64, 500)
	for i := range want {
		v, err := f.Eval([]column.Value{{U: uint64(i)}}, Record{})
		require.NoError(t, err)
		want[i] = v
	}
	var group errgroup.Group
	for range 4 {
		group.Go(func() error {
			for i, w := range want {
				if v, err := f.Eval([]column.Value{{U: uint64(i)}}, Record{}); err != nil || v != w {
					return fmt.Errorf("key of %d is %d, alone it was %d: %w", i, v, w, err)
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
}
