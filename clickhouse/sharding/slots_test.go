package sharding

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSlotsAreHalfOpenIntervalsInShardOrder(t *testing.T) {
	for _, tc := range []struct {
		weights []uint32
		want    []int // shard of 0, 1, 2…
	}{
		{[]uint32{1}, []int{0, 0, 0}},
		{[]uint32{1, 1}, []int{0, 1, 0, 1}},
		{[]uint32{1, 2, 0, 3}, []int{0, 1, 1, 3, 3, 3, 0, 1}},
		{[]uint32{0, 0, 2, 0, 1, 0}, []int{2, 2, 4, 2, 2, 4}},
	} {
		s, err := NewSlots(tc.weights)
		require.NoError(t, err)
		require.Equal(t, len(tc.weights), s.Shards())
		for v, want := range tc.want {
			require.Equal(t, want, s.Shard(uint64(v)), "%v of %d", tc.weights, v)
		}
	}
}

func TestSlotsTakeTheValueAsUnsigned(t *testing.T) {
	s, err := NewSlots([]uint32{1, 2, 0, 3})
	require.NoError(t, err)
	require.Equal(t, 3, s.Shard(math.MaxUint64)) // 2^64-1 = 3 modulo 6
	require.Equal(t, 3, s.Shard(math.MaxUint32)) // 2^32-1 = 3 modulo 6
}

// TestSlotsSearchLikeTheTable: large weights are searched for instead of looked up.
func TestSlotsSearchLikeTheTable(t *testing.T) {
	weights := []uint32{0, 700, 1, 0, 0, 299, 0}
	table, err := NewSlots(weights)
	require.NoError(t, err)
	require.NotNil(t, table.table)
	search := &Slots{total: table.total, ends: table.ends}
	for v := range uint64(2500) {
		require.Equal(t, table.Shard(v), search.Shard(v), v)
	}
}

func TestLargeWeights(t *testing.T) {
	s, err := NewSlots([]uint32{1 << 30, 0, 1 << 31})
	require.NoError(t, err)
	require.Nil(t, s.table)
	require.Equal(t, 0, s.Shard(1<<30-1))
	require.Equal(t, 2, s.Shard(1<<30))
	require.Equal(t, 0, s.Shard(1<<30+1<<31))
}

func TestSlotsRefuse(t *testing.T) {
	for _, weights := range [][]uint32{nil, {}, {0}, {0, 0}} {
		_, err := NewSlots(weights)
		require.ErrorIs(t, err, ErrNoWeight)
	}
	_, err := NewSlots([]uint32{math.MaxUint32, 1})
	require.ErrorContains(t, err, "add up to 4294967296")
}
