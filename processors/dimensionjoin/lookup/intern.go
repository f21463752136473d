package lookup

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"math/bits"
	"math/rand/v2"
	"time"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/cache"
)

// slot is a distinct key.
type slot struct {
	entry      *cache.Entry
	until      int64 // the entry is fresh before that
	start, end int32 // of the key in the interner's text
	state      cache.State
	loaded     bool // read for this batch
	stale      bool // joined though past its ttl
}

// interner gives each distinct key a number, so that it is looked up once however often it occurs: clickstreams are skewed. It
// is scratch, and remembers the keys of one batch for the next ones, for a moment: see recall.
type interner struct {
	cells []cell // a power of two
	epoch uint32 // of what is remembered; older cells are free
	slots []slot
	text  []byte // the keys

	batch   uint32
	pending []int32 // slots of this batch that were not fresh when they were looked up
	born    int64   // when remembering began, and the view's epoch then
	view    uint64
}

// cell is a place of the hash table. It is half a line of the processor's cache, and tells a short key by itself.
type cell struct {
	words
	epoch uint32
	batch uint32 // that wanted the key last
	slot  int32
}

// words are what keys are told apart by: the first and last bytes of a short one, between them all of it, and the hash of a long one,
// whose text has to be compared as well.
type words struct {
	head, tail uint64
	length     int32
}

const shortKey = 16 // bytes

func newInterner() interner {
	t := interner{cells: make([]cell, 64)}
	t.reset()
	return t
}

// What is remembered is forgotten after a moment, so that the cache sees which keys are in use, and when it becomes much. An entry's own
// time is kept to meanwhile.
const (
	memoryTime = int64(5 * time.Second)
	memorySize = 1 << 15 // keys
	memoryText = 4 << 20 // bytes of them
)

// recall begins a batch, with what is remembered of earlier ones unless something has changed since.
func (t *interner) recall(now int64, viewEpoch uint64) {
	t.batch++
	t.pending = t.pending[:0]
	wrapped := t.batch == 0
	if wrapped {
		t.batch = 1
	}
	if wrapped || viewEpoch != t.view || now-t.born > memoryTime || now < t.born || len(t.slots) > memorySize || len(t.text) > memoryText {
		t.reset()
		t.born, t.view = now, viewEpoch
	}
}

// reset forgets everything, rows included.
func (t *interner) reset() {
	clear(t.slots)
	t.slots = t.slots[:0]
	if cap(t.text) > 2*memoryText {
		t.text = nil
	}
	t.text = t.text[:0]
	t.pending = t.pending[:0]
	t.born = math.MinInt64 / 2
	t.epoch++
	if t.epoch == 0 { // wrapped around: old cells would look like new ones
		clear(t.cells)
		t.epoch = 1
	}
}

// The seeds keep whoever writes the events from choosing keys that collide.
var (
	seed         = maphash.MakeSeed()
	seedA, seedB = rand.Uint64() | 1, rand.Uint64() | 1
)

func wordsOf(key []byte) words {
	n := len(key)
	switch {
	case n > shortKey:
		return words{maphash.Bytes(seed, key), 0, int32(n)}
	case n >= 8: // the two overlap
		return words{binary.LittleEndian.Uint64(key), binary.LittleEndian.Uint64(key[n-8:]), int32(n)}
	case n >= 4:
		return words{uint64(binary.LittleEndian.Uint32(key)), uint64(binary.LittleEndian.Uint32(key[n-4:])), int32(n)}
	}
	w := words{length: int32(n)}
	for i, c := range key {
		w.head |= uint64(c) << (8 * i)
	}
	return w
}

func (w *words) hash() uint32 {
	hi, lo := bits.Mul64(w.head^seedA, w.tail^seedB^uint64(w.length))
	return uint32(hi ^ lo)
}

// find returns the key's number, and whether this batch asks for it the first time.
func (t *interner) find(key []byte) (n int32, first bool) {
	w := wordsOf(key)
	mask := uint32(len(t.cells) - 1)
	for i := w.hash() & mask; ; i = (i + 1) & mask {
		c := &t.cells[i]
		if c.epoch != t.epoch {
			return t.add(key, w, c), true
		}
		if c.words == w && (len(key) <= shortKey || string(t.key(c.slot)) == string(key)) {
			first, c.batch = c.batch != t.batch, t.batch
			return c.slot, first
		}
	}
}

// key returns the key of a number. It is valid until the next one is added.
func (t *interner) key(n int32) []byte {
	s := &t.slots[n]
	return t.text[s.start:s.end]
}

func (t *interner) add(key []byte, w words, c *cell) int32 {
	n := int32(len(t.slots))
	*c = cell{w, t.epoch, t.batch, n}
	start := len(t.text)
	t.text = append(t.text, key...)
	t.slots = append(t.slots, slot{start: int32(start), end: int32(len(t.text))})
	if len(t.slots)*2 > len(t.cells) {
		t.grow()
	}
	return n
}

func (t *interner) grow() {
	old := t.cells
	t.cells = make([]cell, 2*len(old))
	mask := uint32(len(t.cells) - 1)
	for _, c := range old {
		if c.epoch != t.epoch {
			continue
		}
		i := c.hash() & mask
		for t.cells[i].epoch == t.epoch {
			i = (i + 1) & mask
		}
		t.cells[i] = c
	}
}
