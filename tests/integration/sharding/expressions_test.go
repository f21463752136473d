package sharding

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/clickhouse/sharding"
)

// expressions are keys as people write them, over the columns of columnTypes: precedence, literals, quoting, nesting.
var expressions = []string{
	"user_id", "user_id % 16", "user_id MOD 16", "-user_id % 16", "-5 % 3 + user_id", "- 5 * user_id", "+user_id", "-(1) + delta", "-(-delta)", "- -5 + delta",
	"user_id * 2 + delta", "user_id + delta * 2", "(user_id + delta) * 2", "user_id - delta - 1", "user_id - (delta - 1)", "user_id % 7 * 3", "user_id * 3 % 7",
	"delta", "tiny", "tiny * tiny", "tiny + 1", "tiny - 200", "flag", "flag + flag", "small", "small + small", "abs(delta)", "ABS(tiny)", "bitAnd(user_id, 255)", "bitAnd(delta, 255)",
	"1", "255", "-1", "-128", "-129", "toInt8(-1)", "toInt16(-1) + toInt8(-1)", "toUInt8(300)", "0x1F", "0b101 + tiny", "1_000", "010", "18446744073709551615", "true", "true + delta", "-9223372036854775808",
	"cityHash64(user_id, name)", "cityHash64((user_id, name))", "cityHash64(tuple(user_id), (name, (delta)))", "sipHash64((user_id, name), day)", "sipHash64(sipHash128(name, user_id))",
	"cityHash64(`user_id`, \"name\", `odd ``na\\`me`)", "cityHash64(attributes.key)", "cityHash64(`attributes.key`)",
	"cityHash64(name, 'a\\'b''c\\\\d\\n\\t\\0\\x41\\q\\_\\%\\/\\e\\a\\v\\=')", "cityHash64(name, '', 'é')", "cityHash64(1, -1, 255, 256, -129, 'x', true)", "cityHash64(name, 4294967296)",
	"xxHash64(lower(name))", "xxHash64(LOWER(name))", "xxHash64(lcase(name))", "crc32(name)", "CRC32(concat) % 10", "toUInt64(cityHash64(name)) % 1024", "toUInt8(user_id)", "toInt8(user_id)",
	"intHash32(user_id)", "intHash64(delta)", "intHash64(tiny)", "halfMD5(name, user_id)", "murmurHash3_64(name, day)", "murmurHash2_32(toString(user_id))", "javaHash(name)", "javaHash(delta)",
	"toYYYYMM(day)", "toYYYYMM(at)", "toYYYYMM(at, 'Asia/Tokyo')", "toYYYYMM(precise, 'America/New_York')", "cityHash64(toDate(at), user_id)", "cityHash64(toDate(precise))", "cityHash64(toDate(precise, 'Pacific/Auckland'))", "toYYYYMM(toDate(at)) % 12", "cityHash64(toString(precise), toString(at))",
	"cityHash64(tuple(maybe))", "cityHash64(user_id, tuple(maybe))", "sipHash64((maybe, maybe_name))", "murmurHash3_32(tuple(maybe_name))", "xxHash32(tuple(maybe), name)", "cityHash64(sipHash128(tuple(maybe)))", "cityHash64(murmurHash3_128(tuple(maybe_name), 1))", "cityHash64(tuple(maybe + 1))", "cityHash64(tuple(maybe % 7))",
	"cityHash64(country)", "sipHash64(country, user_id)", "javaHash(country)", "cityHash64(id, level)", "javaHash(level)", "toUInt64(level)", "cityHash64(toString(level))", "cityHash64(toString(id))", "cityHash64(wide, ratio)", "toUInt64(wide)", "cityHash64(address, address6)", "toUInt32(address)", "cityHash64(toString(address))", "cityHash64(code, toString(code))", "cityHash64(toString(flag))", "cityHash64(toDate(user_id32))", "cityHash64(toDate(small))",
	"mod(user_id, 10)", "plus(user_id, minus(delta, multiply(2, tiny)))", "modulo(negate(delta), 10)",
}

