// Package changes tests change streams against real servers: whatever happened to a source table, however the records of it are
// told and however often they are sent, the table in ClickHouse ends as the source did.
package changes

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/redpanda-data/benthos/v4/public/components/io"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/clickhouse/insert"
	"github.com/benthos-clickhouse/connect/delivery"
	_ "github.com/benthos-clickhouse/connect/outputs/clickhouse"
	"github.com/benthos-clickhouse/connect/tests/services"
)

// servers is two shards; each test has a database of its own.
var servers *services.Cluster

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	servers, err = services.Start(context.Background(), services.Options{ClickHouse: true, Shards: 2})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer servers.Stop()
	return m.Run()
}

var notName = regexp.MustCompile(`\W+`)

// The sharding key is a part of the sorting key that updates may change.
const (
	columns  = `tenant UInt32, id UInt64, name String, amount Decimal(18, 2), note Nullable(String), version UInt64, row_version UInt64 DEFAULT 0, is_deleted UInt8, sign Int8 DEFAULT 1, bracket UInt8 MATERIALIZED toUInt32(amount) % 5`
	sharding = "cityHash64(tenant)"
	ordered  = "tenant, id"

	replacing  = "ReplacingMergeTree(version, is_deleted)"
	versioned  = "VersionedCollapsingMergeTree(sign, row_version)"
	collapsing = "CollapsingMergeTree(sign)"
)

// tables makes a local table on every shard and the Distributed one over them, in a database named after the test.
func tables(t testing.TB, engine, order, key string) (db string) {
	t.Helper()
	db = strings.ToLower(notName.ReplaceAllString(t.Name(), "_"))
	servers.Exec(t, fmt.Sprintf(`
		DROP DATABASE IF EXISTS %[1]s SYNC; CREATE DATABASE %[1]s ENGINE = Atomic;
		CREATE TABLE %[1]s.orders_local (%[2]s, CONSTRAINT named CHECK name != 'nobody') ENGINE = %[3]s ORDER BY (%[4]s) SETTINGS non_replicated_deduplication_window = 10000;
		CREATE TABLE %[1]s.orders AS %[1]s.orders_local ENGINE = Distributed('events_cluster', %[1]s, orders_local, %[5]s)`,
		db, columns, engine, order, key))
	return db
}

func open(t testing.TB, db string, changes insert.Changes, more ...func(*insert.Options)) (*insert.Writer, error) {
	t.Helper()
	c, err := cluster.Open(t.Context(), cluster.Config{
		Addresses: servers.Addrs(), Database: db, Table: "orders", TopologyRefresh: -1, DialTimeout: time.Second, HandshakeTimeout: time.Second,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	opts := insert.Options{
		Cluster: c, Changes: &changes, KeepRejected: true,
		Retries: insert.Retries{MaxAttempts: 4, InitialInterval: 50 * time.Millisecond, MaxInterval: 200 * time.Millisecond},
	}
	for _, f := range more {
		f(&opts)
	}
	return insert.Open(t.Context(), opts)
}

func mustOpen(t testing.TB, db string, changes insert.Changes, more ...func(*insert.Options)) *insert.Writer {
	t.Helper()
	w, err := open(t, db, changes, more...)
	require.NoError(t, err)
	t.Cleanup(w.Close)
	return w
}

// records is a Source of records with consecutive Kafka offsets.
type records struct {
	from   int64
	values []string
	keys   []string // nil without
}

func (r records) Len() int { return len(r.values) }

func (r records) Record(i int, rec *insert.Record) error {
	rec.JSON = []byte(r.values[i])
	rec.Provenance = column.Provenance{Topic: "orders", Partition: 0, Offset: r.from + int64(i), Valid: true}
	if r.keys != nil {
		rec.Provenance.Key = []byte(r.keys[i])
	}
	return nil
}

func (r records) slice(from, to int) records {
	r.from, r.values = r.from+int64(from), r.values[from:to]
	if r.keys != nil {
		r.keys = r.keys[from:to]
	}
	return r
}

// ledger stands for Kafka: the intents that survive a crash.
type ledger struct {
	mu      sync.Mutex
	intents map[string]delivery.Prepared
}

// lease is one owner's right to a range.
type lease struct {
	ledger    *ledger
	r         delivery.Range
	recovered bool
	age       time.Duration
}

func (l *ledger) lease(from, to int64, recovered bool) *lease {
	return &lease{ledger: l, recovered: recovered, r: delivery.Range{Group: "g", Topic: "orders", TopicID: [16]byte{1}, From: from, To: to}}
}

func (l *lease) Range() delivery.Range             { return l.r }
func (l *lease) Claim(string) (func(error), error) { return func(error) {}, nil }
func (l *lease) Alive() error                      { return nil }
func (l *lease) OnCommitted(func())                {}
func (l *lease) Pinned(sink string) (delivery.Prepared, bool) {
	l.ledger.mu.Lock()
	defer l.ledger.mu.Unlock()
	p, ok := l.ledger.intents[l.r.Name()+sink]
	p.Recovered = l.recovered
	p.At = p.At.Add(-l.age)
	return p, ok
}

func (l *lease) Prepare(_ context.Context, sink string, intent delivery.Intent) (delivery.Prepared, error) {
	l.ledger.mu.Lock()
	defer l.ledger.mu.Unlock()
	p := delivery.Prepared{Intent: intent, At: time.Now()}
	l.ledger.intents[l.r.Name()+sink] = p
	return p, nil
}

func (l *lease) LookUp(_ context.Context, sink string, _ time.Duration) (delivery.Prepared, error) {
	l.ledger.mu.Lock()
	p := l.ledger.intents[l.r.Name()+sink]
	p.LookUp = true
	l.ledger.intents[l.r.Name()+sink] = p
	l.ledger.mu.Unlock()
	p, _ = l.Pinned(sink)
	return p, nil
}

// final are the rows that are left, in the order of their keys.
func final(t testing.TB, db string) []string {
	t.Helper()
	var out []string
	for _, row := range servers.Servers[0].Query(t, "SELECT tenant, id, name, amount, ifNull(note, 'NULL') FROM "+db+".orders FINAL ORDER BY tenant, id") {
		out = append(out, strings.Join(row, "|"))
	}
	return out
}

// local counts a shard's rows.
func local(t testing.TB, db string, shard int, what string) string {
	t.Helper()
	return servers.Nodes[shard][0].Query(t, "SELECT "+what+" FROM "+db+".orders_local")[0][0]
}
