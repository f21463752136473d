package insert

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
)

func TestABatchThatFailedHalfwayFollowsTheShards(t *testing.T) {
	before := &target{layout: &cluster.Layout{Shards: make([]cluster.Shard, 3)}}
	p := progress{layout: before.layout, target: before, cuts: 1, settled: []bool{true, false}}
	j := p.job(nil, before)
	require.True(t, j.whole, "the same blocks, to be recognised by name")
	require.Same(t, before.layout, j.layout)
	require.Equal(t, 1, j.cuts)

	now := &target{layout: &cluster.Layout{Shards: make([]cluster.Shard, 2)}}
	j = p.job(nil, now)
	require.False(t, j.whole)
	require.Same(t, now.layout, j.layout, "a shard that was taken out is not waited for")
	require.Equal(t, 2, j.cuts, "other blocks have other names")
	require.Equal(t, p.settled, j.settled)

	p.target = now // the columns changed within the Write, and the shards before that
	j = p.job(nil, now)
	require.False(t, j.whole)
	require.Same(t, now.layout, j.layout)
}
