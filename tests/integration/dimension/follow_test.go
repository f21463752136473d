package dimension

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/binlog"
	"github.com/benthos-clickhouse/connect/tests/proxy"
	"github.com/benthos-clickhouse/connect/tests/services"
)

// diary is a binlog.Handler that writes down what it is told.
type diary struct {
	mu      sync.Mutex
	rows    []string
	changed int
	missed  []string
}

func (d *diary) Row(_ binlog.Table, r binlog.Row) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rows = append(d.rows, fmt.Sprint(r.Values...))
}

func (d *diary) Changed(binlog.Table) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.changed++
}

func (d *diary) Missed(reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.missed = append(d.missed, reason)
}

func (d *diary) Lag(time.Duration) {}

func (d *diary) read() (rows, missed []string, changed int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.rows...), append([]string(nil), d.missed...), d.changed
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// follow runs a follower of table t until the test ends.
func follow(t *testing.T, dsn, addr string) (*diary, *lockedBuffer) {
	t.Helper()
	cfg, err := mysql.ParseDSN(dsn)
	require.NoError(t, err)
	db, err := sql.Open("mysql", dsn)
	require.NoError(t, err)
	d, log := &diary{}, &lockedBuffer{}
	f := binlog.New(binlog.Config{
		Addr: addr, User: cfg.User, Password: cfg.Passwd, Tables: []binlog.Table{{Database: cfg.DBName, Name: "t"}},
		Retry: 50 * time.Millisecond, Heartbeat: 500 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(log, nil)),
	}, db, d)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		db.Close()
	})
	return d, log
}

// Connections that are cut or fall silent lose no change, and none is made up: the follower goes on where it was.
func TestFollowerMissesNothing(t *testing.T) {
	own := services.Run(t, services.Options{MariaDB: true}).MySQL
	own.Exec(t, `CREATE TABLE t (k INT PRIMARY KEY, v INT); INSERT INTO t VALUES (0, 0)`)
	between := proxy.Run(t, own.Addr())
	d, log := follow(t, own.DSN(), between.Addr())
	db := own.DB(t)
	require.Eventually(t, func() bool { _, missed, _ := d.read(); return len(missed) > 0 }, 20*time.Second, 10*time.Millisecond)
	const changes = 300
	for n := 1; n <= changes; n++ {
		if n == 30 { // what another server logged before this one took over
			own.Exec(t, "SET server_id = 7; INSERT INTO t VALUES (-1, -1); DELETE FROM t WHERE k = -1")
		}
		_, err := db.Exec("INSERT INTO t VALUES (?, ?)", n, n)
		require.NoError(t, err)
		switch n % 60 {
		case 20:
			between.Cut()
		case 40:
			between.Set(proxy.BlackHole)
		case 50:
			between.Set(proxy.Pass)
		case 55:
			between.Cut()
		}
	}
	require.Eventually(t, func() bool {
		rows, _, _ := d.read()
		seen := map[string]bool{}
		for _, r := range rows {
			seen[r] = true
		}
		return len(seen) == changes+1
	}, 60*time.Second, 20*time.Millisecond, "%s", log)
	_, missed, _ := d.read()
	require.Equal(t, []string{"following begins"}, missed)
}

func TestFollowerSaysWhatIsMissing(t *testing.T) {
	own := services.Run(t, services.Options{MariaDB: true, MySQLArgs: []string{"--binlog-ignore-db=unlogged"}}).MySQL
	own.Exec(t, `
		CREATE DATABASE unlogged;
		CREATE TABLE t (k INT PRIMARY KEY, v INT);
		CREATE USER plain@'%' IDENTIFIED BY 'p'; GRANT SELECT ON *.* TO plain@'%';
		CREATE USER monitor@'%' IDENTIFIED BY 'p'; GRANT SELECT, BINLOG MONITOR ON *.* TO monitor@'%'`)
	as := func(user string) string {
		cfg, err := mysql.ParseDSN(own.DSN())
		require.NoError(t, err)
		cfg.User, cfg.Passwd = user, "p"
		return cfg.FormatDSN()
	}
	says := func(log *lockedBuffer, text string) {
		t.Helper()
		require.Eventually(t, func() bool { return bytes.Contains([]byte(log.String()), []byte(text)) }, 20*time.Second, 20*time.Millisecond, "%s", log)
	}
	_, log := follow(t, as("plain"), own.Addr())
	says(log, "GRANT REPLICATION CLIENT (MariaDB: BINLOG MONITOR) ON *.* TO it")
	_, log = follow(t, as("monitor"), own.Addr())
	says(log, "GRANT REPLICATION SLAVE ON *.* TO it")
	_, log = follow(t, strings.Replace(own.DSN(), "/dimensions", "/unlogged", 1), own.Addr())
	says(log, "binlog_ignore_db=unlogged: following its binlog needs database unlogged not among them")
	own.Exec(t, `STOP SLAVE; CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = 1, MASTER_USER = 'nobody'; START SLAVE`)
	_, log = follow(t, as("monitor"), own.Addr())
	says(log, "log_slave_updates=OFF: following its binlog needs log_slave_updates=ON on a replica")
	own.Exec(t, `STOP SLAVE; SET GLOBAL binlog_format = STATEMENT`)
	_, log = follow(t, own.DSN(), own.Addr())
	says(log, "binlog_format=STATEMENT: following its binlog needs binlog_format=ROW")
	unlogged := services.Run(t, services.Options{MariaDB: true, MySQLArgs: []string{"--skip-log-bin"}}).MySQL
	_, log = follow(t, unlogged.DSN(), unlogged.Addr())
	says(log, "log_bin=OFF: following its binlog needs log_bin")
}

