package cluster

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/clickhouse/insert"
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

func TestDiscoveryReadsAllForms(t *testing.T) {
	db := database(t)
	servers.Exec(t, fmt.Sprintf("CREATE TABLE %s.`we'ird``\\\\ t` (id UInt64) ENGINE = MergeTree ORDER BY id", db))
	servers.Exec(t, fmt.Sprintf("CREATE TABLE %s.l (id UInt64) ENGINE = MergeTree ORDER BY id", db))
	tests := map[string]struct {
		engine string
		table  string
		key    string
		policy string
	}{
		"no quotes":          {engine: "Distributed(events_cluster, %[1]s, l)", table: "l"},
		"quotes of names":    {engine: "Distributed(`events_cluster`, \"%[1]s\", `l`, rand())", table: "l", key: "rand()"},
		"macro":              {engine: "Distributed('{cluster}', '%[1]s', 'l', rand())", table: "l", key: "rand()"},
		"expression":         {engine: "Distributed(events_cluster, concat('%[1]s', ''), l, rand())", table: "l", key: "rand()"},
		"policy, settings":   {engine: "Distributed('events_cluster', '%[1]s', 'l', id %% 4, 'default') SETTINGS fsync_after_insert = 1", table: "l", key: "id % 4", policy: "default"},
		"nested key":         {engine: "Distributed('events_cluster', '%[1]s', 'l', cityHash64(id, 'a,b)(', [1, 2][1]))", table: "l", key: "cityHash64(id, 'a,b)(', [1, 2][1])"},
		"name in need of it": {engine: "Distributed('events_cluster', '%[1]s', 'we\\'ird`\\\\ t')", table: "we'ird`\\ t"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			servers.Servers[0].Exec(t, fmt.Sprintf("DROP TABLE IF EXISTS %[1]s.d SYNC; CREATE TABLE %[1]s.d (id UInt64) ENGINE = "+test.engine, db))
			cfg := config(db, "d")
			cfg.Addresses = cfg.Addresses[:1]
			l := open(t, cfg).Layout()
			require.Equal(t, "events_cluster", l.Cluster)
			require.Equal(t, db, l.Table.Database)
			require.Equal(t, test.table, l.Table.Name)
			require.Equal(t, test.key, l.Table.ShardingKey)
			require.Equal(t, test.policy, l.Table.Policy)
			require.Len(t, l.Shards, 2)
		})
	}
}

func TestCurrentDatabaseIsTheTablesOwn(t *testing.T) {
	db := database(t)
	servers.Exec(t, fmt.Sprintf("CREATE TABLE %[1]s.l (id UInt64) ENGINE = MergeTree ORDER BY id", db))
	// Over HTTP the current database is default: what the server prints is what counts.
	servers.Exec(t, "DROP TABLE IF EXISTS default.l SYNC; CREATE TABLE default.l (id UInt64) ENGINE = MergeTree ORDER BY id")
	servers.Exec(t, fmt.Sprintf("CREATE TABLE %[1]s.d (id UInt64) ENGINE = Distributed('events_cluster', currentDatabase(), 'l')", db))
	require.Equal(t, "`default`.`l`", open(t, config(db, "d")).Layout().Target(0))
}

func TestShardsOnOneHostHaveTheirDefaultDatabase(t *testing.T) {
	db := database(t)
	servers.Exec(t, "CREATE DATABASE IF NOT EXISTS shared_a; CREATE DATABASE IF NOT EXISTS shared_b;"+
		"CREATE TABLE IF NOT EXISTS shared_a.l (id UInt64) ENGINE = MergeTree ORDER BY id; CREATE TABLE IF NOT EXISTS shared_b.l (id UInt64) ENGINE = MergeTree ORDER BY id")
	servers.Exec(t, fmt.Sprintf("CREATE TABLE %s.d (id UInt64) ENGINE = Distributed('shared_host', '', 'l', id)", db))
	c := open(t, config(db, "d"))
	l := c.Layout()
	require.Equal(t, []string{"`shared_a`.`l`", "`shared_b`.`l`"}, []string{l.Target(0), l.Target(1)})
	require.Equal(t, []uint32{1, 2}, l.Weights())
	for i := range l.Shards {
		conn, err := c.Acquire(t.Context(), l, i)
		require.NoError(t, err)
		err = write(t, conn, l.Target(i), i)
		conn.Release(err)
		require.NoError(t, err)
	}
	require.Equal(t, "1", servers.Servers[0].Value(t, "SELECT id FROM shared_b.l"))
}

