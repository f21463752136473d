package jsonscan

import (
	"errors"
	"fmt"
)

var (
	// ErrNotObject reports a document that is valid JSON but whose top value is not an object, or, from Close, one
	// that does not begin and end as an object does.
	ErrNotObject = errors.New("document is not a JSON object")
	// ErrTooLarge reports a document that positions of 32 bits cannot address.
	ErrTooLarge = errors.New("document is larger than 2 GiB")

	// ErrNumberSyntax reports text that is not a number of the JSON grammar.
	ErrNumberSyntax = errors.New("not a JSON number")
	// ErrNumberRange reports a number that the wanted type cannot hold, a negative one for an unsigned type included.
	ErrNumberRange = errors.New("number is out of range")
	// ErrNumberFraction reports a number with a fractional part where an integer is wanted.
	ErrNumberFraction = errors.New("number is not an integer")

	// ErrEscape reports text that is not the inside of a JSON string: an escape that the grammar does not have.
	ErrEscape = errors.New("invalid escape in string")
)

// SyntaxError reports a document that breaks the JSON grammar or nests deeper than Options.MaxDepth.
type SyntaxError struct {
	Offset int // of the byte at fault; the document's length when it ends too early
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("invalid JSON at byte %d: %s", e.Offset, e.Reason)
}

// DuplicateError reports, under the policy Reject, a member that the paths lead through and that its object has twice.
type DuplicateError struct {
	Offset int    // of the second occurrence's name
	Name   string // unescaped
}

func (e *DuplicateError) Error() string {
	return fmt.Sprintf("duplicate member %q at byte %d", e.Name, e.Offset)
}

// PathError reports a path that cannot be parsed or compiled.
type PathError struct {
	Path   string
	Reason string
}

func (e *PathError) Error() string { return fmt.Sprintf("path %q: %s", e.Path, e.Reason) }
