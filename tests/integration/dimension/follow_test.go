package dimension

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
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
	d, _ := follow(t, own.DSN(), between.Addr())
	db := own.DB(t)
	require.Eventually(t, func() bool { _, missed, _ := d.read(); return len(missed) > 0 }, 20*time.Second, 10*time.Millisecond)
	const changes = 300
	for n := 1; n <= changes; n++ {
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
		return len(seen) == changes
	}, 60*time.Second, 20*time.Millisecond)
	_, missed, _ := d.read()
	require.Equal(t, []string{"following begins"}, missed)
}

func TestFollowerSaysWhatIsMissing(t *testing.T) {
	own := services.Run(t, services.Options{MariaDB: true}).MySQL
	own.Exec(t, `
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
	own.Exec(t, `SET GLOBAL binlog_format = STATEMENT`)
	_, log = follow(t, own.DSN(), own.Addr())
	says(log, "binlog_format=STATEMENT: following its binlog needs binlog_format=ROW")
}
