package cluster

import (
	"errors"
	"fmt"
	"testing"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	"github.com/stretchr/testify/require"
)

func TestConfigIsChecked(t *testing.T) {
	tests := map[string]struct {
		cfg         Config
		errContains string
	}{
		"no table":           {Config{Addresses: []string{"a:1"}}, "field `table`"},
		"no address":         {Config{Table: "t"}, "field `addresses`"},
		"no port":            {Config{Table: "t", Addresses: []string{"a"}}, `"a" is not host:port`},
		"cluster and shards": {Config{Table: "t", Cluster: "c", Shards: [][]string{{"a:1"}}}, "field `cluster`"},
		"empty shard":        {Config{Table: "t", Shards: [][]string{{"a:1"}, {}}}, "shard 2 has no address"},
		"address twice":      {Config{Table: "t", Shards: [][]string{{"a:1"}, {"a:1"}}}, "named twice, in shard 1 and shard 2"},
		"map from":           {Config{Table: "t", Addresses: []string{"a:1"}, AddressMap: map[string]string{"b": "c:1"}}, "field `address_map`"},
		"map to":             {Config{Table: "t", Addresses: []string{"a:1"}, AddressMap: map[string]string{"b:1": ":1"}}, "field `address_map`"},
		"policy":             {Config{Table: "t", Addresses: []string{"a:1"}, Replicas: "best"}, "unknown policy"},
		"compression":        {Config{Table: "t", Addresses: []string{"a:1"}, Compression: "gzip"}, "unknown codec"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Open(t.Context(), test.cfg)
			require.ErrorContains(t, err, test.errContains)
			require.True(t, Fatal(err))
		})
	}
}

func TestAddressesAreMapped(t *testing.T) {
	c, _ := offline(Config{AddressMap: map[string]string{"ch-1:9000": "127.0.0.1:19000", "[::1]:9000": "gate:9001"}}, 1)
	tests := map[string]struct {
		m       member
		asked   string
		id      string
		address string
	}{
		"mapped":            {member{host: "ch-1", port: 9000}, "seed:9000", "ch-1:9000", "127.0.0.1:19000"},
		"not mapped":        {member{host: "ch-2", port: 9000}, "seed:9000", "ch-2:9000", "ch-2:9000"},
		"IPv6":              {member{host: "::1", port: 9000}, "[::1]:9000", "[::1]:9000", "gate:9001"},
		"IPv6, in full":     {member{host: "0:0:0:0:0:0:0:1", port: 9000}, "seed:9000", "[0:0:0:0:0:0:0:1]:9000", "gate:9001"},
		"another IPv6":      {member{host: "::2", port: 9000}, "seed:9000", "[::2]:9000", "[::2]:9000"},
		"another port":      {member{host: "::1", port: 9001}, "seed:9000", "[::1]:9001", "[::1]:9001"},
		"another case":      {member{host: "CH-1", port: 9000}, "seed:9000", "CH-1:9000", "127.0.0.1:19000"},
		"itself, elsewhere": {member{host: "localhost", port: 9440, local: true}, "seed:9000", "seed:9440", "seed:9440"},
		"itself, mapped":    {member{host: "127.0.0.1", port: 9000, local: true}, "ch-1:9999", "ch-1:9000", "127.0.0.1:19000"},
		"itself, here":      {member{host: "localhost", port: 9000, local: true}, "127.0.0.1:9000", "localhost:9000", "localhost:9000"},
		"another local one": {member{host: "127.0.0.1", port: 9001}, "seed:9000", "127.0.0.1:9001", "127.0.0.1:9001"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := c.replica(test.m, test.asked)
			require.Equal(t, test.id, r.ID())
			require.Equal(t, test.address, r.Address)
		})
	}
}

func TestShardsThatAreMappedToOneHost(t *testing.T) {
	layout := func(cfg Config, members ...member) *Layout {
		c, _ := offline(cfg, 1)
		return &Layout{Shards: c.shards(members, "dw", "seed:9000")}
	}
	gate := Config{AddressMap: map[string]string{"a:9000": "gate:9000", "b:9000": "gate:9000"}}
	a, b := member{shard: 1, host: "a", port: 9000}, member{shard: 2, host: "b", port: 9000}
	err := layout(gate, a, b).checkMapped()
	require.ErrorContains(t, err, "a:9000 of shard 1 and b:9000 of shard 2 are both reached at gate:9000")
	require.True(t, Fatal(err))

	require.NoError(t, layout(Config{}, a, b).checkMapped())
	b.shard = 1
	require.NoError(t, layout(gate, a, b).checkMapped(), "replicas behind a balancer")
	again := a
	again.shard = 2
	require.NoError(t, layout(gate, a, again).checkMapped(), "the cluster itself has a host twice")
}

func TestExplicitShardsAgainstTheCluster(t *testing.T) {
	c, _ := offline(Config{Shards: [][]string{{"a:1", "a:2"}, {"b:1"}}}, 1)
	l := &Layout{Cluster: "events", Table: &Table{Database: "dw", Name: "t"}}
	alone, err := c.explicitShards(l)
	require.NoError(t, err)
	require.Equal(t, uint32(1), alone[1].Weight)
	require.True(t, alone[0].InternalReplication)
	require.Equal(t, []string{"a:1", "a:2"}, []string{alone[0].Replicas[0].Address, alone[0].Replicas[1].Address})

	l.Shards = []Shard{{Number: 1, Weight: 5, Database: "x"}, {Number: 2, Weight: 0, Database: "y"}}
	informed, err := c.explicitShards(l)
	require.NoError(t, err)
	require.Equal(t, []uint32{5, 0}, []uint32{informed[0].Weight, informed[1].Weight})
	require.Equal(t, "y", informed[1].Database)
	require.False(t, informed[0].InternalReplication)

	l.Shards = l.Shards[:1]
	_, err = c.explicitShards(l)
	require.ErrorContains(t, err, `names 2 shards, but cluster "events" has 1`)
}

