package cluster

import (
	"testing"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	"github.com/stretchr/testify/require"
)

// insertRow is the INSERT of one row that has nothing but an id.
func insertRow(target string, id uint64) ch.Query {
	var ids proto.ColUInt64
	ids.Append(id)
	return ch.Query{
		Body:  "INSERT INTO " + target + " (id) VALUES",
		Input: proto.Input{{Name: "id", Data: &ids}},
	}
}

func TestDiscoveryFromADistributedTable(t *testing.T) {
	db := tables(t)
	c := open(t, config(db, "events"))
	l := c.Layout()

	require.Equal(t, "events_cluster", l.Cluster)
	require.Equal(t, []uint32{1, 3}, l.Weights())
	require.True(t, l.Table.Distributed)
	require.Equal(t, "cityHash64(id, 'a,b')", l.Table.ShardingKey)
	require.Equal(t, db, l.Table.Database)
	require.Equal(t, "events_local", l.Table.Name)
	require.Equal(t, "MergeTree", l.Table.Engine)
	require.Equal(t, "id", l.Table.SortingKey)
	require.Equal(t, "toYYYYMM(at)", l.Table.PartitionKey)
	require.Len(t, l.Insertable(), 3)
	for i, s := range l.Shards {
		require.True(t, s.InternalReplication)
		require.Len(t, s.Replicas, 2)
		for j, r := range s.Replicas {
			require.Equal(t, servers.Nodes[i][j].Addr(), r.Address)
		}
	}

	conn, err := c.Acquire(t.Context(), l, 1)
	require.NoError(t, err)
	require.Equal(t, uint32(2), conn.Replica().Shard)
	err = write(t, conn, l.Target(1), 7)
	conn.Release(err)
	require.NoError(t, err)
	require.Equal(t, 1, countAll(t, db))
}