func TestLocalTableWithACluster(t *testing.T) {
	db := tables(t)
	cfg := config(db, "events_local")
	cfg.Cluster = "{cluster}"
	l := open(t, cfg).Layout()
	require.False(t, l.Table.Distributed)
	require.Empty(t, l.Table.ShardingKey)
	require.Equal(t, "events_cluster", l.Cluster)
	require.Len(t, l.Shards, 2)
}

func TestWeightZeroAndWriteAll(t *testing.T) {
	db := tables(t)
	cfg := config(db, "events_local")
	cfg.Cluster = "two"
	require.Equal(t, []uint32{1, 0}, open(t, cfg).Layout().Weights())
	cfg.Cluster = "write_all"
	var log bytes.Buffer
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	c := open(t, cfg)
	l := c.Layout()
	require.Equal(t, []uint32{1}, l.WriteEach())
	require.Contains(t, log.String(), "internal_replication is false")
	for i, r := range l.Shards[0].Replicas {
		conn, err := c.AcquireReplica(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, r, conn.Replica())
		err = write(t, conn, l.Target(0), i)
		conn.Release(err)
		require.NoError(t, err)
	}
	require.Equal(t, 2, countAll(t, db))
}

func TestExplicitShards(t *testing.T) {
	db := tables(t)
	t.Run("of a local table", func(t *testing.T) {
		cfg := config(db, "events_local")
		cfg.Addresses = nil
		cfg.Shards = [][]string{{servers.Servers[3].Addr()}, {servers.Servers[1].Addr(), servers.Servers[0].Addr()}}
		l := open(t, cfg).Layout()
		require.Equal(t, []uint32{1, 1}, l.Weights())
		require.Equal(t, servers.Servers[0].Addr(), l.Shards[1].Replicas[1].Address)
		require.NotEmpty(t, l.Table.Columns)
	})
	t.Run("of a Distributed table", func(t *testing.T) {
		cfg := config(db, "events")
		cfg.Shards = [][]string{{servers.Nodes[0][1].Addr()}, {servers.Nodes[1][1].Addr()}}
		l := open(t, cfg).Layout()
		require.Equal(t, []uint32{1, 3}, l.Weights(), "weights stay those that the Distributed table uses")
		require.Equal(t, "cityHash64(id, 'a,b')", l.Table.ShardingKey)
		require.Len(t, l.Shards[0].Replicas, 1)

		cfg.Shards = cfg.Shards[:1]
		_, err := cluster.Open(t.Context(), cfg)
		require.ErrorContains(t, err, "names 1 shards, but cluster \"events_cluster\" has 2")
	})
}

func TestAddressMapReachesWhatDiscoveryNames(t *testing.T) {
	db := tables(t)
	cfg := config(db, "events_local")
	cfg.Cluster = "nat"
	cfg.AddressMap = map[string]string{"unreachable.invalid:9000": servers.Servers[0].Addr()}
	l := open(t, cfg).Layout()
	require.Equal(t, "unreachable.invalid:9000", l.Shards[0].Replicas[0].ID())
	require.Equal(t, servers.Servers[0].Addr(), l.Shards[0].Replicas[0].Address)
}

func TestAddressMapOfIPv6(t *testing.T) {
	db := tables(t)
	cfg := config(db, "events_local")
	cfg.Cluster = "ipv6"
	cfg.AddressMap = map[string]string{"[2001:db8::1]:9000": servers.Servers[0].Addr(), "[2001:db8::2]:9000": servers.Servers[1].Addr()}
	l := open(t, cfg).Layout()
	require.Equal(t, "[2001:db8::1]:9000", l.Shards[0].Replicas[0].ID())
	require.Equal(t, servers.Servers[0].Addr(), l.Shards[0].Replicas[0].Address)
	require.Equal(t, servers.Servers[1].Addr(), l.Shards[0].Replicas[1].Address, "however it is written")
}

// A host that is down is named once: in the error where no other one answers, in the log where one does.
func TestAHostThatIsDownIsNamedOnce(t *testing.T) {
	db := tables(t)
	for _, others := range [][]string{nil, servers.Addrs()[:1]} {
		cfg := config(db, "events")
		cfg.Addresses = append([]string{"127.0.0.1:1"}, others...)
		var log bytes.Buffer
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		if others == nil {
			_, err := cluster.Open(t.Context(), cfg)
			require.ErrorContains(t, err, "127.0.0.1:1")
			require.Empty(t, log.String())
			continue
		}
		open(t, cfg)
		require.Equal(t, 1, strings.Count(log.String(), "host failed"), "%s", &log)
		require.Contains(t, log.String(), "address=127.0.0.1:1 ")
	}
}

