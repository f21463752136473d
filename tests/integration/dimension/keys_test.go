package dimension

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/tests/services"
)

// Row values are compared by rules of their own, which differ from server to server: every type of key is found among several columns.
func TestSeveralKeyColumns(t *testing.T) { onBoth(t, testSeveralKeyColumns) }

func testSeveralKeyColumns(t *testing.T, server *services.MySQL) {
	t.Helper()
	for i, tc := range []struct{ typ, value, other, field, otherField string }{
		{"TINYINT UNSIGNED", "200", "1", `200`, `"1"`},
		{"BIGINT UNSIGNED", "18446744073709551615", "9223372036854775808", `18446744073709551615`, `9223372036854775808`},
		{"BIGINT", "-5", "9223372036854775807", `-5`, `9223372036854775807`},
		{"DECIMAL(12,3)", "-12.500", "1", `-12.5`, `"1.0"`},
		{"DECIMAL(40,0)", "1234567890123456789012345678901234567890", "1", `1234567890123456789012345678901234567890`, `1e0`},
		{"CHAR(10)", "'ab'", "'x'", `"ab"`, `"x"`},
		{"VARCHAR(10) CHARACTER SET utf8mb4", "'üß😀'", "'x'", `"üß😀"`, `"x"`},
		{"VARCHAR(10) CHARACTER SET latin1", "'ü'", "'x'", `"ü"`, `"x"`},
		{"VARCHAR(10) CHARACTER SET latin1 COLLATE latin1_german1_ci", "'ü'", "'x'", `"ü"`, `"x"`},
		{"VARCHAR(10) CHARACTER SET utf8mb3 COLLATE utf8mb3_bin", "'ü'", "'x'", `"ü"`, `"x"`},
		{"VARCHAR(10) CHARACTER SET ucs2", "'ü'", "'x'", `"ü"`, `"x"`},
		{"VARCHAR(10) CHARACTER SET sjis", "'ソ'", "'x'", `"ソ"`, `"x"`},
		{"BINARY(16)", "UNHEX('00112233445566778899aabbccdd0000')", "UNHEX('01')", `"00112233-4455-6677-8899-aabbccdd0000"`, `"\u0001"`},
		{"VARBINARY(10)", "'raw'", "'x'", `"raw"`, `"x"`},
		{"DATE", "'2026-02-03'", "'2000-01-01'", `"2026-02-03"`, `"2000-01-01"`},
		{"DATETIME(6)", "'2026-02-03 04:05:06.250001'", "'2000-01-01'", `"2026-02-03T04:05:06.250001Z"`, `"2000-01-01T01:00:00+01:00"`},
		{"TIMESTAMP(6)", "'2026-02-03 04:05:06.000001'", "'2000-01-02'", `"2026-02-03T04:05:06.000001Z"`, `"2000-01-02"`},
		{"YEAR", "2026", "2000", `2026`, `2000`},
		{"ENUM('a','b','é') CHARACTER SET latin1", "'é'", "'a'", `"é"`, `"a"`},
		{"UUID", "'123e4567-e89b-12d3-a456-426614174000'", "'00000000-e89b-12d3-a456-426614174000'", `"123e4567-e89b-12d3-a456-426614174000"`, `"00000000e89b12d3a456426614174000"`},
		{"INET6", "'::1'", "'::2'", `"::1"`, `"::2"`},
	} {
		if server == mysqlServer && (tc.typ == "UUID" || tc.typ == "INET6") {
			continue // types of MariaDB
		}
		t.Run(tc.typ, func(t *testing.T) {
			table := fmt.Sprintf("several_%d", i)
			server.Exec(t, fmt.Sprintf(`
				SET time_zone = '+00:00';
				DROP TABLE IF EXISTS %s;
				CREATE TABLE %[1]s (a INT, k %[2]s, v INT, PRIMARY KEY (a, k));
				INSERT INTO %[1]s VALUES (1, %[3]s, 10), (2, %[4]s, 20);
				SET time_zone = DEFAULT`, table, tc.typ, tc.value, tc.other))
			p := joinWith(t, server.DSN(), fmt.Sprintf(`
dsn: "$DSN"
dimensions: [ { name: several, table: %s, key: { k: this.k, a: this.a } } ]
`, table))
			event := `{"a":%d,"k":%s%s}`
			var docs, want []string
			for _, e := range []struct {
				a      int
				k, row string
			}{{1, tc.field, "10"}, {2, tc.otherField, "20"}, {3, tc.otherField, "null"}, {2, tc.field, "null"}, {1, "null", "null"}} {
				docs = append(docs, fmt.Sprintf(event, e.a, e.k, ""))
				want = append(want, fmt.Sprintf(event, e.a, e.k, `,"v":`+e.row))
			}
			require.Equal(t, want, run(t, p, docs...))
		})
	}
}
