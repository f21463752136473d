package lookup

import (
	"bytes"
	"hash/maphash"
	"math"
	"time"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/cache"
)

// slot is a distinct key.
type slot struct {
	key    []byte
	entry  *cache.Entry
	until  int64  // the entry is fresh before that
	batch  uint32 // that the rest is about
	state  cache.State
	loaded bool // read for this batch
	stale  bool // joined though past its ttl
}

// interner gives each distinct key a number, so that it is looked up once however often it occurs: clickstreams are skewed. It
// is scratch, and remembers the keys of one batch for the next ones, for a moment: see recall.
type interner struct {
	seed  maphash.Seed
	cells []cell // a power of two
	epoch uint32 // of what is remembered; older cells are free
	slots []slot
	arena []byte // the keys; slots keep the array that they were appended to

	batch   uint32
	pending []int32 // slots of this batch that were not fresh when they were looked up
	born    int64   // when remembering began, and the view's epoch then
	view    uint64
}

type cell struct {
	hash  uint32
	epoch uint32
	slot  int32
}

func newInterner() interner {
	return interner{seed: maphash.MakeSeed(), cells: make([]cell, 64)}
}

// What is remembered is forgotten after a moment, so that the cache sees which keys are in use, and when it becomes much.
const (
	memoryTime = int64(100 * time.Millisecond)
	memorySize = 1 << 15
)

// recall begins a batch, with what is remembered of earlier ones unless something has changed since.
func (t *interner) recall(now int64, viewEpoch uint64) {
	t.batch++
	t.pending = t.pending[:0]
	wrapped := t.batch == 0
	if wrapped {
		t.batch = 1 // 0 is a slot's before its first batch
	}
	if wrapped || viewEpoch != t.view || now-t.born > memoryTime || now < t.born || len(t.slots) > memorySize {
		t.reset()
		t.born, t.view = now, viewEpoch
	}
}

// reset forgets everything, rows included.
func (t *interner) reset() {
	clear(t.slots)
	t.slots = t.slots[:0]
	t.arena = t.arena[:0]
	t.pending = t.pending[:0]
	t.born = math.MinInt64 / 2
	t.epoch++
	if t.epoch == 0 { // wrapped around: old cells would look like new ones
		clear(t.cells)
		t.epoch = 1
	}
}

// find returns the key's number.
func (t *interner) find(key []byte) int32 {
	hash := uint32(maphash.Bytes(t.seed, key))
	mask := uint32(len(t.cells) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		c := &t.cells[i]
		if c.epoch != t.epoch {
			return t.add(key, hash, c)
		}
		if c.hash == hash && bytes.Equal(t.slots[c.slot].key, key) {
			return c.slot
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
