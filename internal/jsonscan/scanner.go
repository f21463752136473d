package jsonscan

import (
	"encoding/binary"
	"math"
)

// Scanner finds the fields of one Fields in document after document. It is the scratch of one goroutine, and not safe for
// concurrent use.
type Scanner struct {
	f       *Fields
	names   []names // per node; empty where the node has no members
	doc     []byte
	spans   []Span
	unknown []Span
	left    int      // paths without a value yet, counted under StopEarly
	visit   uint64   // number of objects entered so far, over all documents
	stack   []uint64 // a bit per open bracket, see skip
	scratch []byte   // the unescaped form of a name
	err     error
}

// A position below 0, returned in place of where a value ends, ends the scan.
const (
	failed  = -1 // Scanner.err says why
	stopped = -2 // every path has its value and the rest is not wanted
)

// NewScanner returns a scanner for one goroutine.
func (f *Fields) NewScanner() *Scanner {
	s := &Scanner{f: f, names: make([]names, len(f.nodes))}
	for i := range f.nodes {
		if i == 0 || len(f.nodes[i].members) > 0 {
			s.names[i] = newNames(f, i)
		}
	}
	return s
}

// Scan reads one document, which must be a single JSON object with nothing but white space around it, and sets spans[i] for
// each path i; a path that leads nowhere gets the zero Span, of kind Missing. len(spans) must be at least the number of paths.
// The error is a *SyntaxError, a *DuplicateError, ErrNotObject or ErrTooLarge, and the spans mean nothing then. The document
// is not kept, except that Unknown speaks of it.
func (s *Scanner) Scan(doc []byte, spans []Span) error {
	if len(doc) > math.MaxInt32 {
		return ErrTooLarge
	}
	spans = spans[:s.f.paths]
	clear(spans)
	s.doc, s.spans, s.unknown, s.err = doc, spans, s.unknown[:0], nil
	defer func() { s.doc, s.spans = nil, nil }()
	s.left = len(spans)
	p := skipSpace(doc, 0)
	if p == len(doc) || doc[p] != '{' {
		if _, err := s.single(p); err != nil {
			return err
		}
		return ErrNotObject
	}
	p = s.object(0, p+1, 1)
	if p >= 0 {
		if p = skipSpace(doc, p); p < len(doc) {
			p = s.fail(p, "unexpected text after the document")
		}
	}
	if p == failed {
		return s.err
	}
	return nil
}

// Value checks a document that is one JSON value of any kind, with nothing but white space around it, and returns where the value
// stands. The errors are those of Scan, without ErrNotObject.
func Value(doc []byte) (Span, error) {
	if len(doc) > math.MaxInt32 {
		return Span{}, ErrTooLarge
	}
	s := Scanner{f: &Fields{opts: Options{MaxDepth: DefaultMaxDepth}}, doc: doc}
	return s.single(skipSpace(doc, 0))
}

// single reads the document as one value in which no field is wanted.
func (s *Scanner) single(p int) (Span, error) {
	end, kind := s.any(p, 0)
	if end >= 0 {
		if rest := skipSpace(s.doc, end); rest < len(s.doc) {
			end = s.fail(rest, "unexpected text after the document")
		}
	}
	if end < 0 {
		return Span{}, s.err
	}
	return spanOf(p, end, kind), nil
}

// Unknown returns where the names of the top-level members stand that no path of the last scanned document leads to, in the
// order of the document; a name given twice is there twice. The slice is valid until the next Scan. It is empty unless
// Options.TrackUnknown is set.
func (s *Scanner) Unknown() []Span { return s.unknown }

func (s *Scanner) fail(offset int, reason string) int {
	s.err = &SyntaxError{Offset: offset, Reason: reason}
	return failed
}

