package services

import (
	"context"
	"os"
)

// prepareMariaDB makes the data directory, unless Options.Dir has one of an earlier run.
func (m *MySQL) prepareMariaDB(ctx context.Context, store *cache, port int) error {
	if err := store.mariadb(ctx); err != nil {
		return err
	}
	const redoLog = "--innodb-log-file-size=16M"
	if !exists(m.dataDir()) {
		if err := os.MkdirAll(m.dir, 0o755); err != nil {
			return err
		}
		args := append([]string{
			"--no-defaults", "--datadir=" + m.dataDir(), "--skip-test-db", "--skip-name-resolve",
			"--auth-root-authentication-method=normal", redoLog,
		}, asOurselves()...)
		if err := run(ctx, m.dir, nil, "mariadb-install-db", args...); err != nil {
			return err
		}
	}
	args, err := m.arguments(port)
	m.argv = append([]string{findCommand("mariadbd"), "--no-defaults", "--binlog-row-metadata=FULL", redoLog}, args...)
	return err
}

// mariadb installs the server.
func (c *cache) mariadb(ctx context.Context) error {
	if err := c.ensureCommand(ctx, "mariadbd", "mariadb-server"); err != nil {
		return &InstallError{
			What: "MariaDB", Err: err,
			ByHand: "apt-get install mariadb-server, or set MYSQL_DSN (user:password@tcp(host:port)/database) to a running server",
		}
	}
	return nil
}
