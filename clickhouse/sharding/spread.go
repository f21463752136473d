package sharding

import (
	"math/bits"
	"slices"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
)

// NewRoundRobin gives each shard as many consecutive offsets of a partition as its weight, in shard order, over and
// over. Partitions start at different places.
func NewRoundRobin(slots *Slots) Router { return roundRobin{slots} }

type roundRobin struct{ slots *Slots }

func (roundRobin) Columns() []string { return nil }

func (r roundRobin) Shard(_ []column.Value, rec Record) (int, error) {
	// The start is reduced first: adding to a full 64-bit hash would wrap in the middle of a round.
	return r.slots.Shard(rec.stream()%r.slots.total + uint64(rec.Offset)), nil
}

// NewRandom spreads rows evenly by weight, by a hash of the record.
func NewRandom(slots *Slots) Router { return random{slots} }

type random struct{ slots *Slots }

func (random) Columns() []string { return nil }

func (r random) Shard(_ []column.Value, rec Record) (int, error) {
	return r.slots.Shard(rec.draw()), nil
}

// NewFreeSpace spreads rows in proportion to the free bytes of each shard as the layout pinned them, by a hash of the
// record. A shard without free bytes gets nothing.
func NewFreeSpace(free []uint64) (Router, error) {
	r := &freeSpace{ends: make([]uint64, len(free))}
	shift := overflowShift(free)
	for i, n := range free {
		r.total += n >> shift
		r.ends[i] = r.total
	}
	if r.total == 0 {
		return nil, ErrNoWeight
	}
	return r, nil
}

// overflowShift is how many low bits to give up so that the sum fits 64 bits.
func overflowShift(free []uint64) uint {
	var hi, lo, carry uint64
	for _, n := range free {
		lo, carry = bits.Add64(lo, n, 0)
		hi += carry
	}
	return uint(bits.Len64(hi))
}

type freeSpace struct {
	total uint64
	ends  []uint64
}

func (*freeSpace) Columns() []string { return nil }

func (r *freeSpace) Shard(_ []column.Value, rec Record) (int, error) {
	// The high word of the product is the draw scaled to [0, total), without a modulo's bias for large totals.
	point, _ := bits.Mul64(rec.draw(), r.total)
	i, _ := slices.BinarySearchFunc(r.ends, point, func(end, p uint64) int {
		if end <= p {
			return -1
		}
		return 1
	})
	return i, nil
}
