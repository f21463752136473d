package dimension

import (
	"testing"

	"github.com/stretchr/testify/require"

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
