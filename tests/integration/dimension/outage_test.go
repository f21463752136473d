package dimension

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/tests/proxy"
	"github.com/benthos-clickhouse/connect/tests/services"
)

// through is the DSN of a server by way of a proxy.
func through(t testing.TB, server *services.MySQL, addr string) string {
	t.Helper()
	cfg, err := mysql.ParseDSN(server.DSN())
	require.NoError(t, err)
	cfg.Addr = addr
	return cfg.FormatDSN()
}

// later runs a batch that is expected to wait.
func later(t testing.TB, p service.BatchProcessor, docs ...string) chan []string {
	t.Helper()
	out := make(chan []string, 1)
	go func() {
		texts, err := tryRun(t.Context(), p, docs...)
		if err != nil {
			t.Error(err)
		}
		out <- texts
	}()
	return out
}

func TestServerDownAtStart(t *testing.T) {
	own := services.Run(t, services.Options{MariaDB: true}).MySQL
	own.Exec(t, `CREATE TABLE s (k INT PRIMARY KEY, v VARCHAR(20)); INSERT INTO s VALUES (1,'one')`)
	for _, load := range []string{"lazy", "full"} {
		t.Run(load, func(t *testing.T) {
			require.NoError(t, own.Kill())
			p := joinWith(t, own.DSN(), fmt.Sprintf(`
dsn: "$DSN"
dimensions: [ { name: s, table: s, key: { k: this.k }, load: %s } ]
`, load))
			out := later(t, p, `{"k":1}`)
			require.Never(t, func() bool { return len(out) > 0 }, 300*time.Millisecond, 50*time.Millisecond)
			require.NoError(t, own.Start(t.Context()))
			require.Equal(t, []string{`{"k":1,"v":"one"}`}, <-out)
		})
	}
}

// A batch whose keys cannot be read waits until its context ends, and comes out as it went in then.
func TestContextEndsTheWait(t *testing.T) {
	closed := proxy.Run(t, server.Addr())
	closed.Set(proxy.Refuse)
	p := joinWith(t, through(t, server, closed.Addr()), `
dsn: "$DSN"
dimensions: [ { name: s, table: s, key: { k: this.k } } ]
`)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	msg := service.NewMessage([]byte(`{"k":1}`))
	_, err := p.ProcessBatch(ctx, service.MessageBatch{msg})
	require.ErrorIs(t, err, context.DeadlineExceeded, "the engine gives a batch back when its context has ended")
	require.Equal(t, `{"k":1}`, content(t, msg))
}

func TestServerKilledAndRestarted(t *testing.T) {
	own := services.Run(t, services.Options{MariaDB: true}).MySQL
	own.Exec(t, `CREATE TABLE s (k INT PRIMARY KEY, v VARCHAR(20)); INSERT INTO s VALUES (1,'one'), (2,'two')`)
	p := joinWith(t, own.DSN(), `
dsn: "$DSN"
dimensions: [ { name: s, table: s, key: { k: this.k } } ]
cache: { ttl: 50ms, refresh_after: 0s, missing_ttl: 50ms, max_stale: 1h, jitter: 0 }
`)
	want := []string{`{"k":1,"v":"one"}`, `{"k":9,"v":null}`}
	require.Equal(t, want, run(t, p, `{"k":1}`, `{"k":9}`))
	require.NoError(t, own.Kill())
	time.Sleep(100 * time.Millisecond) // past the ttl
	for range 20 {
		require.Equal(t, want, run(t, p, `{"k":1}`, `{"k":9}`), "stale rows serve")
	}
	out := later(t, p, `{"k":1}`, `{"k":2}`)
	require.Never(t, func() bool { return len(out) > 0 }, 300*time.Millisecond, 50*time.Millisecond, "a key that was never read waits")
	require.NoError(t, own.Start(t.Context()))
	require.Equal(t, []string{`{"k":1,"v":"one"}`, `{"k":2,"v":"two"}`}, <-out)
	own.Exec(t, `UPDATE s SET v = 'eins' WHERE k = 1`)
	require.Eventually(t, func() bool { return run(t, p, `{"k":1}`)[0] == `{"k":1,"v":"eins"}` }, 30*time.Second, 10*time.Millisecond)
}

// A server that accepts connections and answers nothing is given up by the deadline of the query.
func TestSilentServer(t *testing.T) {
	server.Exec(t, `CREATE OR REPLACE TABLE silent (k INT PRIMARY KEY, v VARCHAR(20)); INSERT INTO silent VALUES (1,'one'), (2,'two')`)
	between := proxy.Run(t, server.Addr())
	p := joinWith(t, through(t, server, between.Addr()), `
dsn: "$DSN"
query_timeout: 200ms
dimensions: [ { name: s, table: silent, key: { k: this.k } } ]
cache: { ttl: 50ms, refresh_after: 0s, missing_ttl: 50ms, max_stale: 1h, jitter: 0 }
`)
	require.Equal(t, []string{`{"k":1,"v":"one"}`}, run(t, p, `{"k":1}`))
	between.Set(proxy.BlackHole)
	time.Sleep(100 * time.Millisecond)
	require.Equal(t, []string{`{"k":1,"v":"one"}`}, run(t, p, `{"k":1}`))
	out := later(t, p, `{"k":2}`)
	require.Never(t, func() bool { return len(out) > 0 }, 500*time.Millisecond, 50*time.Millisecond)
	between.Set(proxy.Pass)
	between.Cut()
	require.Equal(t, []string{`{"k":2,"v":"two"}`}, <-out)
}

