package column

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
)

// extremes are types with values at their bounds, as the server writes them.
var extremes = map[string][]string{
	"Int8":                      {"-128", "0", "127"},
	"UInt8":                     {"0", "255"},
	"Int16":                     {"-32768", "32767"},
	"UInt16":                    {"65535"},
	"Int32":                     {"-2147483648", "2147483647"},
	"UInt32":                    {"4294967295"},
	"Int64":                     {"-9223372036854775808", "9223372036854775807"},
	"UInt64":                    {"18446744073709551615"},
	"Int128":                    {"'-170141183460469231731687303715884105728'", "'170141183460469231731687303715884105727'"},
	"UInt128":                   {"'340282366920938463463374607431768211455'"},
	"Int256":                    {"'-57896044618658097711785492504343953926634992332820282019728792003956564819968'"},
	"UInt256":                   {"'115792089237316195423570985008687907853269984665640564039457584007913129639935'"},
	"BFloat16":                  {"1.5", "-0.0078125"},
	"Float32":                   {"16777217.5", "1e-45", "3.4028235e38"},
	"Float64":                   {"0.1", "5e-324", "1.7976931348623157e308"},
	"Decimal(9, 2)":             {"'-9999999.99'", "'0.01'"},
	"Decimal(12, 2)":            {"'9999999999.99'"},
	"Decimal(12, 5)":            {"'9999999.99999'"},
	"Decimal(38, 6)":            {"'-99999999999999999999999999999999.999999'"},
	"Date":                      {"'1970-01-01'", "'2149-06-06'"},
	"Date32":                    {"'1900-01-01'", "'2299-12-31'"},
	"DateTime('UTC')":           {"0", "4294967295"},
	"DateTime('Asia/Tokyo')":    {"0", "4294967295"},
	"DateTime64(0, 'UTC')":      {"'1900-01-01 00:00:00'", "'2299-12-31 23:59:59'"},
	"DateTime64(6, 'UTC')":      {"'1900-01-01 00:00:00.000001'", "'2299-12-31 23:59:59.999999'"},
	"DateTime64(8, 'UTC')":      {"'1900-01-01 00:00:00.00000001'", "'2299-12-31 23:59:59.99999999'"},
	"DateTime64(9, 'UTC')":      {"'2262-04-11 23:47:16.854775807'"},
	"Time":                      {"'-999:59:59'", "'999:59:59'"},
	"Time64(3)":                 {"'-999:59:59.999'"},
	"Time64(9)":                 {"'999:59:59.999999999'"},
	"Enum8('a' = -1, 'b' = 2)":  {"'a'", "'b'"},
	"Enum8('b' = 2)":            {"'b'"},
	"Enum16('b' = 2, 'a' = -1)": {"'a'", "'b'"},
	"String":                    {"''", "'a\\0b'"},
	"FixedString(3)":            {"'a'", "'abc'"},
	"LowCardinality(String)":    {"''", "'x'"},
	"Nullable(Int32)":           {"NULL", "-2147483648"},
	"Nullable(String)":          {"NULL", "''"},
	"Array(Int8)":               {"[]", "[-128, 127]"},
	"Array(Nullable(Int16))":    {"[NULL, -32768]"},
	"Map(String, UInt8)":        {"map('a', 255)"},
	"Map(String, Int16)":        {"map('a', -32768)"},
	"Tuple(a Int8, b Date)":     {"(-128, '2149-06-06')"},
	"Tuple(a Int64, b Date32)":  {"(-9223372036854775808, '1900-01-01')"},
	"Array(Tuple(x UInt8))":     {"[tuple(255)]"},
	"Array(Tuple(x Float64))":   {"[tuple(0.1)]"},
	"UUID":                      {"'61f0c404-5cb3-11e7-907b-a6006ad3dba0'"},
	"IPv4":                      {"'255.255.255.255'"},
	"IPv6":                      {"'::ffff:1.2.3.4'"},
	"Bool":                      {"true"},
	"LowCardinality(Nullable(FixedString(3)))": {"NULL", "'abc'"},
}

// A type that is said to hold another one gives each value back as it was, by the server's own CAST there and back.
func TestATypeThatHoldsAnotherKeepsItsValues(t *testing.T) {
	pairs := 0
	for now := range extremes {
		to, err := column.ParseType(now)
		require.NoError(t, err)
		for was, values := range extremes {
			from, err := column.ParseType(was)
			require.NoError(t, err)
			if now == was || !to.Holds(from) {
				continue
			}
			pairs++
			for _, v := range values {
				value := fmt.Sprintf("CAST(%s, %s)", v, literal(was))
				got, err := post(t.Context(), creating, fmt.Sprintf("SELECT toString(CAST(%[1]s, %[2]s)), toString(CAST(CAST(%[1]s, %[2]s), %[3]s)), toString(%[1]s) FORMAT TSV",
					value, literal(now), literal(was)), "")
				require.NoError(t, err, "%s of %s into %s", v, was, now)
				texts := strings.Split(strings.TrimSuffix(got, "\n"), "\t")
				require.Len(t, texts, 3)
				require.Equal(t, texts[2], texts[1], "%s of %s into %s and back", v, was, now)
				if strings.Contains(now, "Int") { // which wrap around both ways
					require.Equal(t, texts[2], texts[0], "%s of %s into %s", v, was, now)
				}
			}
		}
	}
	require.Greater(t, pairs, 80)
}

func literal(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
