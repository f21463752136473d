package insert

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
)

// Under free_space a shard's weight is its free space, in parts of a thousand of the largest one's. The weights are part of the layout,
// and so of what is pinned for a range: a range that is written again goes where it went before, however full the disks are by then.

// spaceAge is how long the weights are used.
const spaceAge = time.Minute

// fineness is the weight of the shard with the most free space.
const fineness = 1000

// spaceIsOld tells whether it is time to look at the disks again.
func (w *Writer) spaceIsOld(t *target) bool {
	return w.opts.Strategy == StrategyFreeSpace && time.Since(t.weighed) > spaceAge
}

// weighedBySpace is the layout with weights that follow the free space. Shards of weight 0 stay out.
func (w *Writer) weighedBySpace(ctx context.Context, l *cluster.Layout) (*cluster.Layout, error) {
	free, err := w.opts.Cluster.FreeSpace(ctx, l)
	if err != nil {
		return nil, fmt.Errorf("weighing the shards by their free space: %w", err)
	}
	weighed := *l
	weighed.Shards = slices.Clone(l.Shards)
	for i, weight := range spaceWeights(free, l.Weights()) {
		weighed.Shards[i].Weight = weight
	}
	return &weighed, nil
}

// spaceWeights scales free bytes to weights.
func spaceWeights(free []uint64, configured []uint32) []uint32 {
	var most uint64
	for i, n := range free {
		if configured[i] > 0 {
			most = max(most, n)
		}
	}
	if most == 0 {
		return configured // nothing tells them apart, and the servers say what is wrong
	}
	weights := make([]uint32, len(free))
	for i, n := range free {
		if configured[i] > 0 {
			weights[i] = uint32(float64(n) / float64(most) * fineness)
		}
	}
	return weights
}
