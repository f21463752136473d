package column

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
)

// dictionary numbers distinct byte strings in the order they come, and keeps them as a column of ClickHouse's wire form.
// Its hash table uses open addressing with linear probing; since entries are only ever taken out in the reverse order of
// their arrival, a slot can simply be emptied.
//
// Strings of up to sixteen bytes, most of those worth a dictionary, are compared as two words, without a look at data.
type dictionary struct {
	data    []byte
	entries []entry
	table   []uint32 // entry + 1, 0 for none; its length is a power of two
	width   int      // of values of a fixed width; 0: each stands behind its length
}

// entry is one value: its words or hash, where it stands in data, and the row that brought it.
type entry struct {
	key
	start uint32
	first int32 // -1: reserved
}

// key is what values are told apart by first: all of a short value, the hash of a long one. Its length is part of it.
type key struct {
	lo, hi uint64
	length uint32
}

const (
	smallestTable = 64
	shortValue    = 16
)

// The seeds keep whoever writes the events from choosing values that collide. The numbering does not depend on them.
var (
	seed         = maphash.MakeSeed()
	seedA, seedB = rand.Uint64() | 1, rand.Uint64() | 1
)

func keyOf(text []byte) key {
	n := len(text)
	k := key{length: uint32(n)}
	switch {
	case n > shortValue:
		k.lo = maphash.Bytes(seed, text)
	case n > 8:
		k.lo, k.hi = binary.LittleEndian.Uint64(text), binary.LittleEndian.Uint64(text[n-8:])>>(8*(16-n))
	default:
		for i, c := range text {
			k.lo |= uint64(c) << (8 * i)
		}
	}
	return k
}

// keyMasks select the first bytes of two words.
var keyMasks = func() (masks [shortValue + 1][2]uint64) {
	for n := range masks {
		for i := range n {
			masks[n][i/8] |= 0xFF << (i % 8 * 8)
		}
	}
	return masks
}()

// slot is where a key's probe sequence begins.
func (k *key) slot() uint32 {
	hi, lo := bits.Mul64(k.lo^seedA, k.hi^seedB^uint64(k.length))
	return uint32(hi ^ lo)
}

func (d *dictionary) reset(width int) {
	d.width = width
	if d.table == nil {
		d.table = make([]uint32, smallestTable)
	}
	if len(d.entries)*smallestTable < len(d.table) {
		d.forget(0) // a few values in a table that has been large: of rows that failed, which may be all that come
	} else {
		clear(d.table)
	}
	d.data, d.entries = d.data[:0], d.entries[:0]
}

// reserve makes entry 0, which no look-up finds.
func (d *dictionary) reserve(text []byte) { d.add(text, key{}, -1) }

// recall finds a short value within a longer text at the first place to look; -1 says to ask index. Most look-ups end here.
func (d *dictionary) recall(src []byte, start, end int) int {
	n := end - start
	if n > shortValue || start+shortValue > len(src) {
		return -1
	}
	words, m := src[start:start+shortValue], &keyMasks[n]
	k := key{binary.LittleEndian.Uint64(words) & m[0], binary.LittleEndian.Uint64(words[8:]) & m[1], uint32(n)}
	i := d.table[k.slot()&uint32(len(d.table)-1)]
	if i == 0 || d.entries[i-1].key != k {
		return -1
	}
	return int(i - 1)
}

// index returns the number of text, which row uses.
func (d *dictionary) index(text []byte, row int) int {
	k := keyOf(text)
	mask := uint32(len(d.table) - 1)
	slot := k.slot() & mask
	for ; d.table[slot] != 0; slot = (slot + 1) & mask {
		i := d.table[slot] - 1
		if e := &d.entries[i]; e.key == k && (k.length <= shortValue || bytes.Equal(d.data[e.start:][:k.length], text)) {
			return int(i)
		}
	}
	i := d.add(text, k, int32(row))
	d.table[slot] = uint32(i) + 1
	if len(d.entries)*2 > len(d.table) {
		d.grow()
	}
	return i
}

func (d *dictionary) add(text []byte, k key, row int32) int {
	if d.width == 0 {
		d.data = binary.AppendUvarint(d.data, uint64(len(text)))
	}
	start := len(d.data)
	d.data = append(d.data, text...)
	d.entries = append(d.entries, entry{key: k, start: uint32(start), first: row})
	return len(d.entries) - 1
}

func (d *dictionary) grow() {
	d.table = make([]uint32, len(d.table)*2)
	mask := uint32(len(d.table) - 1)
	for i := range d.entries {
		if d.entries[i].first < 0 {
			continue
		}
		slot := d.entries[i].slot() & mask
		for d.table[slot] != 0 {
			slot = (slot + 1) & mask
		}
		d.table[slot] = uint32(i) + 1
	}
}

// forget takes out the values that only rows from the given one on have brought.
func (d *dictionary) forget(rows int) {
	mask := uint32(len(d.table) - 1)
	for n := len(d.entries); n > 0 && int(d.entries[n-1].first) >= rows; n-- {
		e := &d.entries[n-1]
		slot := e.slot() & mask
		for d.table[slot] != uint32(n) {
			slot = (slot + 1) & mask
		}
		d.table[slot] = 0
		start := int(e.start)
		if d.width == 0 {
			start -= uvarintLen(uint64(e.length))
		}
		d.data, d.entries = d.data[:start], d.entries[:n-1]
	}
}

func uvarintLen(u uint64) (n int) {
	for n = 1; u >= 0x80; n++ {
		u >>= 7
	}
	return n
}
