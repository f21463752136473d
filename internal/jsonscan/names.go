package jsonscan

import "math/bits"

const (
	maxLearned    = 256 // names that no path wants, remembered per object
	maxLearnedLen = 120 // bytes of such a name
)

const (
	headEntry      = 0 // not a name: its successor is the first member
	anonymousEntry = 1 // any unwanted name that is not remembered
)

// names is what a Scanner knows of the members of one object that the paths lead into: the wanted names and, learned from the
// documents, the unwanted ones, each with the name that followed it last time.
type names struct {
	entries []entry
	slots   []int32 // hash table of indexes into entries, 0 for free; its length is a power of two
	text    []byte  // the tokens
	track   bool    // names that no path wants are to be noted
	wanted  int     // entries and text before these are never dropped
	wantedT int
}

// entry is one name. Its token is the name between quotes.
type entry struct {
	head, tail uint64 // first and last eight bytes of the token; both the whole token when it is shorter
	mask       uint64 // of the bytes of head and tail that count
	seen       uint64 // the visit (Scanner.visit) that last met the name
	size       int32  // length of the token
	tailAt     int32  // where tail stands in the token
	textAt     int32  // where the token stands in names.text
	next       int32  // the entry that followed last time
	node       int32  // in Fields.nodes, -1 if not wanted
	span       int32  // where the value's span goes if that is all there is to do, else -1
	deep       bool   // there is more to do with the value than to note its span
	match      match
}

// match says how a token is recognized in a document.
type match uint8

const (
	never      match = iota // not at all: the name needs escapes, so that a document has something else between the quotes
	byEnds                  // head and tail cover it
	byAllWords              // there is more between head and tail
)

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
	t.entries[headEntry] = entry{node: -1, span: -1, deep: t.track, next: anonymousEntry}
	t.entries[anonymousEntry] = t.entries[headEntry]
	for i, m := range n.members {
		e := &t.entries[t.add([]byte(m.name))]
		e.node = m.node
		below := &f.nodes[m.node]
		e.deep = !below.leaf() || len(below.spans) > 1 || f.opts.StopEarly
		if !e.deep {
			e.span = below.spans[0]
		}
		if i == 0 {
			t.entries[headEntry].next = 2
		} else {
			t.entries[1+i].next = int32(2 + i) // the order of the paths is the first guess
		}
	}
	t.wanted, t.wantedT = len(t.entries), len(t.text)
	return t
}

// add makes an entry for a name that has none.
func (t *names) add(name []byte) int32 {
	at := len(t.text)
	t.text = append(t.text, '"')
	t.text = append(t.text, name...)
	t.text = append(t.text, '"')
	head, tail, hash := token(t.text, at, len(t.text)-at)
	e := entry{
		head: head, tail: tail, mask: ^uint64(0), size: int32(len(t.text) - at), textAt: int32(at),
		next: anonymousEntry, node: -1, span: -1, deep: t.track,
	}
	if e.size < 8 {
		e.mask = 1<<(8*e.size) - 1
	} else {
		e.tailAt = e.size - 8
	}
	switch {
	case plainEnd(name, 0) < len(name):
		e.match = never
	case e.size <= 16:
		e.match = byEnds
	default:
		e.match = byAllWords
	}
	id := int32(len(t.entries))
	t.entries = append(t.entries, e)
	t.insert(id, hash)
	return id
}

func (t *names) insert(id int32, hash uint32) {
	mask := uint32(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
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

// find returns the entry whose token, of the given size, stands at p in doc, or 0.
func (t *names) find(doc []byte, p, size int) int32 {
	head, tail, hash := token(doc, p, size)
	mask := uint32(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		id := t.slots[i]
		if id == 0 {
			return 0
		}
		e := &t.entries[id]
		if e.head == head && e.tail == tail && int(e.size) == size && t.sameMiddle(e, doc, p) {
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
		e := &t.entries[id]
		if int(e.next) >= t.wanted {
			e.next = anonymousEntry
		}
		if id > anonymousEntry {
			_, _, hash := token(t.text, int(e.textAt), int(e.size))
			t.insert(int32(id), hash)
		}
	}
}

// matches reports whether the entry's token stands at p, given that its head does.
func (t *names) matches(e *entry, doc []byte, p int) bool {
	return e.match != never && (word(doc, p+int(e.tailAt))^e.tail)&e.mask == 0 && t.sameMiddle(e, doc, p)
}

// sameMiddle compares the words between head and tail.
func (t *names) sameMiddle(e *entry, doc []byte, p int) bool {
	for i := 8; i < int(e.tailAt); i += 8 {
		if word(doc, p+i) != word(t.text, int(e.textAt)+i) {
			return false
		}
	}
	return true
}

// token returns the first and last word of the token at p, as an entry has them, and a hash of all of it. Names are few and
// bounded, so that names made to collide cost no more than a walk over them.
func token(text []byte, p, size int) (head, tail uint64, hash uint32) {
	const k = 0x9e3779b97f4a7c15
	head = word(text, p)
	if size < 8 {
		head &= 1<<(8*size) - 1
		tail = head
	} else {
		tail = word(text, p+size-8)
	}
	h := (head*k ^ bits.RotateLeft64(tail, 32)) + uint64(size)
	for i := 8; i < size-8; i += 8 {
		h = bits.RotateLeft64((h^word(text, p+i))*k, 29)
	}
	return head, tail, uint32(h * k >> 32)
}
