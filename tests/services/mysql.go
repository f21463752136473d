package services

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/go-sql-driver/mysql" // registers the driver "mysql"
	"github.com/stretchr/testify/require"
)

// User and password that the server is created with; the user has every right, replication (for the binlog) included.
const (
	MySQLUser     = "connect"
	MySQLPassword = "connect-secret"
)

// MySQL is a server of MariaDB or of MySQL, as Options say. Kill, Stop, Start, Pause, Resume, Log, PID and Running come with it.
type MySQL struct {
	*process
	config *mysql.Config
}

// DSN is the server's address, user and database as go-sql-driver/mysql wants them, with parseTime on.
func (m *MySQL) DSN() string { return m.config.FormatDSN() }

// Addr is host:port of the server.
func (m *MySQL) Addr() string { return m.config.Addr }

// DB opens a connection pool that the test's end closes.
func (m *MySQL) DB(t testing.TB) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", m.DSN())
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// Exec runs a script of statements separated by semicolons; the test ends at the first that fails.
func (m *MySQL) Exec(t testing.TB, script string) {
	t.Helper()
	require.NoError(t, m.ExecContext(t.Context(), script))
}

// ExecContext is Exec without a test.
func (m *MySQL) ExecContext(ctx context.Context, script string) error {
	db, err := sql.Open("mysql", m.DSN())
	if err != nil {
		return fmt.Errorf("opening %s: %w", m.name, err)
	}
	defer db.Close()
	conn, err := db.Conn(ctx) // one connection, so that SET and USE hold for what follows
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", m.name, err)
	}
	defer conn.Close()
	for _, statement := range Statements(script) {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("running on %s: %w\nstatement: %s", m.name, err, statement)
		}
	}
	return nil
}

func (m *MySQL) ping(ctx context.Context) error {
	db, err := sql.Open("mysql", m.DSN())
	if err != nil {
		return err
	}
	defer db.Close()
	return db.PingContext(ctx)
}

// addMySQL configures the server of either kind.
func (c *Cluster) addMySQL(ctx context.Context, store *cache) error {
	m := &MySQL{process: &process{}, config: mysql.NewConfig()}
	var prepare func(ctx context.Context, store *cache, port int) error
	switch {
	case c.opts.MariaDB:
		m.name, prepare = "mariadb", m.prepareMariaDB
	case c.opts.MySQL:
		m.name, prepare = "mysql", m.prepareMySQL
	default:
		return nil
	}
	m.healthy = m.ping
	if dsn := os.Getenv("MYSQL_DSN"); dsn != "" && c.opts.MariaDB {
		var err error
		if m.config, err = mysql.ParseDSN(dsn); err != nil {
			return fmt.Errorf("using MYSQL_DSN: %w", err)
		}
		m.foreign = true
	} else {
		port, err := c.ports.take()
		if err != nil {
			return fmt.Errorf("making %s: %w", m.name, err)
		}
		m.config.User, m.config.Passwd, m.config.DBName = MySQLUser, MySQLPassword, c.opts.MySQLDatabase
		m.config.Net, m.config.Addr, m.config.ParseTime = "tcp", fmt.Sprintf("127.0.0.1:%d", port), true
		m.dir = filepath.Join(c.Dir, m.name)
		m.logPath = filepath.Join(m.dir, "server.log")
		if err := prepare(ctx, store, port); err != nil {
			return fmt.Errorf("making %s: %w", m.name, err)
		}
		m.argv = append(m.argv, c.opts.MySQLArgs...)
	}
	c.MySQL = m
	c.processes = append(c.processes, m.process)
	return nil
}

// arguments are those that both kinds of server take.
func (m *MySQL) arguments(port int) ([]string, error) {
	initial := fmt.Sprintf("CREATE DATABASE IF NOT EXISTS `%s` CHARACTER SET utf8mb4;\n"+
		"CREATE USER IF NOT EXISTS '%s'@'%%' IDENTIFIED BY '%s';\n"+
		"GRANT ALL PRIVILEGES ON *.* TO '%[2]s'@'%%' WITH GRANT OPTION;\n", m.config.DBName, MySQLUser, MySQLPassword)
	initFile := filepath.Join(m.dir, "init.sql")
	if err := os.WriteFile(initFile, []byte(initial), 0o644); err != nil {
		return nil, err
	}
	return append([]string{
		"--datadir=" + m.dataDir(), "--init-file=" + initFile,
		"--bind-address=127.0.0.1", fmt.Sprintf("--port=%d", port), "--skip-name-resolve",
		"--socket=" + filepath.Join(m.dir, "s"), "--pid-file=" + filepath.Join(m.dir, "pid"),
		"--log-bin=" + filepath.Join(m.dir, "binlog"), "--binlog-format=ROW", "--binlog-row-image=FULL", "--server-id=1",
		"--innodb-buffer-pool-size=128M", "--innodb-flush-log-at-trx-commit=1",
		"--max-connections=300", "--character-set-server=utf8mb4",
	}, asOurselves()...), nil
}

// initialized returns a data directory that no server has run on, made once: copying it is ten times as fast.
func (c *cache) initialized(ctx context.Context, name string, server []string, initialize func(ctx context.Context, data string) error) (string, error) {
	version, err := exec.CommandContext(ctx, server[0], slices.Concat(server[1:], []string{"--version"})...).Output()
	if err != nil {
		return "", fmt.Errorf("asking %s for its version: %w", server[0], err)
	}
	dir, err := c.once(ctx, fmt.Sprintf("%s-data-%x", name, sha256.Sum256(version))[:24], func(ctx context.Context, tmp string) error {
		return initialize(ctx, filepath.Join(tmp, "data"))
	})
	return filepath.Join(dir, "data"), err
}

// copyData makes the server's data directory, unless Options.Dir has one of an earlier run.
func (m *MySQL) copyData(ctx context.Context, template string) error {
	if exists(m.dataDir()) {
		return nil
	}
	if err := os.MkdirAll(m.dir, 0o755); err != nil {
		return err
	}
	return run(ctx, m.dir, nil, "cp", "-R", template, m.dataDir())
}

func (m *MySQL) dataDir() string { return filepath.Join(m.dir, "data") }

// asOurselves keeps a server of root's from changing to user mysql: with the user it would lose the promise to die with us.
func asOurselves() []string {
	if os.Geteuid() == 0 {
		return []string{"--user=root"}
	}
	return nil
}
