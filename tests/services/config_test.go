package services_test

import (
	"testing"

	"github.com/ClickHouse/ch-go"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/tests/services"
)

func TestClustersOnFewProcesses(t *testing.T) {
	c := services.Run(t, services.Options{
		ClickHouse: true, Shards: 1, Replicas: 2, Nodes: 3, WriteAll: true,
		Clusters: map[string][]services.Shard{"four": {
			{Weight: 1, Replicas: []services.Replica{{Node: 0, Database: "shard_1"}}},
			{Weight: 2, Replicas: []services.Replica{{Node: 0, Database: "shard_2"}}},
			{Weight: 0, Replicas: []services.Replica{{Node: 2, Database: "shard_3"}}},
			{Weight: 3, WriteAll: true, Replicas: []services.Replica{{Addr: "127.0.0.1:1"}, {Node: 1}}},
		}},
	})
	require.Len(t, c.Nodes, 1)
	require.Len(t, c.Nodes[0], 2)
	require.Len(t, c.Servers, 3)
	n := c.Nodes[0][1]
	require.Equal(t, [][]string{{"events_cluster", "01", "02"}},
		n.Query(t, "SELECT getMacro('cluster'), getMacro('shard'), getMacro('replica')"))
	require.Equal(t, [][]string{
		{"events_cluster", "1", "1", "0", "1"},
		{"events_cluster", "1", "1", "0", "2"},
		{"four", "1", "1", "1", "1"},
		{"four", "2", "2", "1", "1"},
		{"four", "3", "0", "1", "1"},
		{"four", "4", "3", "0", "1"},
		{"four", "4", "3", "0", "2"},
	}, n.Query(t, "SELECT cluster, shard_num, shard_weight, internal_replication, replica_num FROM system.clusters ORDER BY ALL"))

	// Two shards on one process are two databases.
	first := c.Servers[0]
	first.Exec(t, `
		CREATE DATABASE shard_1; CREATE DATABASE shard_2;
		CREATE TABLE shard_1.t (id UInt64) ENGINE = MergeTree ORDER BY id;
		CREATE TABLE shard_2.t AS shard_1.t;
		CREATE TABLE shard_1.d AS shard_1.t ENGINE = Distributed(four, '', t, id % 2);
		INSERT INTO shard_1.d SETTINGS distributed_foreground_insert = 1 SELECT number FROM numbers(10)`)
	require.Equal(t, "5", first.Value(t, "SELECT count() FROM shard_1.t"))
	require.Equal(t, "5", first.Value(t, "SELECT count() FROM shard_2.t"))

	require.NoError(t, c.Reconfigure(map[string][]services.Shard{
		"one": {{Weight: 1, Replicas: []services.Replica{{Node: 0}}}},
	}))
	require.NoError(t, first.Stop())
	require.NoError(t, first.Start(t.Context()))
	require.Equal(t, "1", first.Value(t, "SELECT count() FROM system.clusters WHERE cluster = 'one'"))
}

func TestUsers(t *testing.T) {
	c := services.Run(t, services.Options{ClickHouse: true, Users: []services.User{
		{Name: "writer", Password: "se<cret", Settings: map[string]string{"max_threads": "1"}},
		{Name: "reader", Password: "r", Grants: []string{"GRANT SELECT ON dw.*"}},
	}})
	n := c.Servers[0]
	n.Exec(t, "CREATE DATABASE dw; CREATE TABLE dw.t (id UInt64) ENGINE = MergeTree ORDER BY id")
	insert := func(user, password string) error {
		client, err := ch.Dial(t.Context(), ch.Options{Address: n.Addr(), User: user, Password: password})
		if err != nil {
			return err
		}
		defer client.Close()
		return client.Do(t.Context(), ch.Query{Body: "INSERT INTO dw.t SELECT 1"})
	}
	require.NoError(t, insert("writer", "se<cret"))
	require.ErrorContains(t, insert("writer", "wrong"), "AUTHENTICATION_FAILED")
	require.ErrorContains(t, insert("reader", "r"), "ACCESS_DENIED")
}
