package jsonscan

// Elements walks over the elements of an array of a document that Scan has accepted. It is a value; copies walk on their own.
type Elements struct{ walk }

// Members walks over the members of an object of a document that Scan has accepted, in the order of the document, duplicates
// included.
type Members struct{ walk }

// NewElements starts at the first element of the array; a span of any other kind has no elements.
func NewElements(doc []byte, array Span) Elements {
	if array.Kind != Array {
		return Elements{}
	}
	return Elements{newWalk(doc, array)}
}

// NewMembers starts at the first member of the object; a span of any other kind has no members.
func NewMembers(doc []byte, object Span) Members {
	if object.Kind != Object {
		return Members{}
	}
	return Members{newWalk(doc, object)}
}

// Next returns the next element; false means that there is none.
func (e *Elements) Next() (Span, bool) {
	if !e.more() {
		return Span{}, false
	}
	return e.value(), true
}

// Next returns the name and value of the next member; false means that there is none. The name is of kind String or Escaped.
func (m *Members) Next() (name, value Span, ok bool) {
	if !m.more() {
		return Span{}, Span{}, false
	}
	name = m.value()
	m.p = skipSpace(m.doc, m.p) + 1 // the colon
	m.p = skipSpace(m.doc, m.p)
	return name, m.value(), true
}

// walk is a position in front of an element, of the comma before it, or of the end. It leans on the document being valid: on
// one that is not it may give wrong spans or panic.
type walk struct {
	doc []byte // up to the closing bracket, without it
	p   int
}

func newWalk(doc []byte, span Span) walk {
	return walk{doc: doc[: span.End-1 : span.End-1], p: int(span.Start) + 1}
}

func (w *walk) more() bool {
	w.p = skipSpace(w.doc, w.p)
	if w.p < len(w.doc) && w.doc[w.p] == ',' {
		w.p = skipSpace(w.doc, w.p+1)
	}
	return w.p < len(w.doc)
}

// value returns the value at the position and moves behind it.
func (w *walk) value() Span {
	start := w.p
	kind := Number
	switch w.doc[start] {
	case '"':
		end, kind := stringEnd(w.doc, start+1)
		w.p = end + 1
		return Span{Start: int32(start + 1), End: int32(end), Kind: kind}
	case '{':
		kind = Object
		w.p = bracketEnd(w.doc, start)
	case '[':
		kind = Array
		w.p = bracketEnd(w.doc, start)
	case 't', 'f', 'n':
		w.p, kind = literalEnd(w.doc, start)
	default:
		w.p = numberEnd(w.doc, start)
	}
	return Span{Start: int32(start), End: int32(w.p), Kind: kind}
}

// bracketEnd returns the position behind the bracket that closes the one at p.
func bracketEnd(doc []byte, p int) int {
	for open := 0; ; p++ {
		switch doc[p] {
		case '"':
			p, _ = stringEnd(doc, p+1)
		case '{', '[':
			open++
		case '}', ']':
			if open--; open == 0 {
				return p + 1
			}
		}
	}
}
