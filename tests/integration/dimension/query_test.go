package dimension

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/tests/services"
)

// The placeholder may stand wherever a list of keys may, and its name wherever else.
func TestQueries(t *testing.T) { onBoth(t, testQueries) }

func testQueries(t *testing.T, server *services.MySQL) {
	t.Helper()
	server.Exec(t, `
		DROP TABLE IF EXISTS q_any;
		CREATE TABLE q_any (k VARCHAR(20) PRIMARY KEY, v VARCHAR(20));
		INSERT INTO q_any VALUES ('a', '100%'), ('?', '%d ?'), ('{keys}', 'x'), ('it''s "\\', 'y')`)
	for _, query := range []string{
		"SELECT k, v FROM q_any WHERE k IN {keys}",
		"SELECT k, v FROM q_any WHERE k IN {keys} -- {keys}, ? and '",
		"SELECT k, v FROM q_any /* {keys} ? */ WHERE k IN {keys}",
		"SELECT k, v FROM q_any # it's {keys}\nWHERE k IN {keys} AND '{keys}' <> '?' AND \"\\\"{keys}\" <> ''",
		"SELECT k, v AS `v` FROM q_any WHERE k IN {keys} AND (k IN {keys} OR 1--1 = 2)",
		"WITH c AS (SELECT * FROM q_any WHERE k IN {keys}) SELECT k, v FROM c WHERE v LIKE '%' UNION SELECT k, v FROM q_any WHERE k IN {keys}",
	} {
		t.Run(query, func(t *testing.T) {
			p := joinWith(t, server.DSN(), fmt.Sprintf(`
dsn: "$DSN"
dimensions: [ { name: q, query: %q, key: { k: this.k } } ]
`, query))
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			out, err := tryRun(ctx, p, `{"k":"a"}`, `{"k":"?"}`, `{"k":"{keys}"}`, `{"k":"it's \"\\"}`, `{"k":"none"}`)
			require.NoError(t, err)
			require.Equal(t, []string{
				`{"k":"a","v":"100%"}`, `{"k":"?","v":"%d ?"}`, `{"k":"{keys}","v":"x"}`, `{"k":"it's \"\\","v":"y"}`, `{"k":"none","v":null}`,
			}, out)
		})
	}
}

// Which of two columns is meant cannot be told by a name that both have.
func TestQueryWithTwoColumnsOfOneName(t *testing.T) {
	server.Exec(t, `CREATE OR REPLACE TABLE q_two (k INT PRIMARY KEY, name VARCHAR(10)); INSERT INTO q_two VALUES (1, 'a')`)
	p := join(t, `
dsn: "$DSN"
dimensions: [ { name: q, query: "SELECT a.k, a.name, UPPER(b.name) AS name FROM q_two a JOIN q_two b USING (k) WHERE a.k IN {keys}", key: { k: this.k }, columns: [ name ] } ]
`)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := tryRun(ctx, p, `{"k":1}`)
	require.ErrorIs(t, err, context.DeadlineExceeded, "nothing is joined with one of the two")
}

// A text that the column's character set cannot hold has no row. It makes some servers reject the query, which the other keys have to survive;
// and MariaDB compares the texts of row values without converting them.
func TestKeysBeyondTheCharacterSet(t *testing.T) { onBoth(t, testKeysBeyondTheCharacterSet) }

func testKeysBeyondTheCharacterSet(t *testing.T, server *services.MySQL) {
	t.Helper()
	for _, charset := range []string{"ascii", "latin1", "utf8mb3", "ucs2"} {
		server.Exec(t, fmt.Sprintf(`
			DROP TABLE IF EXISTS foreign_text;
			CREATE TABLE foreign_text (n INT, k VARCHAR(100) CHARACTER SET %s COLLATE %[1]s_bin, v INT, PRIMARY KEY (n, k));
			INSERT INTO foreign_text VALUES (1, 'a', 1), (1, '?', 2)`, charset))
		if charset != "ascii" {
			server.Exec(t, "INSERT INTO foreign_text VALUES (1, 'é', 3)")
		}
		for name, dimension := range map[string]string{
			"table":       `table: foreign_text, key: { k: this.k }`,
			"several":     `table: foreign_text, key: { k: this.k, n: this.n }`,
			"query":       `query: "SELECT k, v FROM foreign_text WHERE k IN {keys}", key: { k: this.k }`,
			"keys, twice": `query: "SELECT k, v FROM foreign_text WHERE k IN {keys} AND k IN {keys}", key: { k: this.k }`,
		} {
			t.Run(charset+" "+name, func(t *testing.T) {
				p := joinWith(t, server.DSN(), fmt.Sprintf(`
dsn: "$DSN"
dimensions: [ { name: foreign, %s, columns: [ v ] } ]
`, dimension))
				docs := []string{`{"n":1,"k":"a"}`, `{"n":1,"k":"😀"}`, `{"n":1,"k":"é"}`, `{"n":1,"k":"b"}`, `{"n":1,"k":"?"}`, `{"n":1,"k":"x😀"}`}
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				batch, err := tryProcess(ctx, p, docs...)
				require.NoError(t, err)
				for i, v := range []string{"1", "null", "3", "null", "2", "null"} {
					if charset == "ascii" && i == 2 {
						v = "null"
					}
					require.NoError(t, batch[i].GetError())
					require.Equal(t, strings.TrimSuffix(docs[i], "}")+`,"v":`+v+`}`, content(t, batch[i]))
				}
			})
		}
	}
}

