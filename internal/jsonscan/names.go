package jsonscan

import (
	"encoding/binary"
	"math/bits"
)

const (
	maxLearned    = 256 // names that no path wants, remembered per object
	maxLearnedLen = 120 // bytes of such a name

	headEntry      = 0 // not a name: its successor is the first member
	anonymousEntry = 1 // any unwanted name that is not remembered

	neverMatches = 1 << 30 // a token length that no document has left
)

// names is what a Scanner knows of the members of one object that the paths lead into: the wanted names and, learned from the
// documents, the unwanted ones, each with the name that followed it last time.
type names struct {
	entries []entry
	slots   []int32 // hash table of indexes into entries, 0 for free; its length is a power of two
	text    []byte  // the names, each between quotes
	wanted  int     // entries and text before these are never dropped
	wantedT int
}

// entry is one name. Its token is the name between quotes, as a document has it when the name needs no escape.
type entry struct {
	head, tail uint64 // first and last eight bytes of the token; both the whole token, masked, when it is shorter
	mask       uint64
	size       int32 // length of the token, or neverMatches
	tailAt     int32
	textAt     int32  // where the token stands in names.text
	next       int32  // the entry that followed last time
	node       int32  // in Fields.nodes, -1 if not wanted
	span       int32  // where the value's span goes if that is all there is to do, else -1
	seen       uint64 // the visit (Scanner.visit) that last met the name
}

func newNames(f *Fields, n *node) names {
	slots := 1
	for slots < 2*(len(n.members)+maxLearned+2) {
		slots *= 2
	}
	t := names{
		entries: make([]entry, 2, len(n.members)+2),
		slots:   make([]int32, slots),
	}
	t.entries[headEntry] = entry{node: -1, span: -1, size: neverMatches, next: anonymousEntry}
	t.entries[anonymousEntry] = entry{node: -1, span: -1, size: neverMatches, next: anonymousEntry}
	for _, m := range n.members {
		id := t.add([]byte(m.name))
		e := &t.entries[id]
		e.node = m.node
		if below := &f.nodes[m.node]; below.leaf() && len(below.spans) == 1 {
			e.span = below.spans[0]
		}
		if id > 2 {
			t.entries[id-1].next = id // the order of the paths is the first guess
		}
	}
	if len(n.members) > 0 {
		t.entries[headEntry].next = 2
	}
	t.wanted, t.wantedT = len(t.entries), len(t.text)
	return t
}

// add makes an entry for a name that has none.
func (t *names) add(name []byte) int32 {
	e := entry{node: -1, span: -1, size: int32(len(name) + 2), textAt: int32(len(t.text)), mask: ^uint64(0), next: anonymousEntry}
	t.text = append(t.text, '"')
	t.text = append(t.text, name...)
	t.text = append(t.text, '"')
	token := t.text[e.textAt:]
	if len(token) >= 8 {
		e.tailAt = e.size - 8
		e.head = binary.LittleEndian.Uint64(token)
		e.tail = binary.LittleEndian.Uint64(token[e.tailAt:])
	} else {
		for i, c := range token {
			e.head |= uint64(c) << (8 * i)
		}
		e.tail = e.head
		e.mask = 1<<(8*len(token)) - 1
	}
	if plainEnd(name, 0) < len(name) {
		e.size = neverMatches // a document has it escaped; the raw bytes would be something else
	}
	id := int32(len(t.entries))
	t.entries = append(t.entries, e)
	t.insert(id, name)
	return id
}

func (t *names) insert(id int32, name []byte) {
	mask := uint32(len(t.slots) - 1)
	for i := hashName(name) & mask; ; i = (i + 1) & mask {
		if t.slots[i] == 0 {
			t.slots[i] = id
			return
		}
	}
}

// name returns an entry's name.
func (t *names) name(id int32) []byte {
	at := t.entries[id].textAt + 1
	end := int32(len(t.text))
	if int(id)+1 < len(t.entries) {
		end = t.entries[id+1].textAt
	}
	return t.text[at : end-1]
}

// find returns the entry of the name, or 0.
func (t *names) find(name []byte) int32 {
	mask := uint32(len(t.slots) - 1)
	for i := hashName(name) & mask; ; i = (i + 1) & mask {
		id := t.slots[i]
		if id == 0 || string(t.name(id)) == string(name) {
			return id
		}
	}
}

// learn remembers a name that no path wants. When the room is used up all such names are forgotten: documents with names that
// never come again must not keep out those that do.
func (t *names) learn(name []byte) int32 {
	if len(name) > maxLearnedLen {
		return anonymousEntry
	}
	if len(t.entries) >= t.wanted+maxLearned {
		t.forget()
	}
	return t.add(name)
}

func (t *names) forget() {
	t.entries, t.text = t.entries[:t.wanted], t.text[:t.wantedT]
	clear(t.slots)
	for id := range t.entries {
		if int(t.entries[id].next) >= t.wanted {
			t.entries[id].next = anonymousEntry
		}
		if id > anonymousEntry {
			t.insert(int32(id), t.name(int32(id)))
		}
	}
}

// matches reports whether rest begins with the entry's token.
func (t *names) matches(e *entry, rest []byte) bool {
	if len(rest) < 8 || len(rest) < int(e.size) {
		return false
	}
	diff := (binary.LittleEndian.Uint64(rest) ^ e.head) | (binary.LittleEndian.Uint64(rest[e.tailAt:]) ^ e.tail)
	if diff&e.mask != 0 {
		return false
	}
	return e.size <= 16 || string(rest[8:e.tailAt]) == string(t.text[e.textAt+8:e.textAt+e.tailAt])
}

// hashName mixes a name's words. Names are few and bounded, so that names made to collide cost no more than a walk over them.
func hashName(name []byte) uint32 {
	const k = 0x9e3779b97f4a7c15
	h := uint64(len(name)) * k
	for ; len(name) >= 8; name = name[8:] {
		h = bits.RotateLeft64((h^binary.LittleEndian.Uint64(name))*k, 29)
	}
	var last uint64
	for i, c := range name {
		last |= uint64(c) << (8 * i)
	}
	h = (h ^ last) * k
	return uint32(h >> 32)
}
