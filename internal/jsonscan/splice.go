package jsonscan

// Close returns the position of the closing brace of a document that is an object, and whether it has no members. It looks at
// the document's two ends only; of a valid document the answer is exact, of another one it is the best guess. The error is
// ErrNotObject if the document does not begin and end as an object does.
func Close(doc []byte) (pos int, empty bool, err error) {
	open := skipSpace(doc, 0)
	pos = lastText(doc, len(doc))
	if pos <= open || doc[open] != '{' || doc[pos] != '}' {
		return 0, false, ErrNotObject
	}
	return pos, lastText(doc, pos) == open, nil
}

// lastText returns the position of the last byte before end that is not white space, or -1.
func lastText(doc []byte, end int) int {
	for end--; end >= 0; end-- {
		if c := doc[end]; c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			break
		}
	}
	return end
}

// Splice appends the document to dst with more members before its closing brace. members is the inside of an object, as in
// `"k":1,"k2":"v"`, and is not checked; none at all gives the document as it is. A member that the document has already is there
// twice then, and the later one wins under the policy Last. The error is that of Close, and dst is returned unchanged with it.
func Splice(dst, doc, members []byte) ([]byte, error) {
	pos, empty, err := Close(doc)
	if err != nil {
		return dst, err
	}
	if len(members) == 0 {
		return append(dst, doc...), nil
	}
	dst = append(dst, doc[:pos]...)
	if !empty {
		dst = append(dst, ',')
	}
	dst = append(dst, members...)
	return append(dst, doc[pos:]...), nil
}
