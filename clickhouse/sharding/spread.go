package sharding

import "github.com/benthos-clickhouse/connect/clickhouse/column"

// NewRoundRobin gives each shard as many consecutive offsets of a partition as its weight, in shard order, over and
// over. Partitions start at different places.
func NewRoundRobin(slots *Slots) Router { return roundRobin{slots} }

type roundRobin struct{ slots *Slots }

func (roundRobin) Columns() []string { return nil }

func (r roundRobin) Shard(_ []column.Value, rec Record) (int, error) {
	// The start is reduced first: adding to a full 64-bit hash would wrap in the middle of a round.
	return r.slots.Shard(rec.stream()%r.slots.total + uint64(rec.Offset)), nil
}

// NewRandom spreads rows evenly by weight, by a hash of the record. It serves free_space too, where the free bytes make the weights.
func NewRandom(slots *Slots) Router { return random{slots} }

type random struct{ slots *Slots }

func (random) Columns() []string { return nil }

func (r random) Shard(_ []column.Value, rec Record) (int, error) {
	return r.slots.Shard(rec.draw()), nil
}
