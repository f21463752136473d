package binlog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
	driver "github.com/go-sql-driver/mysql"
)

// SettingError reports a server that cannot be followed as it is set up.
type SettingError struct{ Setting, Value, Want string }

func (e *SettingError) Error() string {
	return fmt.Sprintf("the server has %s=%s: following its binlog needs %s", e.Setting, e.Value, e.Want)
}

// PrivilegeError reports an account that may not follow the server.
type PrivilegeError struct {
	Privilege string
	Err       error
}

func (e *PrivilegeError) Error() string {
	return fmt.Sprintf("the account may not follow the binlog: GRANT %s ON *.* TO it: %v", e.Privilege, e.Err)
}

func (e *PrivilegeError) Unwrap() error { return e.Err }

// server is what is known of the server followed.
type server struct {
	flavor string // of the mysql package
	id     string // tells one server from another
}

// examine checks that the server can be followed.
func examine(ctx context.Context, db *sql.DB) (server, error) {
	var s server
	var version string
	var logBin bool
	if err := db.QueryRowContext(ctx, "SELECT VERSION(), @@log_bin").Scan(&version, &logBin); err != nil {
		return s, fmt.Errorf("asking the server how it logs: %w", err)
	}
	format := "ROW" // and nothing else, where the variable is gone
	if err := db.QueryRowContext(ctx, "SELECT @@binlog_format").Scan(&format); err != nil && !isUnknownVariable(err) {
		return s, fmt.Errorf("asking the server how it logs: %w", err)
	}
	s.flavor = mysql.MySQLFlavor
	id := "@@server_uuid"
	if strings.Contains(strings.ToLower(version), "mariadb") {
		s.flavor, id = mysql.MariaDBFlavor, "CONCAT(@@server_id, '/', @@hostname, '/', @@datadir)"
	}
	switch {
	case !logBin:
		return s, &SettingError{"log_bin", "OFF", "log_bin, binlog_format=ROW"}
	case strings.EqualFold(format, "STATEMENT"):
		return s, &SettingError{"binlog_format", format, "binlog_format=ROW"}
	}
	if err := db.QueryRowContext(ctx, "SELECT "+id).Scan(&s.id); err != nil {
		return s, fmt.Errorf("asking the server who it is: %w", err)
	}
	return s, nil
}

func isUnknownVariable(err error) bool {
	var my *driver.MySQLError
	return errors.As(err, &my) && my.Number == mysql.ER_UNKNOWN_SYSTEM_VARIABLE
}

// position is how far the follower has got: always file and offset, and the GTIDs where the server has them.
type position struct {
	file   string
	offset uint32
	gtid   mysql.GTIDSet
}

func (p *position) known() bool { return p.file != "" }

// String is for messages.
func (p position) String() string {
	if p.gtid != nil {
		return p.gtid.String()
	}
	return fmt.Sprintf("%s:%d", p.file, p.offset)
}

func (p *position) rotate(file string, offset uint32) { p.file, p.offset = file, offset }

// advance notes the end of a transaction.
func (p *position) advance(offset uint32, gtid mysql.GTIDSet) {
	if offset > 0 {
		p.offset = offset
	}
	if gtid != nil && p.gtid != nil {
		p.gtid = gtid
	}
}

// open asks the server for what follows the position.
func (p *position) open(syncer *replication.BinlogSyncer) (*replication.BinlogStreamer, error) {
	if p.gtid != nil {
		return syncer.StartSyncGTID(p.gtid.Clone())
	}
	return syncer.StartSync(mysql.Position{Name: p.file, Pos: p.offset})
}

// current is the end of the server's binlog.
func current(ctx context.Context, db *sql.DB, s server) (position, error) {
	var p position
	if err := p.readStatus(ctx, db); err != nil {
		return p, err
	}
	query := "SELECT @@gtid_binlog_pos"
	if s.flavor == mysql.MySQLFlavor {
		query = "SELECT IF(@@gtid_mode = 'ON', @@gtid_executed, '')"
	}
	var text string
	if err := db.QueryRowContext(ctx, query).Scan(&text); err != nil {
		return p, fmt.Errorf("asking for the server's GTIDs: %w", err)
	}
	// No GTIDs yet would mean everything since the first: the file's end is what is wanted then.
	if text = strings.ReplaceAll(text, "\n", ""); text == "" {
		return p, nil
	}
	gtid, err := mysql.ParseGTIDSet(s.flavor, text)
	if err != nil {
		return p, fmt.Errorf("reading the server's GTIDs %q: %w", text, err)
	}
	p.gtid = gtid
	return p, nil
}

// readStatus asks for file and offset; the statement has changed its name over time.
func (p *position) readStatus(ctx context.Context, db *sql.DB) error {
	var errs []error
	for _, q := range []string{"SHOW BINLOG STATUS", "SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"} {
		rows, err := db.QueryContext(ctx, q)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil {
			return fmt.Errorf("asking for the binlog's end: %w", err)
		}
		if !rows.Next() {
			if err := rows.Err(); err != nil {
				return fmt.Errorf("asking for the binlog's end: %w", err)
			}
			return &SettingError{"log_bin", "OFF", "log_bin, binlog_format=ROW"}
		}
		rest := make([]any, len(columns)-2)
		for i := range rest {
			rest[i] = new(sql.RawBytes)
		}
		if err := rows.Scan(append([]any{&p.file, &p.offset}, rest...)...); err != nil {
			return fmt.Errorf("asking for the binlog's end: %w", err)
		}
		return rows.Close()
	}
	return &PrivilegeError{"REPLICATION CLIENT (MariaDB: BINLOG MONITOR)", errors.Join(errs...)}
}
