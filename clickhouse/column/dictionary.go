package column

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
)

// dictionary numbers distinct byte strings in the order they come, and keeps them as a column of ClickHouse's wire form.
// Its hash table uses open addressing with linear probing; since entries are only ever taken out in the reverse order of
// their arrival, a slot can simply be emptied.
type dictionary struct {
	data    []byte
	entries []entry
	table   []uint32 // entry + 1, 0 for none; its length is a power of two
	width   int      // of values of a fixed width; 0: each stands behind its length
}

// entry is one value: where it stands in data, and the row that brought it.
type entry struct {
	hash       uint32
	start, end uint32
	first      int32
}

const smallestTable = 64

// seed is shared: the numbering does not depend on it.
var seed = maphash.MakeSeed()

func (d *dictionary) reset(width int) {
	d.width = width
	d.data, d.entries = d.data[:0], d.entries[:0]
	if d.table == nil {
		d.table = make([]uint32, smallestTable)
	}
	clear(d.table)
}

// reserve makes entry 0, which no look-up finds.
func (d *dictionary) reserve(text []byte) {
	d.add(text, 0, -1)
}

// index returns the number of text, which row uses.
func (d *dictionary) index(text []byte, row int) int {
	hash := uint32(maphash.Bytes(seed, text))
	mask := uint32(len(d.table) - 1)
	slot := hash & mask
	for ; d.table[slot] != 0; slot = (slot + 1) & mask {
		i := d.table[slot] - 1
		if e := &d.entries[i]; e.hash == hash && bytes.Equal(d.data[e.start:e.end], text) {
			return int(i)
		}
	}
	i := d.add(text, hash, int32(row))
	d.table[slot] = uint32(i) + 1
	if len(d.entries)*2 > len(d.table) {
		d.grow()
	}
	return i
}

func (d *dictionary) add(text []byte, hash uint32, row int32) int {
	if d.width == 0 {
		d.data = binary.AppendUvarint(d.data, uint64(len(text)))
	}
	start := len(d.data)
	d.data = append(d.data, text...)
	d.entries = append(d.entries, entry{hash: hash, start: uint32(start), end: uint32(len(d.data)), first: row})
	return len(d.entries) - 1
}

func (d *dictionary) grow() {
	d.table = make([]uint32, len(d.table)*2)
	mask := uint32(len(d.table) - 1)
	for i := range d.entries {
		if d.entries[i].first < 0 {
			continue
		}
		slot := d.entries[i].hash & mask
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
		e := d.entries[n-1]
		slot := e.hash & mask
		for d.table[slot] != uint32(n) {
			slot = (slot + 1) & mask
		}
		d.table[slot] = 0
		start := int(e.start)
		if d.width == 0 {
			start -= uvarintLen(uint64(e.end - e.start))
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
