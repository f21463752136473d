// Package output tests the output clickhouse_native and its engine against real servers: where rows land, what happens to rows at
// fault, and what is left of a batch when shards, connections and replies get lost.
package output

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
	"github.com/benthos-clickhouse/connect/clickhouse/insert"
	_ "github.com/benthos-clickhouse/connect/outputs/clickhouse"
	"github.com/benthos-clickhouse/connect/tests/services"
)

// servers is two shards with the weights 1 and 2; each test has a database of its own.
var servers *services.Cluster

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	servers, err = services.Start(context.Background(), services.Options{
		ClickHouse: true, Shards: 2, Weights: []int{1, 2},
		Clusters: map[string][]services.Shard{
			"evenly":    {{Weight: 1, Replicas: []services.Replica{{Node: 0}}}, {Weight: 1, Replicas: []services.Replica{{Node: 1}}}},
			"replicas":  {{Weight: 1, Replicas: []services.Replica{{Node: 0}, {Node: 1}}}},
			"write_all": {{Weight: 1, WriteAll: true, Replicas: []services.Replica{{Node: 0}, {Node: 1}}}},
		},
		Users: []services.User{
			{Name: "secured", Password: "right"},
			{Name: "reader", Grants: []string{"GRANT SELECT ON *.*", "GRANT SHOW ON *.*"}},
		},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer servers.Stop()
	return m.Run()
}

var notName = regexp.MustCompile(`\W+`)

// database makes an empty database on every node, named after the test.
func database(t testing.TB) string {
	t.Helper()
	name := strings.ToLower(notName.ReplaceAllString(t.Name(), "_"))
	servers.Exec(t, fmt.Sprintf("DROP DATABASE IF EXISTS %[1]s SYNC; CREATE DATABASE %[1]s ENGINE = Atomic", name))
	return name
}

const columns = `id UInt64, user_id UInt64, name String, price Decimal(10, 2), tags Array(LowCardinality(String)),
	attributes Map(String, String), at DateTime64(3, 'UTC'), note Nullable(String), origin String DEFAULT 'web', length UInt64 DEFAULT length(name),
	topic LowCardinality(String), partition Int32, offset Int64, CONSTRAINT positive CHECK price >= 0`

// tables makes a local table on every node, and a Distributed table over it that shards by user.
func tables(t testing.TB) (db string) {
	t.Helper()
	return tablesOf(t, columns, "cityHash64(user_id)")
}

func tablesOf(t testing.TB, columns, key string) (db string) {
	t.Helper()
	db = database(t)
	servers.Exec(t, fmt.Sprintf(`
		CREATE TABLE %[1]s.events_local (%[2]s) ENGINE = MergeTree PARTITION BY id %% 4 ORDER BY id
			SETTINGS non_replicated_deduplication_window = 10000;
		CREATE TABLE %[1]s.events AS %[1]s.events_local ENGINE = Distributed('events_cluster', %[1]s, events_local, %[3]s);
		CREATE TABLE %[1]s.reference_local AS %[1]s.events_local ENGINE = MergeTree ORDER BY id;
		CREATE TABLE %[1]s.reference AS %[1]s.events_local ENGINE = Distributed('events_cluster', %[1]s, reference_local, %[3]s)`, db, columns, key))
	return db
}

// event is a document for the tables above.
func event(id int) string {
	return fmt.Sprintf(`{"id":%d,"user_id":%d,"name":"user %d","price":"%d.50","tags":["a","b%d"],"attributes":{"k":"v%d"},"at":"2026-01-02T03:04:05.678Z","unknown":{"x":[1,2]}}`,
		id, id*7919%1000, id, id%100, id%5, id%3)
}

func events(from, to int) documents {
	docs := make(documents, 0, to-from)
	for id := from; id < to; id++ {
		docs = append(docs, event(id))
	}
	return docs
}

// documents is a Source of raw JSON without provenance.
type documents []string

func (d documents) Len() int { return len(d) }

func (d documents) Record(i int, rec *insert.Record) error {
	rec.JSON = []byte(d[i])
	return nil
}

// settings is short of patience, so that tests of failures are not long.
func settings(db, table string) cluster.Config {
	return cluster.Config{
		Addresses: servers.Addrs(), Database: db, Table: table,
		DialTimeout: time.Second, HandshakeTimeout: time.Second, StallTimeout: 500 * time.Millisecond,
		TopologyRefresh: -1, HealthInterval: 500 * time.Millisecond,
	}
}

var impatient = insert.Retries{MaxAttempts: 4, InitialInterval: 50 * time.Millisecond, MaxInterval: 200 * time.Millisecond}

func openCluster(t testing.TB, cfg cluster.Config) *cluster.Cluster {
	t.Helper()
	c, err := cluster.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// open opens a writer on the database's events table.
func open(t testing.TB, db string, change ...func(*insert.Options)) *insert.Writer {
	t.Helper()
	return openOn(t, settings(db, "events"), change...)
}

func openOn(t testing.TB, cfg cluster.Config, change ...func(*insert.Options)) *insert.Writer {
	t.Helper()
	opts := insert.Options{Cluster: openCluster(t, cfg), Retries: impatient, KeepRejected: true}
	for _, f := range change {
		f(&opts)
	}
	w, err := insert.Open(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(w.Close)
	return w
}

// write writes a batch that must not fail.
func write(t testing.TB, w *insert.Writer, source insert.Source) insert.Result {
	t.Helper()
	result, err := w.Write(t.Context(), source, nil)
	require.NoError(t, err)
	return result
}

// ids lists the ids on each shard.
func ids(t testing.TB, db, table string) [2][]string {
	t.Helper()
	var out [2][]string
	for i, n := range servers.Nodes {
		for _, row := range n[0].Query(t, "SELECT id FROM "+db+"."+table+" ORDER BY id") {
			out[i] = append(out[i], row[0])
		}
	}
	return out
}

// count is the number of rows, and of distinct ids, on all shards.
func count(t testing.TB, db string) (rows, distinct string) {
	t.Helper()
	row := servers.Servers[0].Query(t, "SELECT count(), uniqExact(id) FROM "+db+".events")[0]
	return row[0], row[1]
}