// Slow answers and connections cut in the middle of a query change nothing in what comes out.
func TestSlowAndCut(t *testing.T) {
	var values []string
	for k := range 2000 {
		values = append(values, fmt.Sprintf("(%d,'v%d')", k, k))
	}
	server.Exec(t, `CREATE OR REPLACE TABLE slow (k INT PRIMARY KEY, v VARCHAR(20)); INSERT INTO slow VALUES `+strings.Join(values, ","))
	between := proxy.Run(t, server.Addr())
	between.Delay(time.Millisecond)
	p := joinWith(t, through(t, server, between.Addr()), `
dsn: "$DSN"
max_keys_per_query: 100
backoff: { initial_interval: 10ms, max_interval: 50ms }
dimensions: [ { name: s, table: slow, key: { k: this.k } } ]
`)
	for start := 0; start < 2000; start += 250 {
		docs := make([]string, 500)
		for i := range docs {
			docs[i] = fmt.Sprintf(`{"k":%d}`, start+i/2)
		}
		between.CutAfter(100) // within the first of the batch's queries
		for i, got := range run(t, p, docs...) {
			require.Equal(t, fmt.Sprintf(`{"k":%d,"v":"v%d"}`, start+i/2, start+i/2), got)
		}
	}
	require.Greater(t, between.Accepted(), 8, "connections were cut, and made again")
}

func TestSchemaChanges(t *testing.T) {
	server.Exec(t, `CREATE OR REPLACE TABLE sch (k INT PRIMARY KEY, v INT, w INT); INSERT INTO sch VALUES (1,10,100), (2,20,200)`)
	p := join(t, `
dsn: "$DSN"
backoff: { initial_interval: 10ms, max_interval: 50ms }
dimensions: [ { name: s, table: sch, key: { k: this.k }, columns: [ v ] } ]
cache: { ttl: 20ms, refresh_after: 0s, missing_ttl: 20ms, max_stale: 1h, jitter: 0 }
`)
	require.Equal(t, []string{`{"k":1,"v":10}`}, run(t, p, `{"k":1}`))

	server.Exec(t, `ALTER TABLE sch MODIFY v VARCHAR(10)`)
	require.Equal(t, []string{`{"k":2,"v":"20"}`}, run(t, p, `{"k":2}`), "a new key sees the new type")
	require.Equal(t, []string{`{"k":1,"v":"10"}`}, run(t, p, `{"k":1}`), "and a row of the old type is forgotten")

	server.Exec(t, `ALTER TABLE sch MODIFY k VARCHAR(10)`)
	time.Sleep(50 * time.Millisecond) // past the ttl: the change is noticed by the next read
	require.Equal(t, []string{`{"k":"x","v":null}`, `{"k":"1","v":"10"}`}, run(t, p, `{"k":"x"}`, `{"k":"1"}`), "the key's type has changed")

	server.Exec(t, `ALTER TABLE sch DROP COLUMN v`)
	out := later(t, p, `{"k":"3"}`)
	require.Never(t, func() bool { return len(out) > 0 }, 300*time.Millisecond, 50*time.Millisecond, "nothing is joined without the column")
	server.Exec(t, `INSERT INTO sch (k) VALUES ('3'); ALTER TABLE sch ADD COLUMN v INT DEFAULT 7`)
	require.Equal(t, []string{`{"k":"3","v":7}`}, <-out)
}

// A cold start of many threads over many keys reads each key once.
func TestNoStampede(t *testing.T) {
	const keys, threads, perBatch = 100_000, 8, 5000
	server.Exec(t, `CREATE OR REPLACE TABLE st (k INT PRIMARY KEY, v INT); INSERT INTO st SELECT seq, seq * 2 FROM seq_0_to_99999`)
	db := server.DB(t)
	p := join(t, `
dsn: "$DSN"
dimensions: [ { name: s, table: st, key: { k: this.k } } ]
`)
	run(t, p, `{"k":-1}`)
	before := rowsRead(t, db, "st")
	var group sync.WaitGroup
	for thread := range threads {
		group.Go(func() {
			for start := 0; start < keys; start += perBatch {
				docs := make([]string, perBatch)
				for i := range docs {
					docs[i] = fmt.Sprintf(`{"k":%d}`, (start+i+thread*17)%keys)
				}
				texts, err := tryRun(t.Context(), p, docs...)
				if err != nil {
					t.Error(err)
				}
				for i, got := range texts {
					k := (start + i + thread*17) % keys
					if want := fmt.Sprintf(`{"k":%d,"v":%d}`, k, 2*k); got != want {
						t.Errorf("have %s, want %s", got, want)
					}
				}
			}
		})
	}
	group.Wait()
	require.Equal(t, int64(keys), rowsRead(t, db, "st")-before, "each key was read once")
}

// rowsRead is how many rows of a table the server has read; MariaDB counts since it was asked for the first time.
func rowsRead(t testing.TB, db *sql.DB, table string) int64 {
	t.Helper()
	query := "SELECT COALESCE(SUM(ROWS_READ), 0) FROM information_schema.TABLE_STATISTICS WHERE TABLE_NAME = ?"
	if _, err := db.Exec("SET GLOBAL userstat = 1"); err != nil { // MySQL has another way
		query = "SELECT COALESCE(SUM(COUNT_READ), 0) FROM performance_schema.table_io_waits_summary_by_table WHERE OBJECT_NAME = ?"
	}
	var n int64
	require.NoError(t, db.QueryRow(query, table).Scan(&n))
	return n
}
