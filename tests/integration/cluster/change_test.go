package cluster

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/clickhouse/insert"
	"github.com/benthos-clickhouse/connect/tests/services"
)

func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

func TestColumnAddedIsTakenUp(t *testing.T) {
	db := tables(t)
	c := open(t, config(db, "events"))
	before, changed := c.Layout(), c.Changed()
	again, err := c.Refresh(t.Context())
	require.NoError(t, err)
	require.False(t, again)
	require.Same(t, before, c.Layout())
	require.False(t, closed(changed))

	const alter = "ALTER TABLE %s.events_local ADD COLUMN extra Nullable(UInt8) DEFAULT 7"
	servers.Nodes[0][0].Exec(t, fmt.Sprintf(alter, db))
	_, err = c.Refresh(t.Context())
	var structure *cluster.StructureError
	require.ErrorAs(t, err, &structure, "while it is on some hosts only, the last layout stays")
	require.Same(t, before, c.Layout())

	for _, n := range []*services.Node{servers.Nodes[0][1], servers.Nodes[1][0], servers.Nodes[1][1]} {
		n.Exec(t, fmt.Sprintf(alter, db))
	}
	again, err = c.Refresh(t.Context())
	require.NoError(t, err)
	require.True(t, again)
	require.True(t, closed(changed))
	after := c.Layout()
	require.Greater(t, after.Version, before.Version)
	require.True(t, after.SameShards(before))
	require.False(t, after.SameTable(before))
	column, ok := after.Table.Column("extra")
	require.True(t, ok)
	require.Equal(t, cluster.TableColumn{Name: "extra", Type: "Nullable(UInt8)", DefaultKind: "DEFAULT", DefaultExpression: "7"}, column)
	_, ok = before.Table.Column("extra")
	require.False(t, ok, "a layout that was handed out does not change")
}

func TestChangesAreTakenUpUnasked(t *testing.T) {
	db := tables(t)
	cfg := config(db, "events")
	cfg.TopologyRefresh = 50 * time.Millisecond
	c := open(t, cfg)
	changed := c.Changed()
	servers.Exec(t, fmt.Sprintf("ALTER TABLE %s.events_local ADD COLUMN extra UInt8", db))
	select {
	case <-changed:
	case <-time.After(30 * time.Second):
		t.Fatal("the change was not noticed")
	}
	_, ok := c.Layout().Table.Column("extra")
	require.True(t, ok)
}

func TestTopologyChangeIsTakenUp(t *testing.T) {
	db := tables(t)
	cfg := config(db, "events")
	cfg.Addresses = cfg.Addresses[:1]
	c := open(t, cfg)
	pin, err := c.Layout().Pin(false).MarshalBinary()
	require.NoError(t, err)

	t.Run("the table names another cluster", func(t *testing.T) {
		servers.Exec(t, fmt.Sprintf("DROP TABLE %[1]s.events SYNC; CREATE TABLE %[1]s.events AS %[1]s.events_local ENGINE = Distributed('two', %[1]s, events_local, id)", db))
		changed := c.Changed()
		c.RequestRefresh()
		select {
		case <-changed:
		case <-time.After(20 * time.Second):
			t.Fatal("the change was not noticed")
		}
		require.Equal(t, []uint32{1, 0}, c.Layout().Weights())
		require.Equal(t, "id", c.Layout().Table.ShardingKey)
	})
	t.Run("the cluster is defined anew", func(t *testing.T) {
		t.Cleanup(func() {
			require.NoError(t, servers.Reconfigure(clusters))
			restart(t)
		})
		require.NoError(t, servers.Reconfigure(map[string][]services.Shard{"two": {
			{Weight: 2, Replicas: []services.Replica{{Node: 1}}}, {Weight: 5, Replicas: []services.Replica{{Node: 3}}}, {Weight: 1, Replicas: []services.Replica{{Node: 2}}},
		}}))
		restart(t)
		require.Eventually(t, func() bool {
			changed, err := c.Refresh(t.Context())
			return err == nil && changed
		}, 20*time.Second, 50*time.Millisecond)
		require.Equal(t, []uint32{2, 5, 1}, c.Layout().Weights())
	})
	t.Run("what was pinned before", func(t *testing.T) {
		_, err := c.Resolve(pin)
		if err != nil { // the replica that was chosen at random is not in the new definition
			var gone *cluster.ShardGoneError
			require.ErrorAs(t, err, &gone)
			require.True(t, gone.Pinned)
		}
	})
}

