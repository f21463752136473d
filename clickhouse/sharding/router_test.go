package sharding

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
)

func mustSlots(t testing.TB, weights ...uint32) *Slots {
	t.Helper()
	s, err := NewSlots(weights)
	require.NoError(t, err)
	return s
}

func mustShard(t testing.TB, r Router, vals []column.Value, rec Record) int {
	t.Helper()
	shard, err := r.Shard(vals, rec)
	require.NoError(t, err)
	return shard
}

// everyStrategy is each strategy over shards of weights 1, 2, 0, 3.
func everyStrategy(t testing.TB) map[string]Router {
	t.Helper()
	weights := []uint32{1, 2, 0, 3}
	slots := mustSlots(t, weights...)
	types := []*column.Type{mustType(t, "UInt64")}
	hash, err := NewHash([]string{"k"}, types, slots)
	require.NoError(t, err)
	consistent, err := NewConsistentHash([]string{"k"}, types, weights)
	require.NoError(t, err)
	return map[string]Router{
		"table": NewTable(bindAll(t, "rand()", nil), slots), "hash": hash, "consistent_hash": consistent,
		"round_robin": NewRoundRobin(slots), "random": NewRandom(slots),
	}
}

func TestStrategiesSpreadByWeightAndRepeatThemselves(t *testing.T) {
	const n = 120_000
	again := everyStrategy(t)
	for name, r := range everyStrategy(t) {
		t.Run(name, func(t *testing.T) {
			counts := make([]float64, 4)
			for i := range n {
				vals := []column.Value{{U: uint64(i)}}[:len(r.Columns())]
				rec := Record{Topic: "clicks", Partition: int32(i % 12), Offset: int64(i / 12)}
				shard := mustShard(t, r, vals, rec)
				if other := mustShard(t, again[name], vals, rec); other != shard {
					t.Fatalf("%v goes to shard %d, and to %d in another process", rec, shard, other)
				}
				counts[shard]++
			}
			require.Zero(t, counts[2], "weight 0")
			for shard, share := range []float64{1. / 6, 2. / 6, 0, 3. / 6} {
				require.InDelta(t, share*n, counts[shard], 0.01*n, "shard %d", shard)
			}
		})
	}
}

func TestRoundRobinGoesAroundExactly(t *testing.T) {
	r := NewRoundRobin(mustSlots(t, 1, 2, 0, 3))
	for partition := range int32(20) {
		counts := make([]int, 4)
		for offset := range int64(600) {
			counts[mustShard(t, r, nil, Record{Topic: "clicks", Partition: partition, Offset: offset})]++
		}
		require.Equal(t, []int{100, 200, 0, 300}, counts)
	}
}

func TestRoundRobinPartitionsStartApart(t *testing.T) {
	r := NewRoundRobin(mustSlots(t, 1, 1, 1, 1))
	starts := map[int]bool{}
	for partition := range int32(64) {
		starts[mustShard(t, r, nil, Record{Topic: "clicks", Partition: partition})] = true
	}
	require.Len(t, starts, 4)
}

func TestRecordsDrawApart(t *testing.T) {
	seen := map[uint64]Record{}
	for _, topic := range []string{"", "a", "b", "clicks"} {
		for partition := range int32(20) {
			for offset := range int64(200) {
				rec := Record{topic, partition, offset}
				if other, drawn := seen[rec.draw()]; drawn {
					t.Fatalf("%v draws the number of %v", rec, other)
				}
				seen[rec.draw()] = rec
			}
		}
	}
}

func TestRandTellsItsArgumentsApart(t *testing.T) {
	rec := Record{Topic: "clicks", Offset: 5}
	same, err := bindAll(t, "rand() - rand()", nil).Eval(nil, rec)
	require.NoError(t, err)
	require.Zero(t, same, "ClickHouse evaluates equal calls once")
	other, err := bindAll(t, "rand(1) - rand(2)", nil).Eval(nil, rec)
	require.NoError(t, err)
	require.NotZero(t, other)
}

// shardOfKeys routes n keys.
func shardOfKeys(t *testing.T, n int, weights ...uint32) []int {
	t.Helper()
	r, err := NewConsistentHash([]string{"k"}, []*column.Type{mustType(t, "String")}, weights)
	require.NoError(t, err)
	shards := make([]int, n)
	for i := range shards {
		shards[i] = mustShard(t, r, []column.Value{{B: fmt.Appendf(nil, "user-%d", i)}}, Record{})
	}
	return shards
}

