// Package cluster tests clickhouse/cluster against real servers: discovery, refusals, failover, and hosts that die, hang and come back.
package cluster

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/tests/services"
)

// servers is 2 shards × 2 replicas and one spare node, which is in another time zone, shared by the tests: each of them has a database of its own.
var servers *services.Cluster

// clusters are defined beside events_cluster.
var clusters = map[string][]services.Shard{
	"write_all": {{Weight: 1, WriteAll: true, Replicas: []services.Replica{{Node: 0}, {Node: 1}}}},
	"shared_host": {
		{Weight: 1, Replicas: []services.Replica{{Node: 0, Database: "shared_a"}}},
		{Weight: 2, Replicas: []services.Replica{{Node: 0, Database: "shared_b"}}},
	},
	"nat":       {{Weight: 1, Replicas: []services.Replica{{Addr: "unreachable.invalid:9000"}}}},
	"ipv6":      {{Weight: 1, Replicas: []services.Replica{{Addr: "[2001:db8::1]:9000"}, {Addr: "[2001:DB8:0::2]:9000"}}}},
	"ab":        {{Weight: 1, Replicas: []services.Replica{{Node: 0}}}, {Weight: 2, Replicas: []services.Replica{{Node: 2}}}},
	"ba":        {{Weight: 1, Replicas: []services.Replica{{Node: 2}}}, {Weight: 2, Replicas: []services.Replica{{Node: 0}}}},
	"abc":       {{Weight: 1, Replicas: []services.Replica{{Node: 0}}}, {Weight: 2, Replicas: []services.Replica{{Node: 2}}}, {Weight: 1, Replicas: []services.Replica{{Node: 3}}}},
	"a":         {{Weight: 1, Replicas: []services.Replica{{Node: 0}}}},
	"two_zones": {{Weight: 1, Replicas: []services.Replica{{Node: 0}}}, {Weight: 1, Replicas: []services.Replica{{Node: 4}}}},
	"two": {
		{Weight: 1, Replicas: []services.Replica{{Node: 0}}},
		{Weight: 0, Replicas: []services.Replica{{Node: 2}}},
	},
}

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	servers, err = services.Start(context.Background(), services.Options{
		ClickHouse: true, Shards: 2, Replicas: 2, Nodes: 5, Weights: []int{1, 3},
		Clusters:  clusters,
		TimeZones: map[int]string{0: "Etc/UTC", 1: "UTC", 2: "UTC", 3: "UTC", 4: "Asia/Tokyo"},
		// As the configuration that servers are shipped with.
		ExtraConfig: "<access_control_improvements><select_from_system_db_requires_grant>true</select_from_system_db_requires_grant></access_control_improvements>",
		Users: []services.User{
			{Name: "unshown", Grants: []string{"GRANT SHOW, INSERT ON *.*"}},
			{Name: "least", Grants: []string{
				"GRANT SHOW TABLES, SHOW COLUMNS, INSERT ON testleastgrants.*", "GRANT SELECT ON system.clusters",
				"GRANT SELECT ON system.merge_tree_settings", "GRANT SELECT ON system.disks", "GRANT SELECT ON system.storage_policies",
			}},
			{Name: "secured", Password: "right"},
			{Name: "crowded", Settings: map[string]string{"max_concurrent_queries_for_user": "1"}},
			{Name: "blind", Grants: []string{"GRANT SELECT ON system.one"}},
			{Name: "reader", Grants: []string{"GRANT SELECT ON system.*", "GRANT SHOW ON *.*"}},
			{Name: "partial", Grants: []string{"GRANT SELECT ON system.*", "GRANT SHOW ON *.*", "GRANT INSERT(id, name) ON testcheckgrants.events_local"}},
			{Name: "writer", Grants: []string{"GRANT INSERT, SHOW TABLES, SHOW COLUMNS ON *.*", "GRANT SELECT ON system.*"}},
		},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer servers.Stop()
	return m.Run()
}

// database makes an empty database on every node, named after the test.
func database(t *testing.T) string {
	t.Helper()
	name := strings.ToLower(strings.NewReplacer("/", "_", " ", "_", "'", "", "`", "").Replace(t.Name()))
	servers.Exec(t, fmt.Sprintf("DROP DATABASE IF EXISTS %[1]s SYNC; CREATE DATABASE %[1]s ENGINE = Atomic", name))
	return name
}

// tables makes a local table on every node and a Distributed table over it.
func tables(t *testing.T) string {
	t.Helper()
	db := database(t)
	servers.Exec(t, fmt.Sprintf(`
		CREATE TABLE %[1]s.events_local (id UInt64, at DateTime DEFAULT now(), name String DEFAULT 'none')
			ENGINE = MergeTree PARTITION BY toYYYYMM(at) ORDER BY id SETTINGS non_replicated_deduplication_window = 100;
		CREATE TABLE %[1]s.events AS %[1]s.events_local ENGINE = Distributed('events_cluster', %[1]s, events_local, cityHash64(id, 'a,b'))`, db))
	return db
}

// config is short of patience, so that tests of failures are not long.
func config(db, table string) cluster.Config {
	return cluster.Config{
		Addresses: servers.Addrs(), Database: db, Table: table,
		DialTimeout: time.Second, HandshakeTimeout: time.Second, StallTimeout: 500 * time.Millisecond,
		TopologyRefresh: -1, HealthInterval: time.Hour,
	}
}

func open(t *testing.T, cfg cluster.Config) *cluster.Cluster {
	t.Helper()
	c, err := cluster.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// write inserts one row with the id through an acquired connection.
func write(t *testing.T, conn *cluster.Conn, target string, id int) error {
	t.Helper()
	return conn.Do(t.Context(), insertRow(target, uint64(id)))
}

// countAll counts the rows of events_local on all nodes: plain MergeTree tables do not replicate, so that is the union of all replicas.
func countAll(t *testing.T, db string) int {
	t.Helper()
	total := 0
	for _, n := range servers.Servers {
		var rows int
		_, err := fmt.Sscan(n.Value(t, "SELECT count() FROM "+db+".events_local"), &rows)
		require.NoError(t, err)
		total += rows
	}
	return total
}

// restart takes up what Reconfigure wrote.
func restart(t *testing.T) {
	t.Helper()
	for _, n := range servers.Servers {
		require.NoError(t, n.Stop())
		require.NoError(t, n.Start(context.Background()))
	}
}
