package binlog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"
	driver "github.com/go-sql-driver/mysql"
)

// server is what is known of the server followed.
type server struct {
	flavor   string // of the mysql package
	id       string // tells one server from another
	foldCase bool   // of the names of tables: lower_case_table_names
	end      end
}

// examine checks that the server can be followed, with all that it logs of the databases.
func examine(ctx context.Context, db *sql.DB, databases []string) (server, error) {
	s, err := identify(ctx, db)
	if err != nil {
		return s, fmt.Errorf("asking the server who it is: %w", err)
	}
	logs, err := variable(ctx, db, "log_bin")
	if err != nil {
		return s, err
	}
	if logs != "1" {
		return s, &SettingError{"log_bin", "OFF", "log_bin, binlog_format=ROW"}
	}
	format, err := variable(ctx, db, "binlog_format")
	if err != nil {
		return s, err
	}
	if strings.EqualFold(format, "STATEMENT") {
		return s, &SettingError{"binlog_format", format, "binlog_format=ROW"}
	}
	if s.end, err = readEnd(ctx, db); err != nil {
		return s, err
	}
	return s, errors.Join(s.end.logs(databases), logsReplicated(ctx, db))
}

func identify(ctx context.Context, db *sql.DB) (server, error) {
	s := server{flavor: mysql.MySQLFlavor}
	var version string
	if err := db.QueryRowContext(ctx, "SELECT VERSION(), @@lower_case_table_names > 0").Scan(&version, &s.foldCase); err != nil {
		return s, err
	}
	id := "@@server_uuid"
	if strings.Contains(strings.ToLower(version), "mariadb") {
		s.flavor, id = mysql.MariaDBFlavor, "CONCAT(@@server_id, '/', @@hostname, '/', @@datadir)"
	}
	return s, db.QueryRowContext(ctx, "SELECT "+id).Scan(&s.id)
}

// encrypted reports whether the pool's connections to the server are.
func encrypted(ctx context.Context, db *sql.DB) bool {
	var name, cipher string
	err := db.QueryRowContext(ctx, "SHOW SESSION STATUS LIKE 'Ssl_cipher'").Scan(&name, &cipher)
	return err == nil && cipher != ""
}

// variable is a setting of the server, or "" where it has none of that name.
func variable(ctx context.Context, db *sql.DB, name string) (value string, err error) {
	err = db.QueryRowContext(ctx, "SELECT @@GLOBAL."+name).Scan(&value)
	var my *driver.MySQLError
	if errors.As(err, &my) && my.Number == mysql.ER_UNKNOWN_SYSTEM_VARIABLE {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("asking the server for its %s: %w", name, err)
	}
	return value, nil
}

// logsReplicated checks that a replica logs what it gets from its source. Whether it is one, an account that may not ask for
// it is not told.
func logsReplicated(ctx context.Context, db *sql.DB) error {
	for _, name := range []string{"log_replica_updates", "log_slave_updates"} {
		value, err := variable(ctx, db, name)
		if err != nil {
			return err
		}
		if value == "0" && isReplica(ctx, db) {
			return &SettingError{name, "OFF", name + "=ON on a replica, or a DSN of its source"}
		}
	}
	return nil
}

func isReplica(ctx context.Context, db *sql.DB) bool {
	for _, q := range []string{
		"SHOW REPLICA STATUS", "SHOW SLAVE STATUS", "SHOW ALL SLAVES STATUS",
		"SHOW GLOBAL STATUS WHERE Variable_name = 'Slaves_running' AND Value > 0", // needs no privilege; MariaDB only
	} {
		if hasRow(ctx, db, q) {
			return true
		}
	}
	return false
}

func hasRow(ctx context.Context, db *sql.DB, query string) bool {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return false
	}
	defer rows.Close()
	return rows.Next() && rows.Err() == nil
}

// end is where the server's binlog ends, and whose changes are in it.
type end struct {
	place
	only, without string // databases, comma-separated: binlog_do_db, binlog_ignore_db
}

// logs reports a database whose changes are not logged.
func (e end) logs(databases []string) error {
	for _, d := range databases {
		switch {
		case e.only != "" && !slices.Contains(strings.Split(e.only, ","), d):
			return &SettingError{"binlog_do_db", e.only, "database " + d + " among them"}
		case slices.Contains(strings.Split(e.without, ","), d):
			return &SettingError{"binlog_ignore_db", e.without, "database " + d + " not among them"}
		}
	}
	return nil
}

// readEnd asks where the binlog ends; the statement has changed its name over time.
func readEnd(ctx context.Context, db *sql.DB) (end, error) {
	var errs []error
	for _, q := range []string{"SHOW BINLOG STATUS", "SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"} {
		rows, err := db.QueryContext(ctx, q)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		defer rows.Close()
		e, err := scanEnd(rows)
		if err != nil {
			return e, fmt.Errorf("asking for the binlog's end: %w", err)
		}
		return e, nil
	}
	return end{}, &PrivilegeError{"REPLICATION CLIENT (MariaDB: BINLOG MONITOR)", errors.Join(errs...)}
}

func scanEnd(rows *sql.Rows) (end, error) {
	var e end
	columns, err := rows.Columns()
	if err != nil {
		return e, err
	}
	if !rows.Next() {
		return e, errors.Join(rows.Err(), &SettingError{"log_bin", "OFF", "log_bin, binlog_format=ROW"})
	}
	into := []any{&e.file, &e.offset, &e.only, &e.without}
	for len(into) < len(columns) {
		into = append(into, new(sql.RawBytes)) // MySQL has a column of GTIDs
	}
	if err := rows.Scan(into...); err != nil {
		return e, err
	}
	return e, rows.Close()
}

// current is the end of the server's binlog as a position.
func current(ctx context.Context, db *sql.DB, s server) (position, error) {
	p := position{place: s.end.place}
	query := "SELECT @@gtid_binlog_pos"
	if s.flavor == mysql.MySQLFlavor {
		query = "SELECT IF(@@gtid_mode = 'ON', @@gtid_executed, '')"
	}
	var text string
	if err := db.QueryRowContext(ctx, query).Scan(&text); err != nil {
		return p, fmt.Errorf("asking for the server's GTIDs: %w", err)
	}
	var err error
	p.gtid, err = parseGTIDs(s.flavor, text)
	return p, err
}
