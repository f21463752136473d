package column

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// ErrServerDefault is behind what Reader.Key returns for a missing column whose default only the server can work out: routing
// needs the value before the server sees the row.
var ErrServerDefault = errors.New("the column's default is worked out by the server, and routing needs the value before")

// UnsupportedTypeError says that a column's type cannot be carried, and why. NewPlan returns it: nothing was written.
type UnsupportedTypeError struct {
	Column string // the column's name
	Type   string // the type as ClickHouse writes it
	Reason string
}

func (e *UnsupportedTypeError) Error() string {
	return fmt.Sprintf("column %q: type %s cannot be written: %s", e.Column, e.Type, e.Reason)
}

// TypeChangedError says that a column has another type than the one that a block was made for. Nothing of the block was sent.
type TypeChangedError struct {
	Column       string
	Planned, Now string
}

func (e *TypeChangedError) Error() string {
	return fmt.Sprintf("column %q: its type is %s now, and the block was made for %s", e.Column, e.Now, e.Planned)
}

// TypeSyntaxError says where a type's name stops making sense.
type TypeSyntaxError struct {
	Type   string
	Offset int // bytes into Type
	Reason string
}

func (e *TypeSyntaxError) Error() string {
	return fmt.Sprintf("type %q at byte %d: %s", e.Type, e.Offset, e.Reason)
}

// RowError says why a row cannot be written; the row is at fault, not the table or the server. Column and Type are empty
// when the document as a whole is (not JSON, not an object).
type RowError struct {
	Column string
	Type   string
	Reason string // with the offending value, shortened
	Err    error  // what the reason was made from, where there is such an error
}

func (e *RowError) Error() string {
	if e.Column == "" {
		return e.Reason
	}
	return fmt.Sprintf("column %q (%s): %s", e.Column, e.Type, e.Reason)
}

// Unwrap returns the error of the scanner, where there is one.
func (e *RowError) Unwrap() error { return e.Err }

// shownBytes bounds how much of an offending value a reason shows: enough to recognise it, too little to flood a log.
const shownBytes = 64

// shorten quotes a value for a message.
func shorten(v []byte) string {
	if len(v) <= shownBytes {
		return strconv.Quote(string(v))
	}
	cut := shownBytes
	for cut > shownBytes-utf8.UTFMax && !utf8.RuneStart(v[cut]) {
		cut--
	}
	return fmt.Sprintf("%s… (%d bytes)", strconv.Quote(string(v[:cut])), len(v))
}
