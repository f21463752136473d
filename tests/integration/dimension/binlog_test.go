package dimension

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/tests/services"
)

const followed = `
dsn: "$DSN"
dimensions: [ { name: d, table: %s, key: %s, columns: [ v ], on_missing: 'null' } ]
invalidation: { binlog: { enabled: true } }
cache: { ttl: 1h, missing_ttl: 1h, refresh_after: 0s }
`

// eventually waits until a document is joined to what it should be: the time to live is an hour, so only the binlog can have
// brought the change.
func eventually(t testing.TB, p service.BatchProcessor, doc, want string) {
	t.Helper()
	var last string
	require.Eventually(t, func() bool {
		last = run(t, p, doc)[0]
		return last == want
	}, 20*time.Second, 5*time.Millisecond, "want %s, have %s", want, &last)
}

// following makes sure that the follower has begun: a change it has not seen itself would not be noticed.
func following(t testing.TB, p service.BatchProcessor, db *sql.DB, update func(n int) string, doc string, want func(n int) string) {
	t.Helper()
	run(t, p, doc)
	for n := 1; ; n++ {
		_, err := db.Exec(update(n))
		require.NoError(t, err)
		for range 40 {
			if run(t, p, doc)[0] == want(n) {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		require.Less(t, n, 100, "the binlog is not followed")
	}
}

func followSimple(t testing.TB, p service.BatchProcessor, db *sql.DB, table string) {
	t.Helper()
	_, err := db.Exec("INSERT INTO " + table + " VALUES (999, '0')")
	require.NoError(t, err)
	following(t, p, db, func(n int) string { return fmt.Sprintf("UPDATE %s SET v = 'n%d' WHERE k = 999", table, n) }, `{"k":999}`,
		func(n int) string { return fmt.Sprintf(`{"k":999,"v":"n%d"}`, n) })
}

func TestBinlogChanges(t *testing.T) { onBoth(t, testBinlogChanges) }

func testBinlogChanges(t *testing.T, server *services.MySQL) {
	t.Helper()
	server.Exec(t, `
		DROP TABLE IF EXISTS bl;
		CREATE TABLE bl (k INT PRIMARY KEY, v VARCHAR(20));
		INSERT INTO bl VALUES (1,'one'), (2,'two'), (3,'three')`)
	db := server.DB(t)
	p := joinWith(t, server.DSN(), fmt.Sprintf(followed, "bl", "{ k: this.k }"))
	followSimple(t, p, db, "bl")
	require.Equal(t, []string{`{"k":1,"v":"one"}`, `{"k":2,"v":"two"}`, `{"k":3,"v":"three"}`, `{"k":4,"v":null}`},
		run(t, p, `{"k":1}`, `{"k":2}`, `{"k":3}`, `{"k":4}`))

	server.Exec(t, `UPDATE bl SET v = 'ONE' WHERE k = 1`)
	eventually(t, p, `{"k":1}`, `{"k":1,"v":"ONE"}`)
	server.Exec(t, `INSERT INTO bl VALUES (4, 'four')`)
	eventually(t, p, `{"k":4}`, `{"k":4,"v":"four"}`)
	server.Exec(t, `DELETE FROM bl WHERE k = 2`)
	eventually(t, p, `{"k":2}`, `{"k":2,"v":null}`)
	server.Exec(t, `UPDATE bl SET k = 5 WHERE k = 3`)
	eventually(t, p, `{"k":3}`, `{"k":3,"v":null}`)
	eventually(t, p, `{"k":5}`, `{"k":5,"v":"three"}`)
	server.Exec(t, `BEGIN; UPDATE bl SET v = 'a' WHERE k = 1; UPDATE bl SET v = 'b' WHERE k = 1; COMMIT`)
	eventually(t, p, `{"k":1}`, `{"k":1,"v":"b"}`)
	server.Exec(t, `TRUNCATE TABLE bl`)
	eventually(t, p, `{"k":1}`, `{"k":1,"v":null}`)
	server.Exec(t, `INSERT INTO bl VALUES (1, 'again')`)
	eventually(t, p, `{"k":1}`, `{"k":1,"v":"again"}`)

	server.Exec(t, `ALTER TABLE bl ADD COLUMN w INT DEFAULT 7 FIRST, MODIFY v VARCHAR(30)`)
	server.Exec(t, `UPDATE bl SET v = 'after ALTER' WHERE k = 1`)
	eventually(t, p, `{"k":1}`, `{"k":1,"v":"after ALTER"}`)
}

// Keys of every type are found in row events.
func TestBinlogKeys(t *testing.T) { onBoth(t, testBinlogKeys) }

func testBinlogKeys(t *testing.T, server *services.MySQL) {
	t.Helper()
	db := server.DB(t)
	for i, tc := range []struct{ typ, value, other, field string }{
		{"TINYINT UNSIGNED", "200", "1", `200`},
		{"SMALLINT UNSIGNED", "60000", "1", `60000`},
		{"MEDIUMINT UNSIGNED", "16000000", "1", `16000000`},
		{"INT UNSIGNED", "4000000000", "1", `4000000000`},
		{"BIGINT UNSIGNED", "18446744073709551615", "1", `18446744073709551615`},
		{"BIGINT", "-5", "1", `-5`},
		{"DECIMAL(12,3)", "-12.500", "1", `-12.5`},
		{"CHAR(10)", "'ab'", "'x'", `"ab"`},
		{"VARCHAR(10) CHARACTER SET utf8mb4", "'üß😀'", "'x'", `"üß😀"`},
		{"VARCHAR(10) CHARACTER SET latin1", "'ü'", "'x'", `"ü"`},
		{"VARCHAR(300)", "'long'", "'x'", `"long"`},
		{"BINARY(16)", "UNHEX('00112233445566778899aabbccdd0000')", "UNHEX('01')", `"00112233-4455-6677-8899-aabbccdd0000"`},
		{"VARBINARY(10)", "'raw'", "'x'", `"raw"`},
		{"DATE", "'2026-02-03'", "'2000-01-01'", `"2026-02-03"`},
		{"DATETIME(3)", "'2026-02-03 04:05:06.25'", "'2000-01-01'", `"2026-02-03T04:05:06.250Z"`},
		{"TIMESTAMP", "'2026-02-03 04:05:06'", "'2000-01-02'", `"2026-02-03T04:05:06Z"`},
		{"YEAR", "2026", "2000", `2026`},
		{"ENUM('a','b')", "'b'", "'a'", `"b"`},
		{"UUID", "'123e4567-e89b-12d3-a456-426614174000'", "'00000000-e89b-12d3-a456-426614174000'", `"123e4567-e89b-12d3-a456-426614174000"`},
		{"INET6", "'::1'", "'::2'", `"::1"`},
	} {
		if server == mysqlServer && (tc.typ == "UUID" || tc.typ == "INET6") {
			continue // types of MariaDB
		}
		t.Run(tc.typ, func(t *testing.T) {
			table := fmt.Sprintf("blk_%d", i)
			server.Exec(t, fmt.Sprintf(`
				SET time_zone = '+00:00';
				DROP TABLE IF EXISTS %s;
				CREATE TABLE %[1]s (a INT, k %[2]s PRIMARY KEY, v VARCHAR(10));
				INSERT INTO %[1]s VALUES (1, %[3]s, '0'), (1, %[4]s, 'other');
				SET time_zone = DEFAULT`, table, tc.typ, tc.value, tc.other))
			p := joinWith(t, server.DSN(), fmt.Sprintf(followed, table, "{ k: this.k }"))
			doc := `{"k":` + tc.field + `}`
			where := "v <> 'other'"
			following(t, p, db, func(n int) string { return fmt.Sprintf("UPDATE %s SET v = 'n%d' WHERE %s", table, n, where) }, doc,
				func(n int) string { return fmt.Sprintf(`{"k":%s,"v":"n%d"}`, tc.field, n) })
			server.Exec(t, fmt.Sprintf("UPDATE %s SET v = 'last' WHERE %s", table, where))
			eventually(t, p, doc, `{"k":`+tc.field+`,"v":"last"}`)
		})
	}
}

func TestBinlogCompositeKey(t *testing.T) {
	server.Exec(t, `
		CREATE OR REPLACE TABLE blc (v VARCHAR(10), b VARCHAR(10), a INT UNSIGNED, PRIMARY KEY (a, b));
		INSERT INTO blc VALUES ('0', 'x', 4000000000)`)
	p := join(t, fmt.Sprintf(followed, "blc", "{ b: this.b, a: this.a }"))
	following(t, p, server.DB(t), func(n int) string { return fmt.Sprintf("UPDATE blc SET v = 'n%d'", n) }, `{"a":4000000000,"b":"x"}`,
		func(n int) string { return fmt.Sprintf(`{"a":4000000000,"b":"x","v":"n%d"}`, n) })
}

// The binlog is read as encrypted as the rows are; of these servers, only MySQL's encrypts.
func TestBinlogTLS(t *testing.T) {
	for _, tc := range []struct {
		name, param string
		server      *services.MySQL
	}{
		{"MySQL", "skip-verify", mysqlServer},
		{"MySQL, preferred", "preferred", mysqlServer},
		{"MariaDB, preferred", "preferred", server},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.server.Exec(t, `DROP TABLE IF EXISTS blt; CREATE TABLE blt (k INT PRIMARY KEY, v VARCHAR(20))`)
			p := joinWith(t, tc.server.DSN()+"&tls="+tc.param, fmt.Sprintf(followed, "blt", "{ k: this.k }"))
			followSimple(t, p, tc.server.DB(t), "blt")
		})
	}
}

