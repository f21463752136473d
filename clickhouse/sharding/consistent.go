package sharding

import (
	"math/bits"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
)

// NewConsistentHash routes by weighted rendezvous hashing of the key columns: each shard draws a number from the key
// and its own number in the layout, scaled by its weight, and the smallest wins. A shard added at the end of the layout,
// or given more weight, takes its share of the keys from the others; no key moves between the others. A shard of
// weight 0 gets nothing. The arithmetic is in integers, so that every platform gives the same shard.
func NewConsistentHash(columns []string, types []*column.Type, weights []uint32) (Router, error) {
	f, err := keyFunc(columns, types)
	if err != nil {
		return nil, err
	}
	r := &consistentHash{f: f}
	for shard, w := range weights {
		if w > 0 {
			r.shards = append(r.shards, contender{salt: mix64(uint64(shard) + 1), weight: uint64(w), shard: shard})
		}
	}
	if len(r.shards) == 0 {
		return nil, ErrNoWeight
	}
	return r, nil
}

type contender struct {
	salt   uint64
	weight uint64
	shard  int
}

type consistentHash struct {
	f      *Func
	shards []contender
}

func (r *consistentHash) Columns() []string { return r.f.Columns() }

func (r *consistentHash) Shard(vals []column.Value, rec Record) (int, error) {
	key, err := r.f.Eval(vals, rec)
	if err != nil {
		return 0, err
	}
	best := &r.shards[0]
	drawn := negativeLog(mix64(key ^ best.salt))
	for i := 1; i < len(r.shards); i++ {
		c := &r.shards[i]
		n := negativeLog(mix64(key ^ c.salt))
		// n/c.weight < drawn/best.weight, without dividing.
		if less(n, best.weight, drawn, c.weight) {
			best, drawn = c, n
		}
	}
	return best.shard, nil
}

// less compares a·b with c·d in 128 bits.
func less(a, b, c, d uint64) bool {
	hi1, lo1 := bits.Mul64(a, b)
	hi2, lo2 := bits.Mul64(c, d)
	return hi1 < hi2 || hi1 == hi2 && lo1 < lo2
}

const (
	logBits = 10 // the table's resolution
	logUnit = 1 << 40
)

// logTable holds log2(1+i/1024), in units of 2^-40.
var logTable = makeLogTable()

// makeLogTable computes the logarithms bit by bit: squaring doubles the logarithm, and each time the square reaches 2
// there is a 1 bit.
func makeLogTable() (table [1<<logBits + 1]uint64) {
	for i := range table {
		x := uint64(1<<63) + uint64(i)<<(63-logBits) // 1 + i/1024 with 63 bits after the point
		if i == 1<<logBits {
			table[i] = logUnit
			break
		}
		for bit := uint64(logUnit >> 1); bit > 0; bit >>= 1 {
			hi, lo := bits.Mul64(x, x)
			if hi>>63 == 1 { // the square is 2 or more
				table[i] |= bit
				x = hi
				continue
			}
			x = hi<<1 | lo>>63
		}
	}
	return table
}

// negativeLog is −log2(u/2^64) in units of 2^-40, interpolated between the table's entries.
func negativeLog(u uint64) uint64 {
	if u == 0 {
		return 64 * logUnit
	}
	zeros := bits.LeadingZeros64(u)
	fraction := u << (zeros + 1) // below the leading 1
	i := fraction >> (64 - logBits)
	low, high := logTable[i], logTable[i+1]
	step, _ := bits.Mul64(high-low, fraction<<logBits)
	return uint64(zeros+1)*logUnit - (low + step)
}
