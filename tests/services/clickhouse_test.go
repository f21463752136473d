package services_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/tests/services"
)

func TestClickHouse(t *testing.T) {
	c := services.Run(t, services.Options{ClickHouse: true, Shards: 2, Weights: []int{1, 3}})
	c.Exec(t, `
		CREATE DATABASE dw;
		CREATE TABLE dw.events_local (id UInt64, s String) ENGINE = MergeTree ORDER BY id;
		CREATE TABLE dw.events AS dw.events_local ENGINE = Distributed(events_cluster, dw, events_local, id)`)
	first, second := c.Nodes[0][0], c.Nodes[1][0]
	first.Exec(t, `INSERT INTO dw.events SETTINGS distributed_foreground_insert = 1 SELECT number, 'a\tb' FROM numbers(4000)`)
	require.Equal(t, "1000", first.Value(t, "SELECT count() FROM dw.events_local"))
	require.Equal(t, "3000", second.Value(t, "SELECT count() FROM dw.events_local"))
	require.Equal(t, [][]string{{"0", "a\tb"}, {"4", "a\tb"}}, first.Query(t, "SELECT * FROM dw.events_local ORDER BY id LIMIT 2"))

	addr := second.Addr()
	require.NoError(t, second.Kill())
	require.False(t, second.Running())
	_, err := second.QueryContext(t.Context(), "SELECT 1")
	require.ErrorContains(t, err, "connection refused")
	require.NoError(t, second.Start(t.Context()))
	require.Equal(t, addr, second.Addr())
	require.Equal(t, "4000", first.Value(t, "SELECT count() FROM dw.events"))
	require.NoError(t, second.Client(t).Ping(t.Context()))
}
