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
	"math"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
)

// Table names a table. A server that takes any case for a name has it found whatever its spelling here; see Follower.fold.
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
	// Lag is how far behind the server the follower was at its last event; 0 when it has caught up. While there is no connection it is the
	// time since the last event.
	Lag(d time.Duration)
}

// Config says whom to follow.
type Config struct {
	Addr, User, Password string
	TLS                  *tls.Config
	TLSOptional          bool // without TLS, where the pool does without
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
	log     *slog.Logger
	said    string    // the last complaint, so that it is logged once
	heard   time.Time // of the last event, or when following began

	server   server
	tables   map[Table][]Table // the spellings of those followed, by their folded names
	cascades map[Table][]Table // see readCascades

	position position
	gap      string // why there is no position
	tx       transaction
	prepared map[string][]Table // what a distributed transaction has changed, folded, until it is committed
	owed     place              // of the last heartbeat, when the binlog went on after it
}

// New makes a follower; db is a pool of the same server, for questions.
func New(config Config, db *sql.DB, handler Handler) *Follower {
	f := &Follower{config: config, db: db, handler: handler, log: config.Logger, heard: time.Now(), gap: "following begins"}
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
		f.handler.Lag(time.Since(f.heard))
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
	if err := f.start(ctx); err != nil {
		return err
	}
	syncer := replication.NewBinlogSyncer(f.syncerConfig(ctx))
	defer syncer.Close()
	stream, err := f.position.open(syncer)
	if err != nil {
		return f.lost(fmt.Errorf("starting to follow the binlog at %v: %w", f.position, err))
	}
	f.log.Info("following the binlog", "server", f.config.Addr, "flavor", f.server.flavor, "position", f.position.String())
	f.said, f.tx, f.owed = "", transaction{}, place{}
	for {
		ev, err := stream.GetEvent(ctx)
		if err == nil {
			f.heard = time.Now()
			err = f.handle(ctx, ev)
		}
		if err != nil {
			return f.lost(fmt.Errorf("following the binlog: %w", err))
		}
	}
}

// start learns about the server, decides where to begin, and says so when something may have been missed.
func (f *Follower) start(ctx context.Context) error {
	s, err := examine(ctx, f.db, f.databases())
	if err != nil {
		return err
	}
	if err := f.resume(ctx, s); err != nil {
		return err
	}
	f.server, f.tables = s, map[Table][]Table{}
	for _, t := range f.config.Tables {
		f.tables[f.fold(t)] = append(f.tables[f.fold(t)], t)
	}
	f.cascades, err = f.readCascades(ctx)
	return err
}

// resume keeps the position, if the server can go on from there, or takes the server's own.
func (f *Follower) resume(ctx context.Context, s server) error {
	gap := f.gapBefore(s)
	if gap == "" && s.id == f.server.id {
		return nil
	}
	p, err := current(ctx, f.db, s)
	if err != nil {
		return err
	}
	if gap == "" && s.flavor == mysql.MySQLFlavor && !p.has(f.position) {
		gap = "this server is behind the one before" // it would not send what it has yet to apply, and until then its rows are old
	}
	if gap != "" {
		f.position = p
		f.handler.Missed(gap)
	}
	return nil
}

// gapBefore is why the server cannot send what follows the position, or "".
func (f *Follower) gapBefore(s server) string {
	switch {
	case !f.position.known():
		return f.gap
	case f.position.gtid != nil: // the server says itself when it cannot
		return ""
	case s.id != f.server.id:
		return "this is another server"
	case s.end.before(f.position.place):
		return "the binlog was reset"
	default:
		return ""
	}
}

// lost gives the position up when what follows it will not come.
func (f *Follower) lost(err error) error {
	var gap *GapError
	var unreadable *replication.EventError
	var my *mysql.MyError
	switch {
	case errors.As(err, &gap):
	case errors.As(err, &unreadable):
		gap = &GapError{fmt.Sprintf("an event cannot be read (%v at %d)", unreadable.Header.EventType, unreadable.Header.LogPos), errors.New(unreadable.Err)}
	case !errors.As(err, &my):
		return err
	case my.Code == mysql.ER_MASTER_FATAL_ERROR_READING_BINLOG:
		gap = &GapError{"the binlog after the last position is gone", err}
	case my.Code == mysql.ER_SPECIFIC_ACCESS_DENIED_ERROR, my.Code == mysql.ER_ACCESS_DENIED_ERROR:
		return &PrivilegeError{"REPLICATION SLAVE", err}
	default:
		return err
	}
	f.position, f.gap = position{}, gap.Reason
	return gap
}

// heartbeat is what a server sends when it has nothing else. One whose binlog was reset goes on with them and never sends
// anything else, so it is asked where its binlog ends.
func (f *Follower) heartbeat(ctx context.Context, at place) error {
	ctx, cancel := context.WithTimeout(ctx, f.config.Heartbeat)
	defer cancel()
	e, err := readEnd(ctx, f.db)
	switch {
	case err != nil, e.offset > math.MaxUint32: // the stream is well, and heartbeats do not count further
		return nil
	case e.before(at):
		return &GapError{Reason: "the binlog was reset"}
	case e.place == at:
		f.owed = place{}
	case f.owed == at:
		return &GapError{Reason: "the server does not send what it logs"}
	default:
		f.owed = at
	}
	return nil
}

func (f *Follower) databases() []string {
	var names []string
	for _, t := range f.config.Tables {
		if !slices.Contains(names, t.Database) {
			names = append(names, t.Database)
		}
	}
	return names
}

// fold makes one spelling of a name, where the server takes several for the same.
func (f *Follower) fold(t Table) Table {
	if !f.server.foldCase {
		return t
	}
	return Table{strings.ToLower(t.Database), strings.ToLower(t.Name)}
}

func (f *Follower) syncerConfig(ctx context.Context) replication.BinlogSyncerConfig {
	host, port, err := net.SplitHostPort(f.config.Addr)
	if err != nil {
		host, port = f.config.Addr, "0" // a socket's path
	}
	n, _ := strconv.ParseUint(port, 10, 16)
	c := replication.BinlogSyncerConfig{
		ServerID: f.config.ServerID, Flavor: f.server.flavor, Host: host, Port: uint16(n), User: f.config.User, Password: f.config.Password,
		Charset: "utf8mb4", TimestampStringLocation: time.UTC,
		HeartbeatPeriod: f.config.Heartbeat, ReadTimeout: 3 * f.config.Heartbeat,
		DisableRetrySync:    true, // this package reconnects, and knows what it may have missed
		DiscardGTIDSet:      true, // it also keeps account of the GTIDs, those of compressed transactions too
		Logger:              slog.New(slog.DiscardHandler),
		RowsEventDecodeFunc: f.decode,
	}
	if !f.config.TLSOptional || encrypted(ctx, f.db) {
		c.TLSConfig = f.config.TLS
	}
	if f.config.Dial != nil {
		c.Dialer = client.Dialer(f.config.Dial)
	}
	return c
}