// Decimals of any precision are found, by an index.
func TestLongDecimalKeys(t *testing.T) { onBoth(t, testLongDecimalKeys) }

func testLongDecimalKeys(t *testing.T, server *services.MySQL) {
	t.Helper()
	server.Exec(t, `
		DROP TABLE IF EXISTS long_decimal;
		CREATE TABLE long_decimal (w DECIMAL(65,0), f DECIMAL(30,30), v INT, KEY (w), KEY (f));
		INSERT INTO long_decimal VALUES (12345678901234567890123456789012345678901234567890123456789012345, 0.000000000000000000000000000001, 1), (-7, 0.5, 2)`)
	for column, tc := range map[string]struct{ keys, want []string }{
		"w": {
			[]string{`12345678901234567890123456789012345678901234567890123456789012345`, `"-7.000"`, `12345678901234567890123456789012345678901234567890123456789012346`, `1e80`},
			[]string{`1`, `2`, `null`, `null`},
		},
		"f": {[]string{`1e-30`, `5e-1`, `0.50000000000000000000000000000000000000001`, `1e-31`}, []string{`1`, `2`, `null`, `null`}},
	} {
		p := joinWith(t, server.DSN(), fmt.Sprintf(`
dsn: "$DSN"
dimensions: [ { name: long, table: long_decimal, key: { %s: this.k }, columns: [ v ] } ]
`, column))
		var docs, want []string
		for i, k := range tc.keys {
			docs = append(docs, `{"k":`+k+`}`)
			want = append(want, `{"k":`+k+`,"v":`+tc.want[i]+`}`)
		}
		require.Equal(t, want, run(t, p, docs...))
	}
}

// More keys than the server takes in one packet, of several columns, and letters that have to be escaped.
func TestSmallPackets(t *testing.T) { onBoth(t, testSmallPackets) }

func testSmallPackets(t *testing.T, server *services.MySQL) {
	t.Helper()
	server.Exec(t, `
		DROP TABLE IF EXISTS packets;
		CREATE TABLE packets (n INT, k VARCHAR(250), v INT, PRIMARY KEY (n, k))`)
	var docs, want, rows []string
	for n := range 1000 {
		key := strings.Repeat("'", 200) + fmt.Sprint(n)
		docs = append(docs, fmt.Sprintf(`{"n":%d,"k":"%s"}`, n, key))
		want = append(want, fmt.Sprintf(`{"n":%d,"k":"%s","v":%[1]d}`, n, key))
		rows = append(rows, fmt.Sprintf("(%d, CONCAT(REPEAT('\\'', 200), %[1]d), %[1]d)", n))
	}
	server.Exec(t, `INSERT INTO packets VALUES `+strings.Join(rows, ","))
	server.Exec(t, `SET GLOBAL max_allowed_packet = 65536`)
	defer server.Exec(t, `SET GLOBAL max_allowed_packet = 67108864`)
	for _, dimension := range []string{
		`table: packets`,
		`query: "SELECT n, k, v FROM packets WHERE (k, n) IN {keys} AND (k, n) IN {keys}"`,
	} {
		p := joinWith(t, server.DSN(), fmt.Sprintf(`
dsn: "$DSN"
dimensions: [ { name: packets, %s, key: { n: this.n, k: this.k } } ]
`, dimension))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		out, err := tryRun(ctx, p, docs...)
		require.NoError(t, err)
		require.Equal(t, want, out)
	}
}
