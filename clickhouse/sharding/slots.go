package sharding

import (
	"fmt"
	"math"
	"slices"
)

// Slots maps the value of a sharding key to a shard: modulo the sum of the weights, then half-open intervals as wide
// as each weight, in shard order. A shard of weight 0 has no interval. Immutable.
//
// The rule is that of ClickHouse 26.7: src/Interpreters/createBlockSelector.cpp over Cluster::getSlotToShard.
type Slots struct {
	total uint64
	table []uint16 // slot → shard while the sum of weights is small enough to look up
	ends  []uint64 // end of each shard's interval
}

// maxSlotTable bounds the memory of the look-up table; above it the interval is searched for.
const maxSlotTable = 1 << 14

// NewSlots takes one weight per shard, in shard order.
func NewSlots(weights []uint32) (*Slots, error) {
	s := &Slots{ends: make([]uint64, len(weights))}
	for i, w := range weights {
		s.total += uint64(w)
		s.ends[i] = s.total
	}
	if s.total == 0 {
		return nil, ErrNoWeight
	}
	if s.total > math.MaxUint32 {
		return nil, fmt.Errorf("the shards' weights add up to %d, ClickHouse holds at most %d", s.total, uint32(math.MaxUint32))
	}
	if s.total > maxSlotTable || len(weights) > math.MaxUint16 {
		return s, nil
	}
	s.table = make([]uint16, 0, s.total)
	for i, w := range weights {
		for range w {
			s.table = append(s.table, uint16(i))
		}
	}
	return s, nil
}

// Shard returns the index, from 0, of the shard that owns v.
func (s *Slots) Shard(v uint64) int {
	slot := v % s.total
	if s.table != nil {
		return int(s.table[slot])
	}
	i, found := slices.BinarySearch(s.ends, slot)
	if !found {
		return i
	}
	// slot equals the end of interval i, which is half-open: the owner is the next shard that has an interval.
	for s.ends[i] == slot {
		i++
	}
	return i
}

// Shards is the number of shards, those of weight 0 included.
func (s *Slots) Shards() int { return len(s.ends) }