// object reads an object that belongs to a node, from behind its brace to behind its closing one.
//
// The loop is written for the member that comes where it is expected, between two commas without white space: that path makes
// no call for a string, and looks at each byte that may differ once. What fails one of its tests goes on to a method that takes
// in the unusual as well.
func (s *Scanner) object(at int32, p, depth int) int {
	doc, t := s.doc, &s.names[at]
	s.visit++
	visit := s.visit
	if p = skipSpace(doc, p); p < len(doc) && doc[p] == '}' {
		return p + 1
	}
	entries := t.entries[:cap(t.entries)] // which no learning moves
	prev := &entries[headEntry]
	for {
		e, nameAt := &entries[prev.next], p
	name:
		tail := p + int(e.tailAt)
		if p >= 0 && p <= len(doc)-8 && tail >= 0 && tail <= len(doc)-8 && e.match == byEnds &&
			((binary.LittleEndian.Uint64(doc[p:p+8])^e.head)|(binary.LittleEndian.Uint64(doc[tail:tail+8])^e.tail))&e.mask == 0 {
			p += int(e.size)
			prev = e
		} else if text := skipSpace(doc, p); text > p {
			p = text
			goto name
		} else if e, p = s.lookup(t, prev, p); p < 0 {
			return p
		} else if e != &entries[anonymousEntry] {
			prev = e
		}
		if uint(p) < uint(len(doc)) && doc[p] == ':' {
			p++
		} else if p = s.colon(p); p < 0 {
			return p
		}
		if e.seen == visit && !s.again(t, e, nameAt) {
			return failed
		}
		e.seen = visit
	value:
		switch {
		case e.deep:
			p = s.deep(e, nameAt, p, depth)
		case uint(p) < uint(len(doc)) && doc[p] == '"':
			start, kind := p+1, String
			for p = start; ; p += 8 {
				if m := specials(word(doc, p)); m != 0 {
					p += firstByte(m)
					break
				}
			}
			if uint(p) >= uint(len(doc)) || doc[p] != '"' {
				if p, kind = s.string(p); p < 0 {
					return p
				}
			}
			if e.span >= 0 {
				s.spans[e.span] = Span{int32(start), int32(p), kind}
			}
			p++
		case p < len(doc) && doc[p] == ' ':
			p++
			goto value
		default:
			p = s.other(e.span, p, depth)
		}
		if uint(p) < uint(len(doc)) && doc[p] == ',' {
			p++
			continue
		}
		var more bool
		if p, more = s.afterMember(p); !more {
			return p
		}
	}
}

// deep reads a value of which there is more to note than one span.
func (s *Scanner) deep(e *entry, nameAt, p, depth int) int {
	p = skipSpace(s.doc, p)
	if e.node >= 0 {
		return s.value(e.node, p, depth)
	}
	s.noteUnknown(nameAt)
	p, _ = s.any(p, depth)
	return p
}

// other reads a value that did not turn out to be a string at once, and notes its span if that is wanted.
func (s *Scanner) other(span int32, p, depth int) int {
	if p < len(s.doc) && s.doc[p]-'0' <= 9 {
		end := numberEnd(s.doc, p)
		if end < 0 {
			return s.fail(^end, "invalid number")
		}
		if span >= 0 {
			s.spans[span] = Span{int32(p), int32(end), Number}
		}
		return end
	}
	p = skipSpace(s.doc, p)
	end, kind := s.any(p, depth)
	if end >= 0 && span >= 0 {
		s.spans[span] = spanOf(p, end, kind)
	}
	return end
}

// spanOf is the span of the value from start to end, quotes included.
func spanOf(start, end int, kind Kind) Span {
	if kind == String || kind == Escaped {
		start++
		end--
	}
	return Span{Start: int32(start), End: int32(end), Kind: kind}
}

// afterMember steps over white space and the comma or closing brace behind a member, and says whether another one must follow.
func (s *Scanner) afterMember(p int) (end int, more bool) {
	if p < 0 {
		return p, false
	}
	p = skipSpace(s.doc, p)
	if p == len(s.doc) || s.doc[p] != ',' && s.doc[p] != '}' {
		return s.fail(p, "expected a comma or a closing brace after a member"), false
	}
	return p + 1, s.doc[p] == ','
}

// colon steps over white space and the colon behind a name.
func (s *Scanner) colon(p int) int {
	if p = skipSpace(s.doc, p); p == len(s.doc) || s.doc[p] != ':' {
		return s.fail(p, "expected a colon after a member's name")
	}
	return p + 1
}

// lookup reads a member's name that is not, as far as the object's loop can see, the one predicted, finds its entry, and corrects
// the prediction. It returns the position behind the name.
func (s *Scanner) lookup(t *names, prev *entry, p int) (e *entry, end int) {
	first := word(s.doc, p)
	e = &t.entries[prev.next]
	if (first^e.head)&e.mask == 0 && t.matches(e, s.doc, p) {
		return e, p + int(e.size)
	}
	// A member that is left out now and then is stepped over without unlearning it.
	if e = &t.entries[e.next]; (first^e.head)&e.mask == 0 && t.matches(e, s.doc, p) {
		return e, p + int(e.size)
	}
	if p == len(s.doc) || s.doc[p] != '"' {
		return nil, s.fail(p, "expected the name of a member")
	}
	end, kind := plainEnd(s.doc, p+1), String
	if end == len(s.doc) || s.doc[end] != '"' {
		if end, kind = s.string(end); end < 0 {
			return nil, end
		}
	}
	id := int32(anonymousEntry)
	if kind == String {
		if id = t.find(s.doc, p, end+1-p); id == 0 {
			id = t.learn(s.doc[p+1 : end])
		}
	} else if known := s.findEscaped(t, s.doc[p+1:end]); known != 0 {
		id = known
	}
	if id != anonymousEntry {
		prev.next = id
	}
	return &t.entries[id], end + 1
}

// findEscaped returns the entry of a name with escapes, or 0.
func (s *Scanner) findEscaped(t *names, raw []byte) int32 {
	s.scratch, _ = Unescape(append(s.scratch[:0], '"'), raw)
	s.scratch = append(s.scratch, '"')
	return t.find(s.scratch, 0, len(s.scratch))
}
