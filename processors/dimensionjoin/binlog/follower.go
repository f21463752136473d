// Package binlog follows the row events of a MySQL or MariaDB server for a few tables.
//
// It owns the replication connection, its position (GTID where the server has one, otherwise file and offset) and the
// recognition of what was missed. It must never decide what a change means: that is the Handler's, and it must not be kept
// waiting, nor keep anyone waiting.
package binlog

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
)

// Table names a table, in the spelling of the server.
type Table struct{ Database, Name string }

// Row is one image of a row, before or after its change.
type Row struct {
	Names   []string // of the columns, or nil when the server does not log them (binlog_row_metadata)
	Values  []any    // in the order of the table's columns; integers are signed
	Skipped []int    // columns that the image leaves out (binlog_row_image)
}

// Handler is told what happened to the tables. Its methods are called one after the other.
type Handler interface {
	// Row is called for every image of a changed row: once for an insert or a delete, twice for an update.
	Row(t Table, r Row)
	// Changed says that anything of the table may be different: its definition, or all of its rows.
	Changed(t Table)
	// Missed says that changes of any table may have gone by unseen.
	Missed(reason string)
	// Lag is how far behind the server the follower was at its last event; 0 when it has caught up.
	Lag(d time.Duration)
}

// Config says whom to follow.
type Config struct {
	Addr, User, Password string
	TLS                  *tls.Config
	Dial                 func(ctx context.Context, network, addr string) (net.Conn, error)
	ServerID             uint32 // 0 picks one at random
	Tables               []Table
	Heartbeat            time.Duration // 0 is 5 s
	Retry                time.Duration // pause before a new attempt; 0 is 1 s
	Logger               *slog.Logger
}

// Follower follows one server.
type Follower struct {
	config  Config
	db      *sql.DB
	handler Handler
	tables  map[Table]bool
	log     *slog.Logger

	server   server
	position position
	said     string // the last complaint, so that it is logged once
}

// New makes a follower; db is a pool of the same server, for questions.
func New(config Config, db *sql.DB, handler Handler) *Follower {
	f := &Follower{config: config, db: db, handler: handler, tables: map[Table]bool{}, log: config.Logger}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	if f.config.ServerID == 0 {
		f.config.ServerID = 1<<30 + rand.Uint32N(1<<30)
	}
	if f.config.Heartbeat == 0 {
		f.config.Heartbeat = 5 * time.Second
	}
	if f.config.Retry == 0 {
		f.config.Retry = time.Second
	}
	for _, t := range config.Tables {
		f.tables[t] = true
	}
	return f
}

// Run follows until ctx ends. It survives every failure of the server: while it is not connected, rows live by their ttl.
func (f *Follower) Run(ctx context.Context) {
	for ctx.Err() == nil {
		err := f.connect(ctx)
		if ctx.Err() != nil {
			return
		}
		f.complain(err)
		select {
		case <-ctx.Done():
		case <-time.After(f.config.Retry):
		}
	}
}

// complain logs an error once, not at every attempt.
func (f *Follower) complain(err error) {
	if err == nil || err.Error() == f.said {
		return
	}
	f.said = err.Error()
	f.log.Warn("not following the binlog: changes are noticed when rows' ttl is over", "error", err)
}

// connect follows from where it left off, or from now, until the connection breaks.
func (f *Follower) connect(ctx context.Context) error {
	s, err := examine(ctx, f.db)
	if err != nil {
		return err
	}
	if err := f.start(ctx, s); err != nil {
		return err
	}
	syncer := replication.NewBinlogSyncer(f.syncerConfig(s))
	defer syncer.Close()
	stream, err := f.position.open(syncer)
	if err != nil {
		return f.lost(fmt.Errorf("starting to follow the binlog at %v: %w", f.position, err))
	}
	f.log.Info("following the binlog", "server", f.config.Addr, "flavor", s.flavor, "position", f.position.String())
	f.said = ""
	for {
		ev, err := stream.GetEvent(ctx)
		if err != nil {
			return f.lost(fmt.Errorf("following the binlog: %w", err))
		}
		if err := f.handle(ev); err != nil {
			return err
		}
	}
}

// start decides where to begin, and says so when something may have been missed.
func (f *Follower) start(ctx context.Context, s server) error {
	before := f.server
	f.server = s
	if f.position.known() && (before.id == s.id || f.position.gtid != nil) {
		return nil
	}
	reason := "following begins"
	if f.position.known() {
		reason = "this is another server"
	}
	p, err := current(ctx, f.db, s)
	if err != nil {
		f.server = before
		return err
	}
	f.position = p
	f.handler.Missed(reason)
	return nil
}

