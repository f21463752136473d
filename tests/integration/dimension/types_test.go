package dimension

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/source"
	"github.com/benthos-clickhouse/connect/tests/services"
)

func TestTypes(t *testing.T) { onBoth(t, testTypes) }

func testTypes(t *testing.T, server *services.MySQL) {
	t.Helper()
	ofMariaDB := "u UUID, ip INET6"
	if server == mysqlServer {
		ofMariaDB = "u CHAR(36), ip VARCHAR(10)"
	}
	server.Exec(t, `
		DROP TABLE IF EXISTS all_types;
		CREATE TABLE all_types (
			id INT PRIMARY KEY, t TINYINT, ut TINYINT UNSIGNED, s SMALLINT, m MEDIUMINT, b BIGINT, ub BIGINT UNSIGNED, z INT(6) ZEROFILL,
			d DECIMAL(30,10), dz DECIMAL(8,2) ZEROFILL, f FLOAT, dbl DOUBLE, bits BIT(10), y YEAR, dt DATE, tm TIME, dtm DATETIME(3), ts TIMESTAMP(6) NULL,
			c CHAR(5), vc VARCHAR(50), tx TEXT, e ENUM('small','large'), st SET('a','b','c'), j JSON, bin BINARY(4), vb VARBINARY(10), bl BLOB, `+ofMariaDB+`
		) CHARACTER SET latin1;
		SET time_zone = '+02:00';
		INSERT INTO all_types VALUES (1, -128, 255, -3, 8388607, -9223372036854775808, 18446744073709551615, 42,
			-12345678901234567890.0123456789, 7.5, 1.5, 1e300, b'1000000001', 2026, '2026-11-20', '-12:30:01', '2026-07-01 10:00:00.250', '2026-07-01 10:00:00.000001',
			'ab', 'quote " back \\ é', 'line\nbreak', 'large', 'a,c', '{"k": [1, "x"]}', 0x0001, 0xff00, 0xdeadbeef, '123e4567-e89b-12d3-a456-426614174000', '::1'),
			(2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
		SET time_zone = DEFAULT`)
	p := joinWith(t, server.DSN(), `
dsn: "$DSN"
dimensions:
  - name: types
    table: all_types
    key: { id: this.id }
    target: r
    time_zone: Europe/Berlin
`)
	out := run(t, p, `{"id":1}`, `{"id":2}`, `{"id":3}`)
	require.JSONEq(t, `{"id":1,"r":{
		"t":-128,"ut":255,"s":-3,"m":8388607,"b":-9223372036854775808,"ub":18446744073709551615,"z":42,
		"d":-12345678901234567890.0123456789,"dz":7.50,"f":1.5,"dbl":1e300,"bits":513,"y":2026,"dt":"2026-11-20","tm":"-12:30:01",
		"dtm":"2026-07-01T10:00:00.25+02:00","ts":"2026-07-01T08:00:00.000001Z","c":"ab","vc":"quote \" back \\ é","tx":"line\nbreak",
		"e":"large","st":["a","c"],"j":{"k":[1,"x"]},"bin":"AAEAAA==","vb":"/wA=","bl":"3q2+7w==","u":"123e4567-e89b-12d3-a456-426614174000","ip":"::1"}}`, out[0])
	require.Contains(t, out[0], `"ub":18446744073709551615`, "all digits")
	require.Contains(t, out[0], `"d":-12345678901234567890.0123456789`, "all digits")
	nulls := `"t":null,"ut":null,"s":null,"m":null,"b":null,"ub":null,"z":null,"d":null,"dz":null,"f":null,"dbl":null,"bits":null,"y":null,"dt":null,"tm":null,` +
		`"dtm":null,"ts":null,"c":null,"vc":null,"tx":null,"e":null,"st":null,"j":null,"bin":null,"vb":null,"bl":null,"u":null,"ip":null`
	require.Equal(t, `{"id":2,"r":{`+nulls+`}}`, out[1])
	require.Equal(t, `{"id":3,"r":{`+nulls+`}}`, out[2], "a missing row is joined as nulls")
}

// Values at the edges of their types.
func TestOddValues(t *testing.T) { onBoth(t, testOddValues) }

