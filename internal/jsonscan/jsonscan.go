// Package jsonscan finds wanted fields in raw JSON documents without building anything: it owns the bytes-to-spans step of
// the decode path and the few things that work on the raw text itself (escaping, unescaping, splicing, numbers).
//
// A set of paths is compiled once into Fields; each goroutine takes a Scanner from it. Scan walks a document once, eight
// bytes at a time, checks all of it against the grammar of RFC 8259, and notes where the value of each path stands. A Scanner
// remembers which member followed which, so that a key order that repeats from document to document is confirmed by comparing
// a few words instead of being looked up. Nothing is allocated per document once the scratch has grown to its size.
//
// Strings are taken as bytes: UTF-8 is not validated, invalid sequences pass through as they are, since a ClickHouse String
// holds any bytes. Everything else of the grammar is strict: numbers, literals, escapes, control characters in strings, no
// trailing commas, no byte order mark, nothing but white space after the document.
//
// It must never know about columns, ClickHouse or Benthos, never interpret a value, and never use unsafe memory loads.
package jsonscan

// Kind says what kind of JSON value a Span holds.
type Kind uint8

// The kinds. Missing is the zero value: the path leads nowhere in this document.
const (
	Missing Kind = iota
	Null
	False
	True
	Number
	String  // a string without escapes: its bytes are its value
	Escaped // a string with at least one escape: its value is what Unescape makes of it
	Object
	Array
)

var kindNames = [...]string{"missing", "null", "false", "true", "number", "string", "string with escapes", "object", "array"}

// String names the kind as error messages do.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown kind"
}

// Span is where a value stands in a document: the bytes between the quotes of a string, the whole literal of anything else,
// brackets and braces included.
type Span struct {
	Start, End int32
	Kind       Kind
}

// Bytes returns the span's part of the document it was found in.
func (s Span) Bytes(doc []byte) []byte { return doc[s.Start:s.End] }
