package output

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// defaults are constant DEFAULTs of each type, which the server evaluates once and this output then writes.
var defaults = []struct{ typ, expr string }{
	{"Int8", "-128"},
	{"Int64", "-9223372036854775808"},
	{"UInt64", "18446744073709551615"},
	{"Int128", "toInt128('-170141183460469231731687303715884105728')"},
	{"UInt256", "toUInt256('115792089237316195423570985008687907853269984665640564039457584007913129639935')"},
	{"Float32", "0.1"},
	{"Float64", "0.1"},
	{"Float64", "inf"},
	{"Float64", "-inf"},
	{"Float64", "nan"},
	{"Float64", "-0."},
	{"Float64", "5e-324"},
	{"BFloat16", "0.1"},
	{"Float64", "1.7976931348623157e308"},
	{"Decimal(9, 2)", "1.5"},
	{"Decimal(76, 20)", "toDecimal256('-1234567890.12345678901234567890', 20)"},
	{"Bool", "true"},
	{"Nullable(Bool)", "false"},
	{"String", `'a"\\\\\\n\\0ä'`},
	{"String", "unhex('ff00fe')"},
	{"String", "''"},
	{"FixedString(5)", "'ab'"},
	{"FixedString(2)", "unhex('ff00')"},
	{"Nullable(String)", "NULL"},
	{"Nullable(String)", "'x'"},
	{"LowCardinality(Nullable(String))", "'y'"},
	{"UUID", "'01234567-89ab-cdef-0123-456789abcdef'"},
	{"IPv4", "'1.2.3.4'"},
	{"IPv6", "'2001:db8::1'"},
	{"Date", "'2024-02-29'"},
	{"Date32", "'1900-01-01'"},
	{"DateTime", "'2024-02-29 12:34:56'"},
	{"DateTime('Asia/Tokyo')", "'2024-02-29 12:34:56'"},
	{"DateTime('Europe/Berlin')", "'2024-10-27 02:30:00'"},
	{"DateTime64(3, 'Asia/Tokyo')", "'2024-02-29 12:34:56.789'"},
	{"DateTime64(9, 'UTC')", "'1677-09-21 00:12:44.5'"},
	{"DateTime64(0)", "'2299-12-31 23:59:59'"},
	{"DateTime64(3, 'UTC')", "toDateTime64(-1, 3, 'UTC')"},
	{"Time", "'-12:34:56'"},
	{"Time64(3)", "'123:34:56.789'"},
	{"IntervalDay", "toIntervalDay(7)"},
	{"Enum8('a' = 1, 'b c' = 2)", "'b c'"},
	{"Enum16('x' = -5)", "-5"},
	{"Array(Nullable(Int32))", "[1, NULL]"},
	{"Array(Array(String))", "[['a'], []]"},
	{"Array(Float64)", "[nan, 1.5]"},
	{"Map(String, UInt8)", "map('a', 1, 'b', 2)"},
	{"Map(UInt8, Array(DateTime('UTC')))", "map(7, [toDateTime('2024-01-01 00:00:00', 'UTC')])"},
	{"Tuple(Int8, String)", "(1, 'x')"},
	{"Tuple(a Int8, b Date)", "(1, '2024-01-01')"},
	{"Point", "(1.5, 2)"},
	{"Ring", "[(0, 0), (1, 1)]"},
	{"JSON", "'{\"a\":{\"b\":[1,2]}}'"},
	{"SimpleAggregateFunction(max, UInt64)", "5"},
	{"QBit(Float32, 2)", "[1, 2]"},
	{"UInt8", "1 + 1"},
	{"String", "concat('a', upper('b'))"},
	{"UInt64", "cityHash64('x')"},
	{"Date", "toDate('2024-01-01')"},
}

func TestConstantDefaultsOfEveryType(t *testing.T) {
	columns := []string{"id UInt64"}
	for i, d := range defaults {
		columns = append(columns, fmt.Sprintf("c%d %s DEFAULT %s", i, d.typ, d.expr))
	}
	db := database(t)
	servers.Exec(t, fmt.Sprintf(`CREATE TABLE %[1]s.events_local (%[2]s) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100;
		CREATE TABLE %[1]s.events AS %[1]s.events_local ENGINE = Distributed('events_cluster', %[1]s, events_local, id)`, db, strings.Join(columns, ", ")))
	require.Equal(t, 1, write(t, open(t, db), documents{`{"id":1}`}).Inserted)
	servers.Servers[0].Exec(t, "INSERT INTO "+db+".events_local (id) SETTINGS async_insert = 0 VALUES (2)")
	for i, d := range defaults {
		rows := servers.Servers[0].Query(t, fmt.Sprintf("SELECT isNull(toString(c%[1]d)), hex(toString(c%[1]d)) FROM %[2]s.events ORDER BY id", i, db))
		require.Len(t, rows, 2)
		require.Equal(t, rows[1], rows[0], "%s DEFAULT %s", d.typ, d.expr)
	}
}