func testOddValues(t *testing.T, server *services.MySQL) {
	t.Helper()
	server.Exec(t, `
		SET sql_mode = '', time_zone = '+00:00';
		DROP TABLE IF EXISTS odd;
		CREATE TABLE odd (
			id INT PRIMARY KEY, d DATE, dt DATETIME(6), ts TIMESTAMP(6) NULL, tm TIME(3), y YEAR, b1 BIT(1), b64 BIT(64), st SET('a', 'b c'), em ENUM('', 'x"y'),
			z BIGINT UNSIGNED ZEROFILL, dz DECIMAL(10,4) ZEROFILL, dbl DOUBLE, bin BINARY(3), bl BLOB, tx TEXT CHARACTER SET latin1, j JSON) CHARACTER SET utf8mb4;
		INSERT INTO odd VALUES
			(1, '0000-00-00', '0000-00-00 00:00:00', '2026-10-25 00:30:00.000001', '838:59:59', 0, b'0', 18446744073709551615, '', '', 7, 0.5, 1e-300, 'a', 0xc328, 'é', '{}'),
			(2, '2026-00-10', '2026-03-29 02:30:00', '2038-01-19 03:14:07', '-838:59:59.000', 2155, b'1', 0, 'a,b c', 'x"y', 0, 0, -1.5e300, '', '', '', '[1e2, "\\u0000", -0.0]'),
			(3, '9999-12-31', '9999-12-31 23:59:59.999999', '1970-01-01 00:00:01', '00:00:00.5', 1901, NULL, 1, 'b c', NULL, 18446744073709551615, 999999.9999, 0, 0xffffff, 0x00, '\n', 'null'),
			(4, NULL, '2026-02-00 00:00:00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
		SET sql_mode = DEFAULT, time_zone = DEFAULT`)
	const minusZero = `-0.0`
	for column, want := range map[string][3]string{
		"d":   {`null`, `"2026-00-10"`, `"9999-12-31"`},
		"dt":  {`null`, `"2026-03-29T03:30:00+02:00"`, `"9999-12-31T23:59:59.999999+01:00"`}, // an hour that clocks skip is the one after it
		"ts":  {`"2026-10-25T00:30:00.000001Z"`, `"2038-01-19T03:14:07Z"`, `"1970-01-01T00:00:01Z"`},
		"tm":  {`"838:59:59.000"`, `"-838:59:59.000"`, `"00:00:00.500"`},
		"y":   {`0`, `2155`, `1901`},
		"b1":  {`0`, `1`, `null`},
		"b64": {`18446744073709551615`, `0`, `1`},
		"st":  {`[]`, `["a","b c"]`, `["b c"]`},
		"em":  {`""`, `"x\"y"`, `null`},
		"z":   {`7`, `0`, `18446744073709551615`},
		"dz":  {`0.5000`, `0.0000`, `999999.9999`},
		"dbl": {`1e-300`, `-1.5e300`, `0`},
		"bin": {`"YQAA"`, `"AAAA"`, `"////"`},
		"bl":  {`"wyg="`, `""`, `"AA=="`},
		"tx":  {`"é"`, `""`, `"\n"`},
		"j":   {`{}`, `[1e2, "\u0000", ` + minusZero + `]`, `null`},
	} {
		t.Run(column, func(t *testing.T) {
			p := joinWith(t, server.DSN(), fmt.Sprintf(`
dsn: "$DSN"
dimensions: [ { name: odd, table: odd, key: { id: this.id }, columns: [ %s ], time_zone: Europe/Berlin } ]
`, column))
			for i, value := range want {
				require.JSONEq(t, fmt.Sprintf(`{"id":%d,%q:%s}`, i+1, column, value), run(t, p, fmt.Sprintf(`{"id":%d}`, i+1))[0])
			}
			if column == "dt" {
				var unfit *source.ValueError
				require.ErrorAs(t, process(t, p, `{"id":4}`)[0].GetError(), &unfit, "no such day, in any zone")
			}
		})
	}
	p := joinWith(t, server.DSN(), `
dsn: "$DSN"
dimensions: [ { name: odd, table: odd, key: { id: this.id }, columns: [ bl, bin, b1, tm, z ], types: { bl: string, bin: hex, b1: bool, tm: string, z: string } } ]
`)
	require.Equal(t, []string{
		`{"id":1,"bl":"�(","bin":"610000","b1":false,"tm":"838:59:59.000","z":"7"}`,
		`{"id":2,"bl":"","bin":"000000","b1":true,"tm":"-838:59:59.000","z":"0"}`,
	}, run(t, p, `{"id":1}`, `{"id":2}`))
}

// Names that would end a quotation, or begin something else, are names all the same.
func TestOddNames(t *testing.T) { onBoth(t, testOddNames) }

func testOddNames(t *testing.T, server *services.MySQL) {
	t.Helper()
	server.Exec(t, "DROP TABLE IF EXISTS `odd``; DROP TABLE x -- ?`;"+
		"CREATE TABLE `odd``; DROP TABLE x -- ?` (`k``) OR 1=1 -- x` INT PRIMARY KEY, `v\"{keys}?` INT, `SELECT` INT);"+
		"INSERT INTO `odd``; DROP TABLE x -- ?` VALUES (1, 2, 3), (4, 5, 6)")
	for _, load := range []string{"lazy", "full"} {
		p := joinWith(t, server.DSN(), fmt.Sprintf(`
dsn: "$DSN"
dimensions:
  - name: odd
    table: 'odd`+"`"+`; DROP TABLE x -- ?'
    key: { 'k`+"`"+`) OR 1=1 -- x': this.k }
    columns: [ 'v"{keys}?', SELECT ]
    load: %s
`, load))
		require.Equal(t, []string{`{"k":1,"v\"{keys}?":2,"SELECT":3}`, `{"k":2,"v\"{keys}?":null,"SELECT":null}`}, run(t, p, `{"k":1}`, `{"k":2}`))
	}
}
