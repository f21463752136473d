package source

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// Options configure the connections to one server.
type Options struct {
	DSN            string // of go-sql-driver/mysql
	MaxConnections int
	DialTimeout    time.Duration
	Dial           func(ctx context.Context, network, addr string) (net.Conn, error) // nil is the system's
}

// longestSilence is how long a server may take to send something that was asked for.
const longestSilence = time.Minute

// Open makes the pool. It does not connect: a server that is down is met by the first query.
//
// Settings of the DSN that decide how values arrive are set here, whatever the DSN says: parameters are interpolated by the
// driver (one round trip a query; as fast as prepared statements at 100 keys and more), in utf8mb4, and TIMESTAMP is UTC.
func Open(o Options) (*sql.DB, *mysql.Config, error) {
	cfg, err := ParseDSN(o.DSN)
	if err != nil {
		return nil, nil, fmt.Errorf("parsing the MySQL DSN: %w", err)
	}
	cfg.InterpolateParams = true
	cfg.ParseTime = false
	cfg.ColumnsWithAlias = false
	cfg.MultiStatements = false
	cfg.MaxAllowedPacket = 0        // what the server takes: a longer list of keys is sent as a prepared statement, in parts
	cfg.Logger = &mysql.NopLogger{} // what matters comes back as an error
	cfg.Collation = ""
	cfg.DialFunc = o.Dial
	if err := cfg.Apply(mysql.Charset("utf8mb4", "")); err != nil {
		return nil, nil, fmt.Errorf("applying the connection's character set: %w", err)
	}
	if cfg.Params == nil {
		cfg.Params = map[string]string{}
	}
	cfg.Params["time_zone"] = "'+00:00'"
	cfg.Params["sql_select_limit"] = "9223372036854775807" // in effect none: rows that the server's own limit cut off would look missing
	if cfg.Timeout == 0 {
		cfg.Timeout = o.DialTimeout
	}
	if cfg.ReadTimeout == 0 {
		cfg.ReadTimeout = max(4*o.DialTimeout, longestSilence) // a scan of a whole table has no deadline of its own
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("configuring the MySQL driver: %w", err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(o.MaxConnections)
	db.SetMaxIdleConns(o.MaxConnections)
	db.SetConnMaxIdleTime(time.Minute)
	return db, cfg, nil
}

// ParseDSN reads a DSN. Its errors show nothing of it: without @tcp, the driver takes user:password for the name of a network, and says so.
func ParseDSN(dsn string) (*mysql.Config, error) {
	if dsn == "" { // which the driver takes for a server on this host
		return nil, errors.New("is required, as user:password@tcp(host:3306)/database")
	}
	cfg, err := mysql.ParseDSN(dsn)
	switch {
	case err == nil:
		return cfg, nil
	case strings.HasPrefix(err.Error(), "invalid DSN: "):
		return nil, err
	}
	return nil, errors.New("is not user:password@tcp(host:3306)/database, or has a parameter that go-sql-driver/mysql does not take")
}

// Session names what the rows that a query returns depend on besides the query: who asks which server, in which database, with which
// session variables. Two connections of one name see the same.
func Session(c *mysql.Config) string {
	return fmt.Sprintf("%q@%s(%s)/%q %q %q", c.User, c.Net, c.Addr, c.DBName, c.Params, c.ConnectionAttributes)
}

// Source reads one dimension. It is safe for concurrent use.
type Source struct {
	cfg Config
	db  *sql.DB
	// query is cfg.Query, taken apart where the lists of keys go.
	query []string
	// onInexact is told of rows that the server's collation found for another key than theirs.
	onInexact func(rows int)
}

// New makes the source of a dimension; onInexact may be nil.
func New(db *sql.DB, cfg Config, onInexact func(rows int)) (*Source, error) {
	if (cfg.Table == "") == (cfg.Query == "") {
		return nil, &SchemaError{Dimension: cfg.Name, Reason: "exactly one of table and query is needed"}
	}
	query := splitAtKeys(cfg.Query)
	if cfg.Query != "" && len(query) == 1 {
		return nil, &SchemaError{Dimension: cfg.Name, Reason: "its query has no {keys} placeholder, as in: WHERE id IN {keys}"}
	}
	if len(cfg.Keys) == 0 {
		return nil, &SchemaError{Dimension: cfg.Name, Reason: "it has no key"}
	}
	if onInexact == nil {
		onInexact = func(int) {}
	}
	return &Source{cfg: cfg, db: db, query: query, onInexact: onInexact}, nil
}

// HasKeys tells whether a query says where the list of keys goes.
func HasKeys(query string) bool { return len(splitAtKeys(query)) > 1 }

// Config returns what the source was made from.
func (s *Source) Config() Config { return s.cfg }

// Schema asks the server what the dimension looks like. The error is a *SchemaError when the dimension does not fit its
// configuration, otherwise the server could not be asked.
func (s *Source) Schema(ctx context.Context) (*Schema, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	schema, err := s.schema(ctx)
	if err != nil {
		return nil, s.wrap("reading the schema of", err)
	}
	return schema, nil
}

func (s *Source) schema(ctx context.Context) (*Schema, error) {
	result, err := s.probe(ctx)
	if err != nil {
		return nil, err
	}
	var table map[string]tableColumn
	var unique bool
	if s.cfg.Table != "" {
		if table, err = s.tableColumns(ctx); err != nil {
			return nil, err
		}
		if unique, err = s.uniqueKey(ctx); err != nil {
			return nil, err
		}
	}
	return newSchema(&s.cfg, result, table, unique)
}

// probe runs the dimension's query for no rows, for the sake of its columns.
func (s *Source) probe(ctx context.Context) ([]described, error) {
	query := "SELECT " + s.named() + " FROM " + quoteTable(s.cfg.Table) + " LIMIT 0"
	if s.cfg.Query != "" {
		null := "NULL"
		if n := len(s.cfg.Keys); n > 1 {
			null = "(" + strings.TrimSuffix(strings.Repeat("NULL,", n), ",") + ")"
		}
		query = strings.Join(s.query, "("+null+")")
	}
	rows, err := s.db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	return describe(types), rows.Err()
}

// named are the columns that the configuration names, or all: an account may be allowed to read only some.
func (s *Source) named() string {
	if len(s.cfg.Columns) == 0 {
		return "*"
	}
	names := slices.Clone(s.cfg.Keys)
	for _, c := range s.cfg.Columns {
		names = append(names, c.Name)
	}
	if a := s.cfg.AsOf; a != nil {
		names = append(names, a.From)
		if a.To != "" {
			names = append(names, a.To)
		}
	}
	for i := range names {
		names[i] = quote(names[i])
	}
	return strings.Join(names, ",")
}

// tableColumns reads what the protocol does not tell: BINARY's width, and which texts are MariaDB's JSON and UUID.
func (s *Source) tableColumns(ctx context.Context) (map[string]tableColumn, error) {
	database, table := splitTable(s.cfg.Table)
	rows, err := s.db.QueryContext(ctx, `SELECT COLUMN_NAME, DATA_TYPE, COALESCE(CHARACTER_MAXIMUM_LENGTH, 0), ORDINAL_POSITION, COALESCE(CHARACTER_SET_NAME, '')
		FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = COALESCE(NULLIF(?, ''), DATABASE()) AND TABLE_NAME = ?`, database, table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]tableColumn{}
	for rows.Next() {
		var c tableColumn
		var width uint64
		if err := rows.Scan(&c.name, &c.dataType, &width, &c.ordinal, &c.charset); err != nil {
			return nil, err
		}
		c.dataType = strings.ToLower(c.dataType)
		c.width = int(min(width, 1<<16))
		out[strings.ToLower(c.name)] = c
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return out, s.markJSON(ctx, database, table, out)
}

// markJSON finds the columns with MariaDB's automatic check json_valid(`column`).
func (s *Source) markJSON(ctx context.Context, database, table string, columns map[string]tableColumn) error {
	var version string
	if err := s.db.QueryRowContext(ctx, "SELECT VERSION()").Scan(&version); err != nil {
		return err
	}
	if !strings.Contains(strings.ToLower(version), "mariadb") {
		return nil
	}
	rows, err := s.db.QueryContext(ctx, `SELECT CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS
		WHERE CONSTRAINT_SCHEMA = COALESCE(NULLIF(?, ''), DATABASE()) AND TABLE_NAME = ?`, database, table)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var clause string
		if err := rows.Scan(&clause); err != nil {
			return err
		}
		for key, c := range columns {
			if strings.EqualFold(clause, "json_valid(`"+c.name+"`)") {
				c.jsonCheck = true
				columns[key] = c
			}
		}
	}
	return rows.Err()
}

// uniqueKey reports whether some unique index consists of key columns only. MySQL's functional key parts have no column.
func (s *Source) uniqueKey(ctx context.Context) (bool, error) {
	database, table := splitTable(s.cfg.Table)
	rows, err := s.db.QueryContext(ctx, `SELECT INDEX_NAME, COALESCE(COLUMN_NAME, '') FROM information_schema.STATISTICS
		WHERE TABLE_SCHEMA = COALESCE(NULLIF(?, ''), DATABASE()) AND TABLE_NAME = ? AND NON_UNIQUE = 0`, database, table)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	covered := map[string]bool{}
	for rows.Next() {
		var index, column string
		if err := rows.Scan(&index, &column); err != nil {
			return false, err
		}
		isKey := slices.ContainsFunc(s.cfg.Keys, func(k string) bool { return strings.EqualFold(k, column) })
		if before, seen := covered[index]; !seen || before {
			covered[index] = isKey
		}
	}
	for _, all := range covered {
		if all {
			return true, rows.Err()
		}
	}
	return false, rows.Err()
}

func (s *Source) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.cfg.QueryTimeout <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, s.cfg.QueryTimeout)
}

