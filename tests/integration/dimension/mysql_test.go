package dimension

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/tests/proxy"
)

// mysqlFollower is a follower of table t of the MySQL server, with a proxy between.
type mysqlFollower struct {
	*diary
	t       *testing.T
	between *proxy.Proxy
	log     *lockedBuffer
	last    int
}

func followMySQL(t *testing.T) *mysqlFollower {
	t.Helper()
	mysqlServer.Exec(t, `DROP TABLE IF EXISTS t; CREATE TABLE t (k INT PRIMARY KEY, j JSON)`)
	f := &mysqlFollower{t: t, between: proxy.Run(t, mysqlServer.Addr())}
	f.diary, f.log = follow(t, mysqlServer.DSN(), f.between.Addr())
	f.missedOnly("following begins")
	return f
}

// insert makes a transaction of its own, around which the session is set up by before and after, and waits for its row.
func (f *mysqlFollower) insert(before, after string) (row string) {
	f.t.Helper()
	f.last++
	mysqlServer.Exec(f.t, fmt.Sprintf(`%s; INSERT INTO t VALUES (%d, '{"a": {"b": "c"}}'); %s`, before, f.last, after))
	row = fmt.Sprintf(`%d{"a":{"b":"c"}}`, f.last)
	f.eventually(func() bool { return f.count(row) > 0 }, row)
	return row
}

func (f *mysqlFollower) eventually(condition func() bool, what string) {
	f.t.Helper()
	require.Eventually(f.t, condition, 20*time.Second, 5*time.Millisecond, "%s\n%s", what, f.log)
}

func (f *mysqlFollower) count(row string) (n int) {
	rows, _, _ := f.read()
	for _, r := range rows {
		if r == row {
			n++
		}
	}
	return n
}

func (f *mysqlFollower) missedOnly(want ...string) {
	f.t.Helper()
	f.eventually(func() bool { _, missed, _ := f.read(); return len(missed) >= len(want) }, "missed")
	_, missed, _ := f.read()
	require.Equal(f.t, want, missed, "%s", f.log)
}

// However a transaction is logged, what follows a broken connection begins right after it.
func TestMySQLTransactions(t *testing.T) {
	f := followMySQL(t)
	for _, tc := range []struct{ name, before, after string }{
		{"plain", "", ""},
		{"compressed", "SET binlog_transaction_compression = ON", ""},
		{"several statements", "BEGIN; SAVEPOINT a; DELETE FROM t WHERE k = -1; ROLLBACK TO SAVEPOINT a", "COMMIT"},
		{"minimal image", "SET binlog_row_image = MINIMAL", ""},
		{"distributed", "XA START 'x'", "XA END 'x'; XA PREPARE 'x'; XA COMMIT 'x'"},
		{"distributed, in one phase", "XA START 'y'", "XA END 'y'; XA COMMIT 'y' ONE PHASE"},
		{"tagged", "SET gtid_next = 'AUTOMATIC:tag'", ""},
		{"after a tagged one", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.name == "tagged" && strings.HasPrefix(mysqlVersion(t), "8.") {
				tc.before = "" // MySQL 8.3 was the first to have them
			}
			f.t = t
			row := f.insert(tc.before, tc.after)
			f.insert("", "") // so that the first is known to have ended
			f.between.Cut()
			f.insert("", "")
			require.Equal(t, 1, f.count(row), "%s", f.log)
		})
	}
	f.t = t
	mysqlServer.Exec(t, `SET binlog_row_value_options = PARTIAL_JSON; UPDATE t SET j = JSON_SET(j, '$.a.b', 'd') WHERE k = 1`)
	f.eventually(func() bool {
		rows, _, _ := f.read()
		return slices.ContainsFunc(rows, func(r string) bool { return strings.HasPrefix(r, "1 json_diff") })
	}, "a partial update")
	f.missedOnly("following begins")

	// Tags in what the server has executed do not keep the next follower from beginning.
	f = followMySQL(t)
	row := f.insert("", "")
	f.insert("", "")
	f.between.Cut()
	f.insert("", "")
	require.Equal(t, 1, f.count(row))
}