// A server that answers, and answers with a refusal for its own sake, is not the only one.
func TestABusyServerIsPassedOver(t *testing.T) {
	db := tables(t)
	busy, err := ch.Dial(t.Context(), ch.Options{Address: servers.Servers[0].Addr(), User: "crowded"})
	require.NoError(t, err)
	working, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- busy.Do(working, ch.Query{
			Body: "SELECT sleepEachRow(1) FROM numbers(600) SETTINGS function_sleep_max_microseconds_per_block = 0, max_block_size = 1", Result: new(proto.Results).Auto(),
			OnResult: func(context.Context, proto.Block) error { return nil },
		})
	}()
	t.Cleanup(func() { cancel(); <-done })
	require.Eventually(t, func() bool {
		return servers.Servers[0].Value(t, "SELECT count() FROM system.processes WHERE user = 'crowded'") == "1"
	}, 20*time.Second, 20*time.Millisecond)

	cfg := config(db, "events")
	cfg.Username, cfg.Addresses = "crowded", servers.Addrs()[:1]
	_, err = cluster.Open(t.Context(), cfg)
	require.True(t, ch.IsErr(err, proto.ErrTooManySimultaneousQueries), "%v", err)
	require.False(t, cluster.Fatal(err))
	cfg.Addresses = servers.Addrs()[:2]
	require.Len(t, open(t, cfg).Layout().Shards, 2)
}

// A shard of weight 0 may be down, and we need no right on it: it gets nothing.
func TestAShardWithoutWeightIsNotNeeded(t *testing.T) {
	db := tables(t)
	servers.Exec(t, fmt.Sprintf("CREATE TABLE %[1]s.d AS %[1]s.events_local ENGINE = Distributed('two', %[1]s, events_local, id)", db))
	kill(t, servers.Nodes[1][0])
	for _, strategy := range insert.Strategies {
		c := open(t, config(db, "d"))
		require.NoError(t, c.CheckGrants(t.Context(), c.Layout()), strategy)
		_, err := c.CheckDeduplication(t.Context(), c.Layout())
		require.NoError(t, err, strategy)
		opts := insert.Options{Cluster: c, Strategy: strategy}
		if strategy == insert.StrategyHash || strategy == insert.StrategyConsistentHash {
			opts.Key = []string{"id"}
		}
		w, err := insert.Open(t.Context(), opts)
		require.NoError(t, err, strategy)
		require.NoError(t, w.Ready(t.Context()), strategy)
		var rows documents
		for id := range 100 {
			rows = append(rows, fmt.Sprintf(`{"id":%d,"name":"%s"}`, id, strategy))
		}
		_, err = w.Write(t.Context(), rows, nil)
		require.NoError(t, err, strategy)
		w.Close()
	}
	require.Equal(t, fmt.Sprint(100*len(insert.Strategies)), servers.Servers[0].Value(t, "SELECT count() FROM "+db+".events_local"))
}