// lost gives the position up when the server no longer has what follows it.
func (f *Follower) lost(err error) error {
	var my *mysql.MyError
	if !errors.As(err, &my) {
		return err
	}
	switch my.Code {
	case mysql.ER_MASTER_FATAL_ERROR_READING_BINLOG:
		f.position = position{}
		return fmt.Errorf("the binlog after the last position is gone: %w", err)
	case mysql.ER_SPECIFIC_ACCESS_DENIED_ERROR, mysql.ER_ACCESS_DENIED_ERROR:
		return &PrivilegeError{"REPLICATION SLAVE", err}
	}
	return err
}

func (f *Follower) syncerConfig(s server) replication.BinlogSyncerConfig {
	host, port, err := net.SplitHostPort(f.config.Addr)
	if err != nil {
		host, port = f.config.Addr, "0" // a socket's path
	}
	n, _ := strconv.ParseUint(port, 10, 16)
	c := replication.BinlogSyncerConfig{
		ServerID: f.config.ServerID, Flavor: s.flavor, Host: host, Port: uint16(n), User: f.config.User, Password: f.config.Password,
		Charset: "utf8mb4", TLSConfig: f.config.TLS, TimestampStringLocation: time.UTC,
		HeartbeatPeriod: f.config.Heartbeat, ReadTimeout: 3 * f.config.Heartbeat,
		DisableRetrySync:    true, // this package reconnects, and knows what it may have missed
		Logger:              slog.New(slog.DiscardHandler),
		RowsEventDecodeFunc: f.decode,
	}
	if f.config.Dial != nil {
		c.Dialer = client.Dialer(f.config.Dial)
	}
	return c
}

// decode leaves the rows of other tables alone.
func (f *Follower) decode(ev *replication.RowsEvent, data []byte) error {
	pos, err := ev.DecodeHeader(data)
	if err != nil {
		return err
	}
	if !f.tables[tableOf(ev.Table)] {
		return nil
	}
	return ev.DecodeData(pos, data)
}

func tableOf(m *replication.TableMapEvent) Table {
	return Table{string(m.Schema), string(m.Table)}
}

func (f *Follower) handle(ev *replication.BinlogEvent) error {
	switch e := ev.Event.(type) {
	case *replication.RotateEvent:
		f.position.rotate(string(e.NextLogName), uint32(e.Position))
		return nil
	case *replication.RowsEvent:
		if t := tableOf(e.Table); f.tables[t] {
			f.rows(t, e)
		}
		f.lag(ev.Header)
		return nil
	case *replication.QueryEvent:
		f.query(e)
		if !isBegin(e.Query) {
			f.position.advance(ev.Header.LogPos, e.GSet)
		}
	case *replication.XIDEvent:
		f.position.advance(ev.Header.LogPos, e.GSet)
	case *replication.TransactionPayloadEvent:
		for _, inner := range e.Events {
			if err := f.handle(inner); err != nil {
				return err
			}
		}
	}
	f.lag(ev.Header)
	return nil
}

func (f *Follower) lag(h *replication.EventHeader) {
	if h.EventType == replication.HEARTBEAT_EVENT || h.Timestamp == 0 {
		f.handler.Lag(0)
		return
	}
	// The server's stamps are whole seconds: within one, it counts as caught up.
	f.handler.Lag(max(time.Since(time.Unix(int64(h.Timestamp), 0))-time.Second, 0))
}

func (f *Follower) rows(t Table, e *replication.RowsEvent) {
	var names []string
	for _, n := range e.Table.ColumnName {
		names = append(names, string(n))
	}
	for i, values := range e.Rows {
		r := Row{Names: names, Values: values}
		if i < len(e.SkippedColumns) {
			r.Skipped = e.SkippedColumns[i]
		}
		f.handler.Row(t, r)
	}
}

// query looks for statements that change a table otherwise than row by row: definitions, TRUNCATE, and any change under
// binlog_format=STATEMENT. It errs on the side of noticing.
func (f *Follower) query(e *replication.QueryEvent) {
	if isBegin(e.Query) {
		return
	}
	text := strings.ToLower(string(e.Query))
	for t := range f.tables {
		if strings.Contains(text, strings.ToLower(t.Name)) || strings.HasPrefix(text, "drop database") || strings.HasPrefix(text, "drop schema") {
			f.handler.Changed(t)
		}
	}
}

func isBegin(query []byte) bool {
	q := string(query)
	return strings.EqualFold(q, "BEGIN") || strings.EqualFold(q, "COMMIT") || strings.EqualFold(q, "ROLLBACK") || strings.HasPrefix(strings.ToUpper(q), "SAVEPOINT")
}