// Rows of a distributed transaction are logged when it is prepared, and can be read once it is committed: they change twice.
func TestFollowerOfDistributedTransactions(t *testing.T) {
	onBoth(t, func(t *testing.T, server *services.MySQL) {
		t.Helper()
		server.Exec(t, `DROP TABLE IF EXISTS t, xa_other; CREATE TABLE t (k INT PRIMARY KEY, v INT); CREATE TABLE xa_other (k INT PRIMARY KEY)`)
		d, log := follow(t, server.DSN(), server.Addr())
		sees := func(what string, rows, changed int) {
			t.Helper()
			require.Eventually(t, func() bool {
				r, missed, c := d.read()
				return len(missed) == 1 && len(r) == rows && c == changed
			}, 20*time.Second, 5*time.Millisecond, "%s\n%+v\n%s", what, d, log)
		}
		sees("following begins", 0, 0)
		// Some servers want to be told of the end of a transaction by the connection that has prepared it.
		db := server.DB(t)
		prepare := func(xid, statement string) (end func(verb string)) {
			conn, err := db.Conn(t.Context())
			require.NoError(t, err)
			exec := func(statement string) {
				_, err := conn.ExecContext(t.Context(), statement)
				require.NoError(t, err, statement)
			}
			exec("XA START '" + xid + "'")
			exec(statement)
			exec("XA END '" + xid + "'")
			exec("XA PREPARE '" + xid + "'")
			return func(verb string) {
				exec("XA " + verb + " '" + xid + "'")
				require.NoError(t, conn.Close())
			}
		}
		first := prepare("a", "INSERT INTO t VALUES (1, 1)")
		sees("prepared", 1, 0)
		second := prepare("b", "INSERT INTO t VALUES (2, 1)")
		sees("another prepared", 2, 0)
		second("ROLLBACK")
		prepare("c", "INSERT INTO xa_other VALUES (1)")("COMMIT")
		server.Exec(t, "INSERT INTO t VALUES (3, 1)")
		sees("a rollback, and a commit of nothing that is followed", 3, 0)
		first("COMMIT")
		sees("committed", 3, 1)
	})
}

// InnoDB changes rows that refer to a deleted one itself, and no row event says so.
func TestFollowerOfForeignKeys(t *testing.T) {
	onBoth(t, func(t *testing.T, server *services.MySQL) {
		t.Helper()
		server.Exec(t, `
			DROP TABLE IF EXISTS t, fk_parent, fk_grandparent;
			CREATE TABLE fk_grandparent (k INT PRIMARY KEY, v INT);
			CREATE TABLE fk_parent (k INT PRIMARY KEY, g INT, FOREIGN KEY (g) REFERENCES fk_grandparent (k) ON DELETE CASCADE);
			CREATE TABLE t (k INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES fk_parent (k) ON DELETE SET NULL);
			INSERT INTO fk_grandparent VALUES (1, 1);
			INSERT INTO fk_parent VALUES (1, 1), (2, NULL);
			INSERT INTO t VALUES (1, 1), (2, 2)`)
		d, log := follow(t, server.DSN(), server.Addr())
		seen := func(want int) {
			t.Helper()
			require.Eventually(t, func() bool {
				rows, missed, changed := d.read()
				return len(missed) == 1 && changed+len(rows)/2 == want // MySQL 9.6 has begun to log rows before and after
			}, 20*time.Second, 5*time.Millisecond, "%+v\n%s", d, log)
		}
		seen(0)
		server.Exec(t, `UPDATE fk_grandparent SET v = 2; DELETE FROM fk_parent WHERE k = 2`)
		seen(1)
		server.Exec(t, `DELETE FROM fk_grandparent`)
		seen(2)
	})
}