// TestRowsFollowAClusterThatChanges: one writer goes on while the cluster grows, shrinks, and has its shards in another order and with other weights.
func TestRowsFollowAClusterThatChanges(t *testing.T) {
	db := database(t)
	servers.Exec(t, fmt.Sprintf(`
		CREATE TABLE %[1]s.l (id UInt64) ENGINE = MergeTree ORDER BY id;
		CREATE TABLE %[1]s.reference_l AS %[1]s.l`, db))
	distribute := func(over string) {
		for _, table := range []string{"", "reference_"} {
			servers.Exec(t, fmt.Sprintf("DROP TABLE IF EXISTS %[1]s.%[2]sd SYNC; CREATE TABLE %[1]s.%[2]sd AS %[1]s.l ENGINE = Distributed('%[3]s', %[1]s, %[2]sl, cityHash64(id))", db, table, over))
		}
	}
	distribute("ab")
	c := open(t, config(db, "d"))
	w, err := insert.Open(t.Context(), insert.Options{Cluster: c})
	require.NoError(t, err)
	t.Cleanup(w.Close)
	for i, over := range []string{"ab", "ba", "abc", "a", "abc", "ba"} {
		distribute(over)
		_, err := c.Refresh(t.Context())
		require.NoError(t, err)
		var rows documents
		for id := range 300 {
			rows = append(rows, fmt.Sprintf(`{"id":%d}`, 1000*i+id))
		}
		_, err = w.Write(t.Context(), rows, nil)
		require.NoError(t, err)
		servers.Servers[0].Exec(t, fmt.Sprintf("INSERT INTO %s.reference_d SELECT number + %d FROM numbers(300) SETTINGS distributed_foreground_insert = 1", db, 1000*i))
		for _, n := range servers.Servers {
			const ids = "SELECT arrayStringConcat(arraySort(groupArray(id)), ',') FROM %s.%sl"
			require.Equal(t, n.Value(t, fmt.Sprintf(ids, db, "reference_")), n.Value(t, fmt.Sprintf(ids, db, "")), "over %s", over)
		}
	}
}

// TestAShardThatIsGoneIsLookedFor: hosts that cannot be reached may no longer be in the cluster, which is found out before the next refresh is due.
func TestAShardThatIsGoneIsLookedFor(t *testing.T) {
	db := database(t)
	servers.Exec(t, fmt.Sprintf("CREATE TABLE %[1]s.l (id UInt64) ENGINE = MergeTree ORDER BY id; CREATE TABLE %[1]s.d AS %[1]s.l ENGINE = Distributed('ab', %[1]s, l, id)", db))
	cfg := config(db, "d")
	cfg.Addresses = cfg.Addresses[:1]
	c := open(t, cfg)
	w, err := insert.Open(t.Context(), insert.Options{Cluster: c, Retries: insert.Retries{MaxAttempts: 2, InitialInterval: 10 * time.Millisecond}})
	require.NoError(t, err)
	t.Cleanup(w.Close)
	kill(t, servers.Servers[2])
	servers.Servers[0].Exec(t, fmt.Sprintf("DROP TABLE %[1]s.d SYNC; CREATE TABLE %[1]s.d AS %[1]s.l ENGINE = Distributed('a', %[1]s, l, id)", db))
	rows := documents{`{"id":0}`, `{"id":1}`, `{"id":2}`}
	_, err = w.Write(t.Context(), rows, nil)
	var unavailable *insert.UnavailableError
	require.ErrorAs(t, err, &unavailable, "the batch keeps the shards it was cut for")
	require.Eventually(t, func() bool { return len(c.Layout().Shards) == 1 }, 20*time.Second, 20*time.Millisecond)
	_, err = w.Write(t.Context(), rows, nil)
	require.NoError(t, err)
	require.Equal(t, "3", servers.Servers[0].Value(t, "SELECT uniqExact(id) FROM "+db+".l"))
}

func TestRefreshKeepsTheLayoutWhenNobodyAnswers(t *testing.T) {
	db := tables(t)
	cfg := config(db, "events_local")
	cfg.Addresses, cfg.Cluster = cfg.Addresses[:1], "two"
	c := open(t, cfg)
	before := c.Layout()
	kill(t, servers.Nodes[0][0])
	kill(t, servers.Nodes[1][0])
	_, err := c.Refresh(t.Context())
	require.Error(t, err)
	require.False(t, cluster.Fatal(err))
	require.Same(t, before, c.Layout())
}