func TestRefusals(t *testing.T) {
	db := tables(t)
	servers.Exec(t, fmt.Sprintf(`
		CREATE VIEW %[1]s.a_view AS SELECT 1 AS id;
		CREATE MATERIALIZED VIEW %[1]s.an_mv ENGINE = MergeTree ORDER BY id AS SELECT id FROM %[1]s.events_local;
		CREATE TABLE %[1]s.a_function AS remote('%[2]s', '%[1]s', 'events_local');
		CREATE TABLE %[1]s.no_macro (id UInt64) ENGINE = Distributed('{cluster}', '%[1]s', 'nothing_there');
		CREATE TABLE %[1]s.a_buffer AS %[1]s.events_local ENGINE = Buffer(%[1]s, events_local, 1, 10, 100, 10000, 1000000, 10000000, 100000000);
		CREATE TABLE %[1]s.an_alias ENGINE = Alias('%[1]s', 'events');
		CREATE TABLE %[1]s.over_view (id UInt64) ENGINE = Distributed('events_cluster', '%[1]s', 'a_view');
		CREATE TABLE %[1]s.over_distributed (id UInt64) ENGINE = Distributed('events_cluster', '%[1]s', 'events')`, db, servers.Servers[0].Addr()))
	tests := map[string]struct {
		change      func(*cluster.Config)
		as          any
		errContains string
	}{
		"no such table":                  {func(c *cluster.Config) { c.Table = "nowhere" }, new(*cluster.TableNotFoundError), "nowhere` not found"},
		"no such database":               {func(c *cluster.Config) { c.Database = "nowhere" }, new(*cluster.TableNotFoundError), "`nowhere`.`events` not found"},
		"no local table":                 {func(c *cluster.Config) { c.Table = "no_macro" }, new(*cluster.TableNotFoundError), "shard 1"},
		"a view":                         {func(c *cluster.Config) { c.Table = "a_view" }, new(*cluster.NotATableError), "is a View"},
		"a materialized view":            {func(c *cluster.Config) { c.Table = "an_mv" }, new(*cluster.NotATableError), "is a MaterializedView"},
		"a table function":               {func(c *cluster.Config) { c.Table = "a_function" }, new(*cluster.NotATableError), "such as remote()"},
		"a buffer":                       {func(c *cluster.Config) { c.Table = "a_buffer" }, new(*cluster.NotATableError), "is a Buffer"},
		"a buffer with its cluster":      {func(c *cluster.Config) { c.Table, c.Cluster = "a_buffer", "two" }, new(*cluster.NotATableError), "is a Buffer"},
		"an alias":                       {func(c *cluster.Config) { c.Table, c.Cluster = "an_alias", "two" }, new(*cluster.NotATableError), "is a Alias"},
		"Distributed over a view":        {func(c *cluster.Config) { c.Table = "over_view" }, new(*cluster.NotATableError), "a_view` is a View"},
		"Distributed over itself":        {func(c *cluster.Config) { c.Table = "over_distributed" }, new(*cluster.NotATableError), "Distributed table behind another"},
		"local without cluster":          {func(c *cluster.Config) { c.Table = "events_local" }, new(*cluster.NotDistributedError), "set `cluster`"},
		"the clusters are named":         {func(c *cluster.Config) { c.Table = "events_local" }, new(*cluster.NotDistributedError), "events_cluster, ipv6, nat"},
		"no such cluster":                {func(c *cluster.Config) { c.Table, c.Cluster = "events_local", "nowhere" }, new(*cluster.ClusterNotFoundError), "it knows a, ab, "},
		"no such macro":                  {func(c *cluster.Config) { c.Table, c.Cluster = "events_local", "{nothing}" }, new(*cluster.MacroError), "no macro {nothing}"},
		"cluster of a Distributed table": {func(c *cluster.Config) { c.Cluster = "two" }, new(*cluster.ConfigError), "leave `cluster` empty"},
		"wrong password":                 {func(c *cluster.Config) { c.Username, c.Password = "secured", "wrong" }, new(*cluster.AuthenticationError), "check `username` and `password`"},
		"no such user":                   {func(c *cluster.Config) { c.Username = "nobody" }, new(*cluster.AuthenticationError), `logging in as "nobody"`},
		"a user without system.clusters": {func(c *cluster.Config) { c.Username = "unshown" }, new(*cluster.PrivilegeError), "ON system.clusters TO `unshown`"},
		"a user who sees nothing":        {func(c *cluster.Config) { c.Username = "blind" }, new(*cluster.TableNotFoundError), "GRANT SHOW TABLES, SHOW COLUMNS, INSERT ON"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := config(db, "events")
			test.change(&cfg)
			_, err := cluster.Open(t.Context(), cfg)
			require.ErrorContains(t, err, test.errContains)
			require.ErrorAs(t, err, test.as)
			require.True(t, cluster.Fatal(err), err.Error())
		})
	}
}

func TestRightPassword(t *testing.T) {
	db := tables(t)
	cfg := config(db, "events")
	cfg.Username, cfg.Password = "secured", "right"
	for i, compression := range []cluster.Compression{cluster.CompressionNone, cluster.CompressionLZ4, cluster.CompressionZSTD} {
		cfg.Compression = compression
		c := open(t, cfg)
		conn, err := c.Acquire(t.Context(), c.Layout(), 0)
		require.NoError(t, err)
		err = write(t, conn, c.Layout().Target(0), i) // equal blocks would be dropped as repetitions
		conn.Release(err)
		require.NoError(t, err)
	}
	require.Equal(t, 3, countAll(t, db))
}