func TestConsistentHashMovesOnlyTheNewShardsShare(t *testing.T) {
	const n = 100_000
	for _, tc := range []struct {
		name          string
		before, after []uint32
		share         float64 // of the keys that move
		grown         int     // the only shard that they move to
	}{
		{"a fifth shard", []uint32{1, 1, 1, 1}, []uint32{1, 1, 1, 1, 1}, 1. / 5, 4},
		{"a shard of weight 3", []uint32{1, 2}, []uint32{1, 2, 3}, 3. / 6, 2},
		{"odd weights", []uint32{100, 100}, []uint32{100, 100, 37}, 37. / 237, 2},
		{"more weight", []uint32{2, 2, 2}, []uint32{2, 4, 2}, 1. / 2 * (1 - 1./3), -1},
		{"a shard that was drained", []uint32{1, 0, 1}, []uint32{1, 1, 1}, 1. / 3, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before, after := shardOfKeys(t, n, tc.before...), shardOfKeys(t, n, tc.after...)
			moved := 0
			for i := range before {
				if before[i] == after[i] {
					continue
				}
				moved++
				if tc.grown >= 0 {
					require.Equal(t, tc.grown, after[i], "key %d moved between shards that did not change", i)
				} else {
					require.Equal(t, 1, after[i])
				}
			}
			if tc.grown >= 0 {
				require.InDelta(t, tc.share*n, moved, 0.01*n)
			} else {
				require.InDelta(t, (0.5-1./3)*n, moved, 0.01*n)
			}
		})
	}
}

func TestNegativeLogIsALogarithm(t *testing.T) {
	for _, u := range []uint64{1, 2, 3, 1 << 20, 1<<20 + 1, 1 << 63, 1<<63 + 12345, math.MaxUint64, 0x123456789abcdef0} {
		want := 64 - math.Log2(float64(u))
		require.InDelta(t, want, float64(negativeLog(u))/logUnit, 2e-6, u)
	}
	require.Equal(t, uint64(64*logUnit), negativeLog(1))
	last := negativeLog(0)
	for u := uint64(1); u < 1<<63; u += u/4 + 1 {
		require.LessOrEqual(t, negativeLog(u), last)
		last = negativeLog(u)
	}
}

func TestRoutersRefuse(t *testing.T) {
	types := []*column.Type{mustType(t, "UInt64")}
	_, err := NewHash(nil, nil, mustSlots(t, 1))
	require.ErrorContains(t, err, "set routing.key")
	_, err = NewHash([]string{"k"}, []*column.Type{mustType(t, "Array(UInt8)")}, mustSlots(t, 1))
	require.ErrorContains(t, err, `type Array(UInt8) of column "k"`)
	_, err = NewConsistentHash([]string{"k"}, types, []uint32{0, 0})
	require.ErrorIs(t, err, ErrNoWeight)
}

func TestHashTakesNullAndOddNames(t *testing.T) {
	r, err := NewHash([]string{"a.b", "na`me"}, []*column.Type{mustType(t, "Nullable(UInt64)"), mustType(t, "LowCardinality(Nullable(String))")}, mustSlots(t, 1, 1, 1))
	require.NoError(t, err)
	require.Equal(t, []string{"a.b", "na`me"}, r.Columns())
	mustShard(t, r, []column.Value{{Null: true}, {Null: true}}, Record{})
}

func TestTableRouterPassesErrorsOn(t *testing.T) {
	r := NewTable(bindAll(t, "7 % x", mustType(t, "UInt8")), mustSlots(t, 1, 1))
	_, err := r.Shard([]column.Value{{}}, Record{})
	var eval *EvalError
	require.ErrorAs(t, err, &eval)
}

func BenchmarkShard(b *testing.B) {
	for name, r := range everyStrategy(b) {
		b.Run(name, func(b *testing.B) {
			vals := []column.Value{{U: 7}}[:len(r.Columns())]
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				mustShard(b, r, vals, Record{Topic: "clicks", Offset: int64(i)})
			}
		})
	}
}
