package services

import "context"

const mariadbRedoLog = "--innodb-log-file-size=16M"

func (m *MySQL) prepareMariaDB(ctx context.Context, store *cache, port int) error {
	template, err := store.mariadb(ctx)
	if err != nil {
		return err
	}
	if err := m.copyData(ctx, template); err != nil {
		return err
	}
	args, err := m.arguments(port)
	m.argv = append([]string{findCommand("mariadbd"), "--no-defaults", "--binlog-row-metadata=FULL", mariadbRedoLog}, args...)
	return err
}

// mariadb installs the server and returns its data directory to copy.
func (c *cache) mariadb(ctx context.Context) (template string, err error) {
	if err := c.ensureCommand(ctx, "mariadbd", "mariadb-server"); err != nil {
		return "", &InstallError{
			What: "MariaDB", Err: err,
			ByHand: "apt-get install mariadb-server, or set MYSQL_DSN (user:password@tcp(host:port)/database) to a running server",
		}
	}
	return c.initialized(ctx, "mariadb", []string{findCommand("mariadbd")}, func(ctx context.Context, data string) error {
		args := append([]string{
			"--no-defaults", "--datadir=" + data, "--skip-test-db", "--skip-name-resolve",
			"--auth-root-authentication-method=normal", mariadbRedoLog,
		}, asOurselves()...)
		return run(ctx, "", nil, "mariadb-install-db", args...)
	})
}
