package spool

import (
	"errors"
	"fmt"
)

// ErrFull says that the spool has reached its bound: the block was not written, and its batch has to wait.
var ErrFull = errors.New("spool is full")

// CorruptError says that a file in the spool cannot be read back. The file is kept.
type CorruptError struct {
	Path   string
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("spool file %q is corrupt: %s; it is kept for you to look at", e.Path, e.Reason)
}
