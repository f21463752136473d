package dimension

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/tests/services"
)

// Looking up keys reads their rows and no others: the queries use the index, whatever the key's columns.
func TestQueriesUseTheIndex(t *testing.T) { onBoth(t, testQueriesUseTheIndex) }

func testQueriesUseTheIndex(t *testing.T, server *services.MySQL) {
	t.Helper()
	var rows []string
	for n := 1; n <= 5000; n++ {
		rows = append(rows, fmt.Sprintf("(%d, 'b%[1]d', %[1]d / 8, '%[1]d', '2026-01-01' + INTERVAL %[1]d MINUTE, 'u%[1]d', %[1]d)", n))
	}
	server.Exec(t, `
		DROP TABLE IF EXISTS idx;
		CREATE TABLE idx (a INT UNSIGNED, b VARCHAR(20), d DECIMAL(12,3), n BINARY(16), t DATETIME, u VARCHAR(20) CHARACTER SET latin1, v INT,
			PRIMARY KEY (a, b), KEY (b), KEY (d), KEY (n), KEY (t), KEY (u));
		INSERT INTO idx VALUES `+strings.Join(rows, ",")+`;
		ANALYZE TABLE idx`)
	db := server.DB(t)
	for _, tc := range []struct{ key, doc string }{
		{"{ a: this.a, b: this.b }", `{"a":%d,"b":"b%[1]d"}`},
		{"{ b: this.b }", `{"b":"b%d"}`},
		{"{ u: this.u }", `{"u":"u%d"}`},
		{"{ a: this.a }", `{"a":"%d"}`},
		{"{ t: this.t }", `{"t":"2026-01-01 00:%02d:00"}`},
		{"{ d: this.d }", `{"d":%d.125}`},
	} {
		t.Run(tc.key, func(t *testing.T) {
			p := joinWith(t, server.DSN(), fmt.Sprintf(`
dsn: "$DSN"
dimensions: [ { name: idx, table: idx, key: %s, columns: [ v ] } ]
`, tc.key))
			run(t, p, fmt.Sprintf(tc.doc, 59))
			before := rowsRead(t, db, "idx")
			docs := make([]string, 40)
			for i := range docs {
				docs[i] = fmt.Sprintf(tc.doc, i+1)
			}
			for _, got := range run(t, p, docs...) {
				require.NotContains(t, got, "null")
			}
			read := rowsRead(t, db, "idx") - before
			require.GreaterOrEqual(t, read, int64(40))
			require.LessOrEqual(t, read, int64(80))
		})
	}
}
