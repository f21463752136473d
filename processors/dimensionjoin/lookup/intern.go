package lookup

import (
	"bytes"
	"hash/maphash"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/cache"
)

// slot is a distinct key of a batch.
type slot struct {
	key    []byte
	entry  *cache.Entry
	state  cache.State
	loaded bool // read for this batch
	stale  bool // joined though past its ttl
}

// interner gives each distinct key of a batch a number, so that it is looked up once however often it occurs: clickstreams
// are skewed. It is scratch that is used for batch after batch.
type interner struct {
	seed  maphash.Seed
	cells []cell // a power of two
	epoch uint32 // of this batch; older cells are free
	slots []slot
	arena []byte // the keys; slots keep the array that they were appended to
}

type cell struct {
	hash  uint32
	epoch uint32
	slot  int32
}

func newInterner() interner {
	return interner{seed: maphash.MakeSeed(), cells: make([]cell, 64)}
}

// reset forgets the last batch, rows included.
func (t *interner) reset() {
	clear(t.slots)
	t.slots = t.slots[:0]
	t.arena = t.arena[:0]
	t.epoch++
	if t.epoch == 0 { // wrapped around: old cells would look like this batch's
		clear(t.cells)
		t.epoch = 1
	}
}

// find returns the key's number, and whether it is new.
func (t *interner) find(key []byte) (n int32, fresh bool) {
	hash := uint32(maphash.Bytes(t.seed, key))
	mask := uint32(len(t.cells) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		c := &t.cells[i]
		if c.epoch != t.epoch {
			return t.add(key, hash, c), true
		}
		if c.hash == hash && bytes.Equal(t.slots[c.slot].key, key) {
			return c.slot, false
		}
	}
}

func (t *interner) add(key []byte, hash uint32, c *cell) int32 {
	n := int32(len(t.slots))
	*c = cell{hash, t.epoch, n}
	start := len(t.arena)
	t.arena = append(t.arena, key...)
	t.slots = append(t.slots, slot{key: t.arena[start:len(t.arena):len(t.arena)]})
	if len(t.slots)*2 > len(t.cells) {
		t.grow()
	}
	return n
}

func (t *interner) grow() {
	old := t.cells
	t.cells = make([]cell, 4*len(old))
	mask := uint32(len(t.cells) - 1)
	for _, c := range old {
		if c.epoch != t.epoch {
			continue
		}
		i := c.hash & mask
		for t.cells[i].epoch == t.epoch {
			i = (i + 1) & mask
		}
		t.cells[i] = c
	}
}
