package dimension

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// Looking up keys reads their rows and no others: the queries use the index, whatever the key's columns.
func TestQueriesUseTheIndex(t *testing.T) {
	server.Exec(t, `
		CREATE OR REPLACE TABLE idx (a INT UNSIGNED, b VARCHAR(20), d DECIMAL(12,3), n BINARY(16), t DATETIME, u VARCHAR(20) CHARACTER SET latin1, v INT,
			PRIMARY KEY (a, b), KEY (b), KEY (d), KEY (n), KEY (t), KEY (u));
		INSERT INTO idx SELECT seq, CONCAT('b', seq), seq / 8, UNHEX(MD5(seq)), '2026-01-01' + INTERVAL seq MINUTE, CONCAT('u', seq), seq FROM seq_1_to_20000;
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
			p := join(t, fmt.Sprintf(`
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
			require.LessOrEqual(t, rowsRead(t, db, "idx")-before, int64(80))
		})
	}
}
