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
