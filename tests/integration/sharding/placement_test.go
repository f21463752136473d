package sharding

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/sharding"
)

// placement is one table per shard, which Distributed tables with one key each insert into.
type placement struct {
	d     *dataset
	set   int
	table string
	keys  []*key
}

func newPlacement(t *testing.T, client *ch.Client, d *dataset, set int) *placement {
	t.Helper()
	p := &placement{d: d, set: set, table: strings.TrimPrefix(d.table, "rows.")}
	for shard := range weightSets[set] {
		p.run(t, client, fmt.Sprintf("CREATE TABLE %s.%s %s ENGINE = Memory", database(shard), p.table, p.columns()))
	}
	p.run(t, client, p.distributed("placed", "0"))
	return p
}

func (p *placement) run(t *testing.T, client *ch.Client, query string) {
	t.Helper()
	require.NoError(t, client.Do(t.Context(), ch.Query{Body: query, Settings: suspicious}), query)
}

// columns are those of the rows and the number of the key that placed them.
func (p *placement) columns() string {
	return fmt.Sprintf("(key UInt32, id UInt32, x %s, y %s)", p.d.typ, p.d.typ)
}

func (p *placement) distributed(name, key string) string {
	return fmt.Sprintf("CREATE TABLE %s.%s %s ENGINE = Distributed(%s, '', %s, %s)", name, p.table, p.columns(), clusterName(p.set), p.table, key)
}

// insert puts the rows through a Distributed table with the key.
func (p *placement) insert(t *testing.T, client *ch.Client, k *key) {
	t.Helper()
	p.run(t, client, p.distributed("keyed", k.expr))
	q := ch.Query{Settings: append([]ch.Setting{
		{Key: "distributed_foreground_insert", Value: "1", Important: true},
		{Key: "network_compression_method", Value: "NONE", Important: true},
	}, suspicious...)}
	q.Body = fmt.Sprintf("INSERT INTO keyed.%s SELECT %d, id, x, y FROM %s", p.table, len(p.keys), p.d.table) + k.validRows(&q)
	require.NoError(t, client.Do(t.Context(), q), q.Body)
	p.run(t, client, "DROP TABLE keyed."+p.table)
	p.keys = append(p.keys, k)
}

// compare holds the shard of every inserted row against ours.
func (p *placement) compare(t *testing.T, client *ch.Client) {
	t.Helper()
	weights := make([]uint32, len(weightSets[p.set]))
	for i, w := range weightSets[p.set] {
		weights[i] = uint32(w)
	}
	slots, err := sharding.NewSlots(weights)
	require.NoError(t, err)
	var keys, ids, shards proto.ColUInt32
	seen, differ := make([]int, len(p.keys)), make([]int, len(p.keys))
	require.NoError(t, client.Do(t.Context(), ch.Query{
		Body:   fmt.Sprintf("SELECT key, id, _shard_num AS shard FROM placed.%s", p.table),
		Result: proto.Results{{Name: "key", Data: &keys}, {Name: "id", Data: &ids}, {Name: "shard", Data: &shards}},
		OnResult: func(context.Context, proto.Block) error {
			for i, id := range ids {
				k := p.keys[keys[i]]
				seen[keys[i]]++
				if want := slots.Shard(k.want[id]) + 1; int(shards[i]) != want {
					if differ[keys[i]]++; differ[keys[i]] < 3 {
						t.Errorf("%s of %s, weights %v, seed %d: for %s ClickHouse inserts into shard %d, we into %d", k.expr, p.d.typ, weights, *seed, show(p.d.rows[id]), shards[i], want)
					}
				}
			}
			return nil
		},
	}))
	for i, k := range p.keys {
		require.Equal(t, k.valued, seen[i], k.expr)
	}
	for shard := range weightSets[p.set] {
		p.run(t, client, fmt.Sprintf("DROP TABLE %s.%s", database(shard), p.table))
	}
	p.run(t, client, "DROP TABLE placed."+p.table)
}
