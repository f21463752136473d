// Package changes tests change streams against real servers: whatever happened to a source table, however the records of it are
// told and however often they are sent, the table in ClickHouse ends as the source did.
package changes

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	_ "github.com/redpanda-data/benthos/v4/public/components/io"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/clickhouse/insert"
	_ "github.com/benthos-clickhouse/connect/outputs/clickhouse"
	"github.com/benthos-clickhouse/connect/tests/leases"
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

// partition is one whose ranges nobody has written.
func partition() *leases.Kafka { return leases.New("orders", 0) }

// lease is the right to write the records, of their first owner or of the next one.
func lease(kafka *leases.Kafka, r records, recovered bool) *leases.Lease {
	l := kafka.Lease(r.from, r.from+int64(r.Len()))
	if recovered {
		return l.Recover()
	}
	return l
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
