package change

import "fmt"

// RecordError says why a record is no change that can be written. The record is at fault, not the table or the server; none of
// its rows may be written.
type RecordError struct {
	Reason string
	Err    error // of the scanner, where it is what refused the record
}

func (e *RecordError) Error() string { return e.Reason }

// Unwrap returns the error of the scanner, where there is one.
func (e *RecordError) Unwrap() error { return e.Err }

func refuse(format string, args ...any) error {
	return &RecordError{Reason: fmt.Sprintf(format, args...)}
}

// shown bounds how much of a value a reason shows.
const shown = 64

func shorten(v []byte) string {
	if len(v) <= shown {
		return fmt.Sprintf("%q", v)
	}
	return fmt.Sprintf("%q… (%d bytes)", v[:shown], len(v))
}