func TestStructuresThatDiffer(t *testing.T) {
	db := tables(t)
	servers.Nodes[1][0].Exec(t, fmt.Sprintf("ALTER TABLE %[1]s.events_local ADD COLUMN extra UInt8, MODIFY COLUMN name LowCardinality(String)", db))
	_, err := cluster.Open(t.Context(), config(db, "events"))
	var structure *cluster.StructureError
	require.ErrorAs(t, err, &structure)
	require.Len(t, structure.Differences, 2)
	for i, column := range []string{"extra", "name"} {
		require.Equal(t, uint32(2), structure.Differences[i].Shard)
		require.Equal(t, servers.Nodes[1][0].Addr(), structure.Differences[i].Host)
		require.Equal(t, column, structure.Differences[i].Column)
	}
	require.True(t, cluster.Fatal(err))
}

func TestSettingsGoWithEveryQuery(t *testing.T) {
	db := tables(t)
	cfg := config(db, "events")
	cfg.Settings = []ch.Setting{{Key: "max_threads", Value: "3", Important: true}}
	c := open(t, cfg)
	read := func(settings ...ch.Setting) string {
		var value proto.ColStr
		require.NoError(t, c.Query(t.Context(), ch.Query{
			Body: "SELECT toString(getSetting('max_threads'))", Result: proto.Results{{Data: &value}}, Settings: settings,
		}))
		return value.Row(0)
	}
	require.Equal(t, "3", read())
	require.Equal(t, "5", read(ch.SettingInt("max_threads", 5)), "the query's own come after")

	cfg.Settings = []ch.Setting{{Key: "no_such_setting", Value: "1", Important: true}}
	c = open(t, cfg)
	err := c.Query(t.Context(), ch.Query{Body: "SELECT 1"})
	require.True(t, ch.IsErr(err, proto.ErrUnknownSetting), "%v", err)
}

func TestDefaultsAreEvaluatedByTheServer(t *testing.T) {
	db := database(t)
	servers.Exec(t, fmt.Sprintf(`CREATE TABLE %[1]s.l (
		id UInt64, plain String, u UInt64 DEFAULT 18446744073709551615, s LowCardinality(String) DEFAULT concat('a"', lower('B')),
		at DateTime64(3, 'Asia/Tokyo') DEFAULT toDateTime64('2024-02-29 12:00:00.123', 3, 'Asia/Tokyo'), d Date DEFAULT '2024-02-29', n Nullable(UInt8) DEFAULT NULL,
		arr Array(UInt8) DEFAULT [1, 2], m Map(String, Int8) DEFAULT map('k', -1), f Float64 DEFAULT 1 / 4, e Enum8('a' = 1, 'b' = 2) DEFAULT 'b',
		dec Decimal(38, 10) DEFAULT '12345678901234567890.0123456789',
		ts DateTime DEFAULT now(), r UInt32 DEFAULT rand(), dep UInt64 DEFAULT id + 1, uid UUID DEFAULT generateUUIDv4(),
		mat UInt64 MATERIALIZED id, al UInt64 ALIAS id, eph String EPHEMERAL 'e', made String DEFAULT upper(eph)
	) ENGINE = MergeTree ORDER BY id`, db))
	cfg := config(db, "l")
	cfg.Cluster = "events_cluster"
	c := open(t, cfg)
	got, err := c.Defaults(t.Context(), c.Layout().Table)
	require.NoError(t, err)
	constants := map[string]string{}
	var left []string
	for name, d := range got {
		if d.Constant {
			constants[name] = string(d.JSON)
		} else {
			left = append(left, name)
		}
	}
	require.Equal(t, map[string]string{
		"u": "18446744073709551615", "s": `"a\"b"`, "at": `"2024-02-29T03:00:00.123Z"`, "d": `"2024-02-29"`, "n": "null", "arr": "[1,2]", "m": `{"k":-1}`, "f": "0.25",
		"e": `"b"`, "dec": `"12345678901234567890.0123456789"`, "eph": `"e"`,
	}, constants)
	require.ElementsMatch(t, []string{"ts", "r", "dep", "uid", "made"}, left)
}

func TestFreeSpace(t *testing.T) {
	db := tables(t)
	c := open(t, config(db, "events"))
	free, err := c.FreeSpace(t.Context(), c.Layout())
	require.NoError(t, err)
	require.Len(t, free, 2)
	require.NotZero(t, free[0])
	require.NotZero(t, free[1])
}
