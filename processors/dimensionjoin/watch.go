package dimensionjoin

import (
	"context"
	"database/sql"
	"log/slog"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/binlog"
	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/lookup"
)

// watcher brings the server's changes to the join.
type watcher struct {
	joiner   *lookup.Joiner
	database string // of the connection
	stop     context.CancelFunc
	done     sync.WaitGroup
}

// watch follows the binlog until close.
func watch(joiner *lookup.Joiner, db *sql.DB, server *mysql.Config, serverID uint32, log *slog.Logger) *watcher {
	w := &watcher{joiner: joiner, database: server.DBName}
	config := binlog.Config{
		Addr: server.Addr, User: server.User, Password: server.Passwd, ServerID: serverID, Logger: log,
		TLS: server.TLS, TLSOptional: server.AllowFallbackToPlaintext, Dial: server.DialFunc,
	}
	for _, t := range joiner.Watched() {
		if t.Database == "" {
			t.Database = w.database
		}
		config.Tables = append(config.Tables, binlog.Table{Database: t.Database, Name: t.Table})
	}
	follower := binlog.New(config, db, w)
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	w.done.Go(func() { follower.Run(ctx) })
	return w
}

func (w *watcher) close() {
	w.stop()
	w.done.Wait()
}

// names are the spellings that the configuration may have used for a table.
func (w *watcher) names(t binlog.Table) []lookup.Watched {
	names := []lookup.Watched{{Database: t.Database, Table: t.Name}}
	if t.Database == w.database {
		names = append(names, lookup.Watched{Table: t.Name})
	}
	return names
}

// Row implements binlog.Handler.
func (w *watcher) Row(t binlog.Table, r binlog.Row) {
	for _, name := range w.names(t) {
		w.joiner.RowChanged(name, r.Names, r.Values, r.Skipped)
	}
}

// Changed implements binlog.Handler.
func (w *watcher) Changed(t binlog.Table) {
	for _, name := range w.names(t) {
		w.joiner.TableChanged(name)
	}
}

// Missed implements binlog.Handler.
func (w *watcher) Missed(reason string) { w.joiner.AnythingChanged(reason) }

// Lag implements binlog.Handler.
func (w *watcher) Lag(d time.Duration) { w.joiner.SetLag(d) }