// A query's result is made due by changes of the tables it watches.
func TestBinlogWatch(t *testing.T) {
	server.Exec(t, `
		CREATE OR REPLACE TABLE blw (k INT PRIMARY KEY, v VARCHAR(10));
		INSERT INTO blw VALUES (1, '0')`)
	p := join(t, `
dsn: "$DSN"
dimensions: [ { name: d, query: "SELECT k, CONCAT(v, '!') AS v FROM blw WHERE k IN {keys}", key: { k: this.k }, watch: [ blw ] } ]
invalidation: { binlog: { enabled: true } }
cache: { ttl: 1h, missing_ttl: 1h, refresh_after: 0s }
`)
	following(t, p, server.DB(t), func(n int) string { return fmt.Sprintf("UPDATE blw SET v = 'n%d'", n) }, `{"k":1}`,
		func(n int) string { return fmt.Sprintf(`{"k":1,"v":"n%d!"}`, n) })
}

// Under load, a change is visible in joined events within a second at the 99th percentile.
func TestBinlogFreshness(t *testing.T) {
	const keys, changes = 200, 400
	var values []string
	for k := range keys {
		values = append(values, fmt.Sprintf("(%d,'0')", k))
	}
	server.Exec(t, `
		CREATE OR REPLACE TABLE blf (k INT PRIMARY KEY, v VARCHAR(20));
		CREATE OR REPLACE TABLE blf_noise (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(200));
		INSERT INTO blf VALUES `+strings.Join(values, ","))
	db := server.DB(t)
	p := join(t, fmt.Sprintf(followed, "blf", "{ k: this.k }"))
	followSimple(t, p, db, "blf")

	// The load: batches without a pause, and writes to another table.
	var stop atomic.Bool
	finished := make(chan struct{}, 2)
	go func() {
		defer func() { finished <- struct{}{} }()
		docs := make([]string, 500)
		for i := range docs {
			docs[i] = fmt.Sprintf(`{"k":%d}`, i%keys)
		}
		for !stop.Load() {
			if _, err := tryRun(t.Context(), p, docs...); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	go func() {
		defer func() { finished <- struct{}{} }()
		for !stop.Load() {
			if _, err := db.Exec("INSERT INTO blf_noise (v) VALUES (REPEAT('x', 200))"); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	var delays []time.Duration
	for n := range changes {
		k := n * 7 % keys
		_, err := db.Exec("UPDATE blf SET v = ? WHERE k = ?", fmt.Sprint("c", n), k)
		require.NoError(t, err)
		start := time.Now()
		want := fmt.Sprintf(`{"k":%d,"v":"c%d"}`, k, n)
		for run(t, p, fmt.Sprintf(`{"k":%d}`, k))[0] != want {
			require.Less(t, time.Since(start), 20*time.Second, "the change was never seen")
		}
		delays = append(delays, time.Since(start))
	}
	stop.Store(true)
	<-finished
	<-finished
	slices.Sort(delays)
	p99 := delays[len(delays)*99/100]
	t.Logf("a change was visible after %v at the median, %v at the 99th percentile, %v at most", delays[len(delays)/2], p99, delays[len(delays)-1])
	require.Less(t, p99, time.Second, "what the README promises")
}

// A server that was killed is followed again from where the follower left off; a binlog that is gone makes everything due.
func TestBinlogAcrossRestarts(t *testing.T) {
	// The server takes any case for a table's name, and logs the lower one.
	own := services.Run(t, services.Options{MariaDB: true, MySQLArgs: []string{"--lower-case-table-names=1"}}).MySQL
	own.Exec(t, `
		CREATE TABLE r (k INT PRIMARY KEY, v VARCHAR(20));
		INSERT INTO r VALUES (1,'one'), (2,'two')`)
	db := own.DB(t)
	p := joinWith(t, own.DSN(), fmt.Sprintf(followed, "R", "{ k: this.k }"))
	followSimple(t, p, db, "r")
	run(t, p, `{"k":1}`, `{"k":2}`)

	require.NoError(t, own.Kill())
	require.Equal(t, []string{`{"k":1,"v":"one"}`}, run(t, p, `{"k":1}`), "served from the cache")
	require.NoError(t, own.Start(t.Context()))
	own.Exec(t, `UPDATE r SET v = 'after the restart' WHERE k = 1`)
	eventually(t, p, `{"k":1}`, `{"k":1,"v":"after the restart"}`)

	// A change that the follower cannot see any more: it is not connected, and the binlog is purged.
	require.NoError(t, own.Kill())
	require.NoError(t, own.Start(t.Context()))
	own.Exec(t, `UPDATE r SET v = 'unseen' WHERE k = 2; FLUSH BINARY LOGS; FLUSH BINARY LOGS; RESET MASTER`)
	eventually(t, p, `{"k":2}`, `{"k":2,"v":"unseen"}`)
	own.Exec(t, `UPDATE r SET v = 'seen' WHERE k = 2`)
	eventually(t, p, `{"k":2}`, `{"k":2,"v":"seen"}`)
}

// Row images that leave columns out tell which row has changed, as long as they have its key: no other row is read again.
func TestBinlogRowImages(t *testing.T) { onBoth(t, testBinlogRowImages) }

func testBinlogRowImages(t *testing.T, server *services.MySQL) {
	t.Helper()
	const keys = 100
	var rows, docs []string
	for k := range keys {
		rows = append(rows, fmt.Sprintf("(%d, '0', 'b', %[1]d)", k))
		docs = append(docs, fmt.Sprintf(`{"k":%d}`, k))
	}
	db := server.DB(t)
	for _, image := range []string{"FULL", "NOBLOB", "MINIMAL"} {
		t.Run(image, func(t *testing.T) {
			server.Exec(t, `DROP TABLE IF EXISTS bli; CREATE TABLE bli (b BLOB, k INT PRIMARY KEY, v VARCHAR(20), n INT)`)
			server.Exec(t, `INSERT INTO bli (k, v, b, n) VALUES `+strings.Join(rows, ","))
			set := "SET binlog_row_image = " + image + "; "
			p := joinWith(t, server.DSN(), fmt.Sprintf(followed, "bli", "{ k: this.k }"))
			following(t, p, db, func(n int) string { return fmt.Sprintf("UPDATE bli SET v = 'n%d' WHERE k = 0", n) }, docs[0],
				func(n int) string { return fmt.Sprintf(`{"k":0,"v":"n%d"}`, n) })
			// The echoes of what was flushed when following began, which the first rows may have been read before.
			time.Sleep(2500 * time.Millisecond)
			run(t, p, docs...)
			before := rowsRead(t, db, "bli")
			server.Exec(t, set+`UPDATE bli SET v = 'changed' WHERE k = 0; SET binlog_row_image = DEFAULT`)
			ofUpdate := rowsRead(t, db, "bli") - before
			eventually(t, p, docs[0], `{"k":0,"v":"changed"}`)
			server.Exec(t, set+`UPDATE bli SET k = 1000, b = 'c' WHERE k = 0; SET binlog_row_image = DEFAULT`)
			eventually(t, p, docs[0], `{"k":0,"v":null}`)
			eventually(t, p, `{"k":1000}`, `{"k":1000,"v":"changed"}`)
			run(t, p, docs...)
			require.Less(t, rowsRead(t, db, "bli")-before-2*ofUpdate, int64(keys/2))
		})
	}
}

// Statements that change rows of several tables, all rows, or which table a name stands for.
func TestBinlogStatements(t *testing.T) { onBoth(t, testBinlogStatements) }

func testBinlogStatements(t *testing.T, server *services.MySQL) {
	t.Helper()
	server.Exec(t, `
		DROP TABLE IF EXISTS bls, bls_new, bls_old, bls_other;
		CREATE TABLE bls (k INT PRIMARY KEY, v VARCHAR(20));
		CREATE TABLE bls_other (k INT PRIMARY KEY, v VARCHAR(20));
		INSERT INTO bls VALUES (1, 'one'), (2, 'two');
		INSERT INTO bls_other VALUES (1, 'other one'), (2, 'other two')`)
	p := joinWith(t, server.DSN(), fmt.Sprintf(followed, "bls", "{ k: this.k }"))
	followSimple(t, p, server.DB(t), "bls")
	run(t, p, `{"k":1}`, `{"k":2}`)
	for _, tc := range []struct{ statement, one string }{
		{"UPDATE bls_other o JOIN bls b USING (k) SET o.v = CONCAT(o.v, '!'), b.v = o.v WHERE k = 1", `"other one!"`},
		{"REPLACE INTO bls VALUES (1, 'replaced')", `"replaced"`},
		{"INSERT INTO bls VALUES (1, 'x') ON DUPLICATE KEY UPDATE v = 'duplicate'", `"duplicate"`},
		{"INSERT INTO bls SELECT k, v FROM bls_other o WHERE k = 1 ON DUPLICATE KEY UPDATE v = CONCAT(o.v, '?')", `"other one!?"`},
		{"DELETE b, o FROM bls b JOIN bls_other o USING (k) WHERE k = 1", `null`},
		{"BEGIN; INSERT INTO bls VALUES (1, 'never'); ROLLBACK; INSERT INTO bls VALUES (1, 'back')", `"back"`},
		{"CREATE TABLE bls_new LIKE bls; INSERT INTO bls_new VALUES (1, 'swapped'); RENAME TABLE bls TO bls_old, bls_new TO bls", `"swapped"`},
		{"UPDATE bls SET v = 'after the swap'", `"after the swap"`},
		{"DROP TABLE bls; CREATE TABLE bls (w INT, v VARCHAR(30), k INT PRIMARY KEY); INSERT INTO bls VALUES (7, 'created', 1)", `"created"`},
		{"UPDATE bls SET v = 'with other places'", `"with other places"`},
		{"ALTER TABLE bls ADD COLUMN x INT FIRST, DROP COLUMN w; UPDATE bls SET v = 'altered'", `"altered"`},
		{"UPDATE bls SET v = 'once more'", `"once more"`},
		{"TRUNCATE bls", `null`},
	} {
		server.Exec(t, tc.statement)
		eventually(t, p, `{"k":1}`, `{"k":1,"v":`+tc.one+`}`)
	}
}

// A transaction of more rows than are remembered one by one does not keep batches waiting, and none of its changes is missed.
func TestBinlogLargeTransaction(t *testing.T) {
	const rows = 300_000
	server.Exec(t, fmt.Sprintf(`CREATE OR REPLACE TABLE bll (k INT PRIMARY KEY, v VARCHAR(20)); INSERT INTO bll SELECT seq, 'old' FROM seq_1_to_%d`, rows))
	p := join(t, fmt.Sprintf(followed, "bll", "{ k: this.k }"))
	server.Exec(t, "DELETE FROM bll WHERE k = 999")
	followSimple(t, p, server.DB(t), "bll")
	var docs, want []string
	for k := 1000; k <= rows; k += 997 {
		docs = append(docs, fmt.Sprintf(`{"k":%d}`, k))
		want = append(want, fmt.Sprintf(`{"k":%d,"v":"new"}`, k))
	}
	run(t, p, docs...)
	server.Exec(t, `UPDATE bll SET v = 'new'`)
	require.Eventually(t, func() bool { return slices.Equal(want, run(t, p, docs...)) }, 60*time.Second, 10*time.Millisecond)
	server.Exec(t, `UPDATE bll SET v = 'last' WHERE k = 300000`)
	eventually(t, p, `{"k":300000}`, `{"k":300000,"v":"last"}`)
}

// The key may be a column that the server computes, stored or not.
func TestBinlogGeneratedKeys(t *testing.T) { onBoth(t, testBinlogGeneratedKeys) }

func testBinlogGeneratedKeys(t *testing.T, server *services.MySQL) {
	t.Helper()
	for _, of := range [][2]string{{"STORED", "MINIMAL"}, {"VIRTUAL", "FULL"}, {"VIRTUAL", "MINIMAL"}} {
		kind, image := of[0], of[1]
		t.Run(kind+" "+image, func(t *testing.T) {
			server.Exec(t, fmt.Sprintf(`
					DROP TABLE IF EXISTS blg;
					CREATE TABLE blg (id INT PRIMARY KEY, sku VARCHAR(20), k VARCHAR(20) GENERATED ALWAYS AS (LOWER(sku)) %s, v VARCHAR(20), KEY (k));
					INSERT INTO blg (id, sku, v) VALUES (1, 'A', '0'), (2, 'B', 'two')`, kind))
			p := joinWith(t, server.DSN(), fmt.Sprintf(followed, "blg", "{ k: 'this.k.lowercase()' }"))
			following(t, p, server.DB(t), func(n int) string { return fmt.Sprintf("UPDATE blg SET v = 'n%d' WHERE id = 1", n) }, `{"k":"a"}`,
				func(n int) string { return fmt.Sprintf(`{"k":"a","v":"n%d"}`, n) })
			time.Sleep(2500 * time.Millisecond) // past the echoes of what was flushed
			run(t, p, `{"k":"A"}`, `{"k":"B"}`, `{"k":"C"}`)
			set := "SET binlog_row_image = " + image + "; "
			server.Exec(t, set+`UPDATE blg SET v = 'changed' WHERE id = 1; SET binlog_row_image = DEFAULT`)
			eventually(t, p, `{"k":"A"}`, `{"k":"A","v":"changed"}`)
			server.Exec(t, set+`UPDATE blg SET sku = 'C' WHERE id = 2; SET binlog_row_image = DEFAULT`)
			eventually(t, p, `{"k":"B"}`, `{"k":"B","v":null}`)
			eventually(t, p, `{"k":"C"}`, `{"k":"C","v":"two"}`)
			server.Exec(t, set+`DELETE FROM blg WHERE id = 1; SET binlog_row_image = DEFAULT`)
			eventually(t, p, `{"k":"A"}`, `{"k":"A","v":null}`)
		})
	}
}
