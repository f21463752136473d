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

)

// names is what a Scanner knows of the members of one object that the paths lead into: the wanted names and, learned from the
// documents, the unwanted ones, each with the name that followed it last time.
type names struct {
	entries []entry
	slots   []int32 // hash table of indexes into entries, 0 for free; its length is a power of two
	text    []byte  // the names, each between quotes
	track   bool    // names that no path wants are to be noted
	wanted  int     // entries and text before these are never dropped
	wantedT int
}

// entry is one name. Its token is the name between quotes, as a document has it when the name needs no escape.
type entry struct {
	head, tail uint64 // first and last eight bytes of the token; both the whole token, masked, when it is shorter
	mask       uint64
	size       int32 // length of the token
	tailAt     int32
	textAt     int32  // where the token stands in names.text
	next       int32  // the entry that followed last time
	node       int32  // in Fields.nodes, -1 if not wanted
	span       int32  // where the value's span goes if that is all there is to do, else -1
	deep       bool   // there is more to do with the value than to note its span
	seen       uint64 // the visit (Scanner.visit) that last met the name
}

func newNames(f *Fields, at int) names {
	n := &f.nodes[at]
	slots := 1
	for slots < 2*(len(n.members)+maxLearned+2) {
		slots *= 2
	}
	t := names{
		entries: make([]entry, 2, len(n.members)+2+maxLearned), // never grows, so that pointers into it hold
		slots:   make([]int32, slots),
		track:   at == 0 && f.opts.TrackUnknown,
	}
	t.entries[headEntry] = entry{node: -1, span: -1, next: anonymousEntry}
	t.entries[headEntry].neverMatch()
	t.entries[headEntry].deep = t.track
	t.entries[anonymousEntry] = t.entries[headEntry]
	for _, m := range n.members {
		id := t.add([]byte(m.name))
		e := &t.entries[id]
		e.node = m.node
		below := &f.nodes[m.node]
		e.deep = !below.leaf() || len(below.spans) > 1 || f.opts.StopEarly
		if !e.deep {
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
	e := entry{node: -1, span: -1, deep: t.track, size: int32(len(name) + 2), textAt: int32(len(t.text)), mask: ^uint64(0), next: anonymousEntry}
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
		e.neverMatch() // a document has it escaped; the raw bytes would be something else
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
func (t *names) name(e *entry) []byte {
	return t.text[e.textAt+1 : e.textAt+e.size-1]
}

// find returns the entry of the name, or 0.
func (t *names) find(name []byte) int32 {
	mask := uint32(len(t.slots) - 1)
	for i := hashName(name) & mask; ; i = (i + 1) & mask {
		id := t.slots[i]
		if id == 0 || string(t.name(&t.entries[id])) == string(name) {
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
	if len(t.entries) == cap(t.entries) {
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
			t.insert(int32(id), t.name(&t.entries[id]))
		}
	}
}

// neverMatch gives the entry a token that no document has: the same word cannot be both head and tail.
func (e *entry) neverMatch() {
	e.head, e.tail, e.mask, e.tailAt = 0, ^uint64(0), ^uint64(0), 0
}

// matches reports whether the entry's token stands at p.
func (t *names) matches(e *entry, doc []byte, p int) bool {
	diff := (word(doc, p) ^ e.head) | (word(doc, p+int(e.tailAt)) ^ e.tail)
	return diff&e.mask == 0 && (e.size <= 16 || t.matchesMiddle(e, doc, p))
}

// matchesMiddle compares what head and tail do not cover.
func (t *names) matchesMiddle(e *entry, doc []byte, p int) bool {
	for i := 8; i < int(e.tailAt); i += 8 {
		if word(doc, p+i) != word(t.text, int(e.textAt)+i) {
			return false
		}
	}
	return true
}

// hashName mixes a name's words, the last of which may overlap. Names are few and bounded, so that names made to collide cost no
// more than a walk over them.
func hashName(name []byte) uint32 {
	const k = 0x9e3779b97f4a7c15
	h, n := uint64(len(name))*k, len(name)
	switch {
	case n >= 8:
		for i := 0; i < n-8; i += 8 {
			h = bits.RotateLeft64((h^binary.LittleEndian.Uint64(name[i:]))*k, 29)
		}
		h ^= binary.LittleEndian.Uint64(name[n-8:])
	case n >= 4:
		h ^= uint64(binary.LittleEndian.Uint32(name)) | uint64(binary.LittleEndian.Uint32(name[n-4:]))<<32
	case n > 0:
		h ^= uint64(name[0]) | uint64(name[n/2])<<8 | uint64(name[n-1])<<16
	}
	return uint32(h * k >> 32)
}