func mysqlVersion(t *testing.T) (version string) {
	t.Helper()
	require.NoError(t, mysqlServer.DB(t).QueryRowContext(t.Context(), "SELECT VERSION()").Scan(&version))
	return version
}

// What the server no longer sends is known to be missing.
func TestMySQLGaps(t *testing.T) {
	f := followMySQL(t)
	f.insert("", "")
	f.between.Set(proxy.Refuse)
	f.between.Cut()
	mysqlServer.Exec(t, `FLUSH BINARY LOGS; INSERT INTO t VALUES (100, NULL); FLUSH BINARY LOGS; FLUSH BINARY LOGS`)
	f.between.Set(proxy.Pass)
	f.eventually(func() bool { return f.count("100<nil>")+f.count("100 <nil>") == 1 }, "a change before the binlog went on in other files")
	f.missedOnly("following begins")

	f.between.Set(proxy.Refuse)
	f.between.Cut()
	mysqlServer.Exec(t, `INSERT INTO t VALUES (200, NULL); FLUSH BINARY LOGS`)
	mysqlServer.Exec(t, `PURGE BINARY LOGS TO '`+lastBinlog(t)+`'`)
	f.between.Set(proxy.Pass)
	f.missedOnly("following begins", "the binlog after the last position is gone")
	f.insert("", "")

	reset := "RESET BINARY LOGS AND GTIDS"
	if strings.HasPrefix(mysqlVersion(t), "8.0") {
		reset = "RESET MASTER"
	}
	mysqlServer.Exec(t, reset)
	gone := "the binlog after the last position is gone"
	f.missedOnly("following begins", gone, gone)
	f.insert("", "")

	// When the file's name is the same before and after, the server goes on with heartbeats, and with nothing else.
	mysqlServer.Exec(t, reset)
	f.missedOnly("following begins", gone, gone, "the binlog was reset")
	f.insert("", "")
}

func lastBinlog(t *testing.T) (name string) {
	t.Helper()
	rows, err := mysqlServer.DB(t).QueryContext(t.Context(), "SHOW BINARY LOGS")
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var size, encrypted any
		require.NoError(t, rows.Scan(&name, &size, &encrypted))
	}
	require.NoError(t, rows.Err())
	return name
}

// GTIDs are switched off, and the server is killed: the follower goes on by file and offset.
func TestMySQLWithoutGTIDs(t *testing.T) {
	f := followMySQL(t)
	f.insert("", "")
	mysqlServer.Exec(t, `SET GLOBAL gtid_mode = ON_PERMISSIVE; SET GLOBAL gtid_mode = OFF_PERMISSIVE; SET GLOBAL gtid_mode = OFF; INSERT INTO t VALUES (-1, NULL)`)
	// The server does not send the change to one that has asked by GTIDs.
	f.missedOnly("following begins", "the binlog after the last position is gone")
	f.insert("", "")
	require.Contains(t, f.log.String(), "position=binlog.0")

	require.NoError(t, mysqlServer.Kill())
	require.NoError(t, mysqlServer.Start(t.Context()))
	f.insert("", "")
	_, missed, _ := f.read()
	require.Len(t, missed, 2, "%s", f.log)
}

// A unique index on an expression has a part without a column's name.
func TestMySQLFunctionalIndex(t *testing.T) {
	mysqlServer.Exec(t, `
		DROP TABLE IF EXISTS functional;
		CREATE TABLE functional (k INT PRIMARY KEY, v VARCHAR(20), UNIQUE ((LOWER(v))));
		INSERT INTO functional VALUES (1, 'one')`)
	p := joinWith(t, mysqlServer.DSN(), `
dsn: "$DSN"
dimensions: [ { name: functional, table: functional, key: { k: this.k } } ]
`)
	require.Equal(t, []string{`{"k":1,"v":"one"}`}, run(t, p, `{"k":1}`))
}