var columnTypes = map[string]string{
	"user_id": "UInt64", "user_id32": "UInt32", "delta": "Int64", "tiny": "Int8", "small": "UInt16", "flag": "Bool", "name": "String", "odd `na`me": "String", "concat": "String", "attributes.key": "String",
	"day": "Date", "at": "DateTime('Europe/Berlin')", "precise": "DateTime64(6, 'UTC')", "maybe": "Nullable(Int32)", "maybe_name": "Nullable(String)", "country": "LowCardinality(String)",
	"id": "UUID", "level": "Enum8('low' = -1, 'high' = 1)", "wide": "Int256", "ratio": "Float64", "address": "IPv4", "address6": "IPv6", "code": "FixedString(5)",
}

// bind prepares an expression over columnTypes.
func bind(t *testing.T, expr string) *sharding.Func {
	t.Helper()
	e, err := sharding.Parse(expr)
	require.NoError(t, err, expr)
	var types []*column.Type
	for _, name := range e.Columns() {
		typ, err := column.ParseType(columnTypes[name])
		require.NoError(t, err, "column %q of %s", name, expr)
		types = append(types, typ)
	}
	f, err := e.Bind(types, sharding.ServerZone(serverZone(t)))
	require.NoError(t, err, expr)
	return f
}

// answers runs a proof's query.
func answers(t *testing.T, client *ch.Client, proof *sharding.Proof) []uint64 {
	t.Helper()
	var values proto.ColUInt64
	var all []uint64
	require.NoError(t, client.Do(t.Context(), ch.Query{
		Body:   proof.Query,
		Result: proto.Results{{Data: &values}},
		OnResult: func(context.Context, proto.Block) error {
			all = append(all, values...)
			values.Reset()
			return nil
		},
	}), proof.Query)
	return all
}

func TestExpressionsAsPeopleWriteThem(t *testing.T) {
	client := server.Client(t)
	for _, expr := range expressions {
		t.Run(expr, func(t *testing.T) {
			proof, err := bind(t, expr).NewProof(200, *seed)
			require.NoError(t, err)
			require.NoError(t, proof.Check(answers(t, client, proof)), "seed %d", *seed)
		})
	}
}

// TestEngineFullKeepsTheKey: the key that is evaluated is the text that system.tables shows, which ClickHouse has formatted anew.
func TestEngineFullKeepsTheKey(t *testing.T) {
	client := server.Client(t)
	var columns []string
	for name, typ := range columnTypes {
		columns = append(columns, "`"+strings.ReplaceAll(name, "`", "``")+"` "+typ)
	}
	server.Exec(t, fmt.Sprintf("CREATE TABLE default.typed (%s) ENGINE = MergeTree ORDER BY tuple()", strings.Join(columns, ", ")))
	for _, expr := range expressions {
		t.Run(expr, func(t *testing.T) {
			require.NoError(t, client.Do(t.Context(), ch.Query{Body: fmt.Sprintf("CREATE OR REPLACE TABLE default.formatted AS default.typed ENGINE = Distributed(w0, 'default', 'typed', %s)", expr)}))
			engine := server.Value(t, "SELECT engine_full FROM system.tables WHERE database = 'default' AND name = 'formatted'")
			formatted := strings.TrimSuffix(strings.TrimPrefix(engine, "Distributed('w0', 'default', 'typed', "), ")")
			ours, theirs := bind(t, expr), bind(t, formatted)
			proof, err := ours.NewProof(50, *seed)
			require.NoError(t, err)
			same, err := theirs.NewProof(50, *seed)
			require.NoError(t, err)
			require.NoError(t, same.Check(answers(t, client, proof)), "formatted as %s", formatted)
		})
	}
}

// TestArithmeticBetweenEveryTwoIntegerTypes: result types decide where numbers wrap around.
func TestArithmeticBetweenEveryTwoIntegerTypes(t *testing.T) {
	client := server.Client(t)
	integers := []string{"Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Bool"}
	for _, a := range integers {
		for _, b := range integers {
			t.Run(a+" "+b, func(t *testing.T) {
				for _, op := range []string{"a + b", "a - b", "a * b", "a % b", "bitAnd(a, b)", "-a + abs(b)", "(a + b) * (a - b)"} {
					e, err := sharding.Parse(op)
					require.NoError(t, err)
					ta, err := column.ParseType(a)
					require.NoError(t, err)
					tb, err := column.ParseType(b)
					require.NoError(t, err)
					f, err := e.Bind([]*column.Type{ta, tb})
					require.NoError(t, err)
					proof, err := f.NewProof(200, *seed)
					require.NoError(t, err)
					require.NoError(t, proof.Check(answers(t, client, proof)), "seed %d", *seed)
				}
			})
		}
	}
}

