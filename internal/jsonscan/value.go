package jsonscan

// The parts of a scan below the object loop: values on a path, values on none, and what both are made of. Each takes the
// position where a value begins and returns the one behind it, or failed or stopped.

// value reads a value that belongs to a node and records its span for the paths that end there.
func (s *Scanner) value(at int32, p, depth int) int {
	n := &s.f.nodes[at]
	start := p
	var end int
	var kind Kind
	switch {
	case p < len(s.doc) && s.doc[p] == '{' && len(n.members) > 0:
		kind, end = Object, s.object(at, p+1, depth+1)
	case p < len(s.doc) && s.doc[p] == '[' && len(n.elems) > 0:
		kind, end = Array, s.array(n, p+1, depth+1)
	default:
		end, kind = s.any(p, depth)
	}
	if end < 0 {
		return end
	}
	span := spanOf(start, end, kind)
	for _, i := range n.spans {
		if s.spans[i].Kind == Missing {
			s.left--
		}
		s.spans[i] = span
	}
	if s.left == 0 && s.f.opts.StopEarly {
		return stopped
	}
	return end
}

// array reads an array some of whose elements belong to nodes, from behind its bracket to behind its closing one.
func (s *Scanner) array(n *node, p, depth int) int {
	p = skipSpace(s.doc, p)
	if p < len(s.doc) && s.doc[p] == ']' {
		return p + 1
	}
	elems := n.elems
	for i := 0; ; i++ {
		if len(elems) > 0 && elems[0].index == i {
			p = s.value(elems[0].node, p, depth)
			elems = elems[1:]
		} else {
			p, _ = s.any(p, depth)
		}
		if p < 0 {
			return p
		}
		p = skipSpace(s.doc, p)
		switch {
		case p < len(s.doc) && s.doc[p] == ',':
			p = skipSpace(s.doc, p+1)
		case p < len(s.doc) && s.doc[p] == ']':
			return p + 1
		default:
			return s.fail(p, "expected a comma or a closing bracket after an element")
		}
	}
}

// again applies the policy for a member met a second time in its object; false means that the scan has failed.
func (s *Scanner) again(t *names, e *entry, offset int) bool {
	if e.node < 0 {
		return true
	}
	if s.f.opts.Duplicates == Reject {
		s.err = &DuplicateError{Offset: skipSpace(s.doc, offset), Name: string(t.name(e))}
		return false
	}
	s.reset(e.node)
	return true
}

// reset takes back what the first of two members of one name has set.
func (s *Scanner) reset(at int32) {
	n := &s.f.nodes[at]
	for _, i := range n.spans {
		if s.spans[i].Kind != Missing {
			s.left++
		}
		s.spans[i] = Span{}
	}
	for _, m := range n.members {
		s.reset(m.node)
	}
	for _, e := range n.elems {
		s.reset(e.node)
	}
}

// noteUnknown keeps the name of an unwanted member, which is known to be well-formed.
func (s *Scanner) noteUnknown(p int) {
	p = skipSpace(s.doc, p)
	end, kind := stringEnd(s.doc, p+1)
	s.unknown = append(s.unknown, Span{Start: int32(p + 1), End: int32(end), Kind: kind})
}

// any reads a value of any kind, without looking for fields in it.
func (s *Scanner) any(p, depth int) (end int, kind Kind) {
	if p < len(s.doc) {
		switch c := s.doc[p]; {
		case c == '-' || c-'0' <= 9:
			if end = numberEnd(s.doc, p); end < 0 {
				return s.fail(^end, "invalid number"), Missing
			}
			return end, Number
		case c == '"':
			if end, kind = s.string(p + 1); end >= 0 {
				end++
			}
			return end, kind
		case c == '{':
			return s.skip(p, depth), Object
		case c == '[':
			return s.skip(p, depth), Array
		}
		if end, kind = literalEnd(s.doc, p); end > 0 {
			return end, kind
		}
	}
	return s.fail(p, "expected a value"), Missing
}

// string returns the position of the closing quote of the string whose first byte is at p.
func (s *Scanner) string(p int) (end int, kind Kind) {
	if end, kind = stringEnd(s.doc, p); end >= 0 {
		return end, kind
	}
	switch at := ^end; {
	case at == len(s.doc):
		return s.fail(at, "unexpected end within a string"), kind
	case s.doc[at] == '\\':
		return s.fail(at, "invalid escape in a string"), kind
	default:
		return s.fail(at, "control character in a string"), kind
	}
}

// skip reads an object or array that stands at the given depth, without recursion: the kinds of the open brackets are bits of
// Scanner.stack.
func (s *Scanner) skip(p, depth int) int {
	doc, level := s.doc, depth
	var closing byte
open: // at a bracket
	if level++; level > s.f.opts.MaxDepth {
		return s.fail(p, "nested too deep")
	}
	closing = doc[p] + 2 // in ASCII, both closing brackets stand two behind the opening ones
	s.setOpen(level, closing)
	if p = skipSpace(doc, p+1); p < len(doc) && doc[p] == closing {
		goto closed
	}
element:
	if closing == '}' {
		if p = s.skipName(p); p < 0 {
			return p
		}
	}
	switch {
	case p < len(doc) && doc[p] == '"':
		if p = plainEnd(doc, p+1); p == len(doc) || doc[p] != '"' {
			if p, _ = s.string(p); p < 0 {
				return p
			}
		}
		p++
	case p < len(doc) && doc[p]|0x20 == '{': // a brace or a bracket
		goto open
	default:
		if p, _ = s.any(p, level); p < 0 {
			return p
		}
	}
after:
	if p < len(doc) && doc[p] <= ' ' {
		p = skipSpace(doc, p)
	}
	if p < len(doc) && doc[p] == ',' {
		p = skipSpace(doc, p+1)
		goto element
	}
	if p == len(doc) || doc[p] != closing {
		return s.fail(p, "expected a comma or a closing bracket")
	}
closed:
	p++
	if level--; level == depth {
		return p
	}
	closing = s.open(level)
	goto after
}

// setOpen notes which bracket closes the given level.
func (s *Scanner) setOpen(level int, closing byte) {
	for len(s.stack) <= level>>6 {
		s.stack = append(s.stack, 0)
	}
	bit := uint64(1) << (level & 63)
	if s.stack[level>>6] &^= bit; closing == '}' {
		s.stack[level>>6] |= bit
	}
}

// open returns the bracket that closes the given level.
func (s *Scanner) open(level int) byte {
	if s.stack[level>>6]>>(level&63)&1 != 0 {
		return '}'
	}
	return ']'
}

// skipName reads a member's name and the colon, up to its value.
func (s *Scanner) skipName(p int) int {
	doc := s.doc
	if p == len(doc) || doc[p] != '"' {
		return s.fail(p, "expected the name of a member")
	}
	if p = plainEnd(doc, p+1); p == len(doc) || doc[p] != '"' {
		if p, _ = s.string(p); p < 0 {
			return p
		}
	}
	if p++; p == len(doc) || doc[p] != ':' {
		if p = skipSpace(doc, p); p == len(doc) || doc[p] != ':' {
			return s.fail(p, "expected a colon after a member's name")
		}
	}
	if p++; p < len(doc) && doc[p] <= ' ' {
		return skipSpace(doc, p)
	}
	return p
}
