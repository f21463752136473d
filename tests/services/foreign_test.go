package services_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/tests/services"
)

// Servers that the environment names are used, and left alone.
func TestServersOfTheUser(t *testing.T) {
	theirs := services.Run(t, services.Options{ClickHouse: true, Shards: 2, Kafka: true, MariaDB: true})
	theirs.Exec(t, "CREATE DATABASE dw; CREATE TABLE dw.t (id UInt64) ENGINE = MergeTree ORDER BY id")

	t.Setenv("CLICKHOUSE_ADDR", strings.Join(theirs.Addrs(), ", "))
	t.Setenv("CLICKHOUSE_HTTP_ADDR", theirs.Nodes[0][0].HTTPAddr()+","+theirs.Nodes[1][0].HTTPAddr())
	t.Setenv("KAFKA_ADDR", theirs.Kafka.Addr())
	t.Setenv("MYSQL_DSN", theirs.MySQL.DSN())
	c := services.Run(t, services.Options{ClickHouse: true, Shards: 2, Kafka: true, MariaDB: true})
	require.Equal(t, theirs.Addrs(), c.Addrs())
	require.Equal(t, theirs.Kafka.Addr(), c.Kafka.Addr())
	require.Equal(t, theirs.MySQL.DSN(), c.MySQL.DSN())
	require.Equal(t, "0", c.Nodes[1][0].Value(t, "SELECT count() FROM dw.t"))
	require.ErrorIs(t, c.Nodes[0][0].Kill(), services.ErrNotOurs)
	require.ErrorIs(t, c.Kafka.Stop(), services.ErrNotOurs)
	require.ErrorIs(t, c.MySQL.Pause(), services.ErrNotOurs)
	require.ErrorIs(t, c.Reconfigure(nil), services.ErrNotOurs)
	c.Stop()
	require.True(t, theirs.Kafka.Running())
	require.Equal(t, "1", theirs.Nodes[0][0].Value(t, "SELECT 1"))

	_, err := services.Start(t.Context(), services.Options{ClickHouse: true, Shards: 3, Log: t.Output()})
	require.ErrorContains(t, err, "3 nodes are needed and it names 2")

	t.Setenv("CLICKHOUSE_ADDR", "")
	t.Setenv("CLICKHOUSE_BIN", "/nonexistent/clickhouse")
	_, err = services.Start(t.Context(), services.Options{ClickHouse: true, Log: t.Output()})
	require.ErrorContains(t, err, "using CLICKHOUSE_BIN")
	t.Setenv("MYSQLD_BIN", "/nonexistent/mysqld")
	_, err = services.Start(t.Context(), services.Options{MySQL: true, Log: t.Output()})
	require.ErrorContains(t, err, "using MYSQLD_BIN")
}