// TestConstantKeysGoWhereClickHouseSendsThem: a constant is unsigned of its own width, unlike a column.
func TestConstantKeysGoWhereClickHouseSendsThem(t *testing.T) {
	client := server.Client(t)
	row := uint64(5)
	typ, err := column.ParseType("UInt64")
	require.NoError(t, err)
	for turn, expr := range []string{"1", "5", "-1", "toInt8(-1)", "toInt16(-300)", "-70000", "toInt64(-1)", "-(1)", "true", "cityHash64('a')", "intHash32(7) % 5", "x * 0 - 1"} {
		for set := range weightSets {
			t.Run(fmt.Sprintf("%s into %v", expr, weightSets[set]), func(t *testing.T) {
				d := &dataset{typ: typ, table: fmt.Sprintf("rows.constant_%d_%d", turn, set), rows: [][]column.Value{{{U: row}, {U: row}}}}
				d.upload(t, client)
				p := newPlacement(t, client, d, set)
				p.insert(t, client, newKey(t, d, "", expr))
				p.compare(t, client)
			})
		}
	}
}

func TestKeysThatClickHouseRefusesAreRefused(t *testing.T) {
	server.Exec(t, "CREATE TABLE default.refused (x UInt64, s String, n Nullable(UInt64), d Date, e Enum8('a' = 1), w UInt128) ENGINE = Memory")
	types := map[string]string{"x": "UInt64", "s": "String", "n": "Nullable(UInt64)", "d": "Date", "e": "Enum8('a' = 1)", "w": "UInt128"}
	for _, expr := range []string{
		"s", "n", "cityHash64(n)", "sipHash128(x)", "murmurHash3_128(x)", "(x, x)", "toString(x)", "lower(s)", "d", "toDate(x)", "e", "w", "NULL", "intHash32(s)", "intHash64(e)",
		"javaHash(x)", "javaHash(s, s)", "CRC32(x)", "lower(x)", "toYYYYMM(x)", "abs(s)", "x + s", "x % 0", "cityhash64(x)", "TOSTRING(x)", "SipHash64(x)", "toyyyymm(d)", "siphash64(x)", "Rand32()", "NEGATE(x)",
	} {
		t.Run(expr, func(t *testing.T) {
			e, err := sharding.Parse(expr)
			if err == nil {
				var bound []*column.Type
				for _, c := range e.Columns() {
					typ, err := column.ParseType(types[c])
					require.NoError(t, err)
					bound = append(bound, typ)
				}
				_, err = e.Bind(bound)
			}
			var unsupported *sharding.UnsupportedError
			require.ErrorAs(t, err, &unsupported)
			refused(t, fmt.Sprintf(`CREATE OR REPLACE TABLE default.refusing AS default.refused ENGINE = Distributed(w1, '', 'nowhere', %s);
				INSERT INTO default.refusing SELECT 1, 's', 2, '2020-01-01', 'a', 3 SETTINGS distributed_foreground_insert = 1`, expr))
		})
	}
}

func TestFunctionNamesAreTheServers(t *testing.T) {
	for _, f := range sharding.Functions() {
		rows := server.Query(t, "SELECT case_insensitive FROM system.functions WHERE name = "+quote(f.Name))
		require.Len(t, rows, 1, f.Name)
		require.Equal(t, f.AnyCase, rows[0][0] == "1", f.Name)
		for _, alias := range f.Aliases {
			require.Equal(t, f.Name, server.Value(t, "SELECT alias_to FROM system.functions WHERE name = "+quote(alias)), alias)
		}
	}
}

// TestParityErrorNamesBothValues: a server that computes something else is found out.
func TestParityErrorNamesBothValues(t *testing.T) {
	client := server.Client(t)
	proof, err := bind(t, "cityHash64(user_id)").NewProof(10, *seed)
	require.NoError(t, err)
	values := answers(t, client, proof)
	values[3]++
	var parity *sharding.ParityError
	require.ErrorAs(t, proof.Check(values), &parity)
	require.Equal(t, values[3], parity.Server)
	require.Equal(t, values[3]-1, parity.Client)
	require.ErrorContains(t, parity, fmt.Sprint(values[3]))
}