func (s *Source) selectFrom(schema *Schema) string {
	quoted := make([]string, len(schema.selects))
	for i, c := range schema.selects {
		quoted[i] = quote(c)
	}
	return "SELECT " + strings.Join(quoted, ",") + " FROM " + quoteTable(s.cfg.Table)
}

func (s *Schema) keyTuple() string {
	names := make([]string, len(s.Keys))
	for i, k := range s.Keys {
		names[i] = quote(k.Name)
	}
	if len(names) == 1 {
		return names[0]
	}
	return "(" + strings.Join(names, ",") + ")"
}

func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// splitTable takes database.table apart; a name with a dot of its own cannot be given.
func splitTable(table string) (database, name string) {
	if database, name, found := strings.Cut(table, "."); found {
		return database, name
	}
	return "", table
}

func quoteTable(table string) string {
	database, name := splitTable(table)
	if database == "" {
		return quote(name)
	}
	return quote(database) + "." + quote(name)
}

// The server's error numbers that mean that a dimension does not fit its configuration (any more).
const (
	erBadField       = 1054
	erNoSuchTable    = 1146
	erParse          = 1064
	erTableAccess    = 1142
	erColumnAccess   = 1143
	erDatabaseAccess = 1044
	erViewInvalid    = 1356
)

// wrap names the dimension; a server error about the dimension's definition becomes a *SchemaError.
func (s *Source) wrap(doing string, err error) error {
	var my *mysql.MySQLError
	if errors.As(err, &my) {
		switch my.Number {
		case erBadField, erNoSuchTable, erParse, erViewInvalid:
			return &SchemaError{Dimension: s.cfg.Name, Reason: my.Message}
		case erTableAccess, erColumnAccess, erDatabaseAccess:
			return &SchemaError{Dimension: s.cfg.Name, Reason: my.Message + " (grant SELECT on it)"}
		}
	}
	var schema *SchemaError
	if errors.As(err, &schema) || errors.Is(err, ErrSchemaChanged) {
		return err
	}
	return fmt.Errorf("%s dimension %q: %w", doing, s.cfg.Name, err)
}