func TestCompareNamesShardHostAndColumn(t *testing.T) {
	c, l := offline(Config{}, 1, 1)
	_ = c
	describe := func(shard int, cols ...TableColumn) *description {
		return &description{shard: &l.Shards[shard], replica: l.Shards[shard].Replicas[0], table: &Table{Engine: "MergeTree", SortingKey: "id", Columns: cols}}
	}
	id, name := TableColumn{Name: "id", Type: "UInt64"}, TableColumn{Name: "name", Type: "String"}
	require.Empty(t, compare(describe(0, id, name), describe(1, name, id)), "order does not matter")

	wide := TableColumn{Name: "name", Type: "String", DefaultKind: "DEFAULT", DefaultExpression: "'x'"}
	other := TableColumn{Name: "extra", Type: "UInt8"}
	err := &StructureError{Database: "dw", Table: "t", Differences: sortedDifferences(compare(describe(0, id, name), describe(1, wide, other)))}
	require.Len(t, err.Differences, 3)
	for _, want := range []string{
		"shard 2, ch-2-1:9000: column `extra` is UInt8, elsewhere it is missing",
		"column `id` is missing, elsewhere it is UInt64",
		"column `name` is String DEFAULT 'x', elsewhere it is String",
	} {
		require.ErrorContains(t, err, want)
	}
}

func TestConstantDefaults(t *testing.T) {
	table := &Table{Columns: []TableColumn{{Name: "id"}, {Name: "weird name"}, {Name: "lower"}}}
	tests := map[string]bool{
		"1": true, "-1": true, "'id'": true, "NULL": true, "[1, 2]": true, "CAST('x', 'LowCardinality(String)')": true, "true": true,
		"toDate('2020-01-01')": true, "lower('X')": true, "defaultValueOfTypeName('String')": true, "(1, 'a')": true,
		"id + 1": false, "`weird name`": false, "now()": false, "toDate(now())": false, "rand()": false, "generateUUIDv4()": false,
		"hostName()": false, "today()": false, "dictGet('d', 'a', 1)": false, "anything_new(1)": false, "lower": false,
		"toUInt64(rand64())": false, "'open": false, "concat('a', toString(id))": false, "TODAY ()": false,
	}
	for expr, want := range tests {
		require.Equal(t, want, isConstant(expr, table), expr)
	}
}

func TestLayoutsAreCompared(t *testing.T) {
	_, a := offline(Config{}, 2, 2)
	_, b := offline(Config{}, 2, 2)
	require.True(t, a.SameShards(b))
	require.True(t, a.SameTable(b))
	b.Shards[1].Weight = 0
	require.False(t, a.SameShards(b))
	b.Table.Columns = append(b.Table.Columns, TableColumn{Name: "new", Type: "UInt8"})
	require.False(t, a.SameTable(b))
}

func TestGrantIsReadOutOfTheException(t *testing.T) {
	err := typed(fmt.Errorf("handle packet: %w", &ch.Exception{
		Code: proto.ErrAccessDenied, Name: "DB::Exception",
		Message: "DB::Exception: w: Not enough privileges. To execute this query, it's necessary to have the grant SELECT(name) ON system.tables. (ACCESS_DENIED)",
	}), "w`", "a:9000")
	var privilege *PrivilegeError
	require.ErrorAs(t, err, &privilege)
	require.Equal(t, "GRANT SELECT(name) ON system.tables TO `w\\``", privilege.Run)
	require.True(t, Fatal(err))

	err = typed(&ch.Exception{Code: proto.ErrAuthenticationFailed}, "w", "a:9000")
	var auth *AuthenticationError
	require.ErrorAs(t, err, &auth)
	require.ErrorIs(t, typed(errDown, "w", "a:9000"), errDown)
}

func TestShardsWhoseEveryReplicaIsWritten(t *testing.T) {
	_, l := offline(Config{}, 2, 1)
	require.Nil(t, l.WriteEach())
	l.Shards[0].InternalReplication, l.Shards[1].InternalReplication = false, false
	require.Equal(t, []uint32{1}, l.WriteEach(), "a single replica is no matter")
}

func TestFatal(t *testing.T) {
	auth := &AuthenticationError{User: "u", Address: "a:1", Err: errDown}
	tests := map[string]struct {
		err  error
		want bool
	}{
		"nothing":                  {nil, false},
		"any error":                {errDown, false},
		"wrapped":                  {fmt.Errorf("discovering: %w", &AddressError{Address: "a:1", Err: auth}), true},
		"some refuse":              {&UnavailableError{Shard: 1, Attempts: []error{auth, errDown}}, false},
		"all refuse":               {&UnavailableError{Shard: 1, Attempts: []error{auth, &CircuitOpenError{Cause: auth}}}, true},
		"nobody was there":         {&UnreachableError{}, false},
		"one of several checks":    {errors.Join(&UnavailableError{Attempts: []error{errDown}}, &CheckError{}), true},
		"several that will pass":   {errors.Join(errDown, &StalledError{}), false},
		"a recorded shard is gone": {fmt.Errorf("resolving: %w", &ShardGoneError{}), true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { require.Equal(t, test.want, Fatal(test.err)) })
	}
}
