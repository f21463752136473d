package source

import (
	"errors"
	"fmt"
)

var (
	// ErrNoKey says that a key field is missing from the event or null. NULL equals nothing, so there is nothing to look up.
	ErrNoKey = errors.New("key is missing or null")
	// ErrSchemaChanged says that a query's columns no longer have the types that its schema was read with. The schema has to
	// be read again, and everything that was keyed or encoded by the old one forgotten.
	ErrSchemaChanged = errors.New("schema changed")
)

// SchemaError reports a dimension that cannot be read as configured: a table or column that is not there, a key column whose
// type cannot be a join key, a query without its columns.
type SchemaError struct {
	Dimension string
	Column    string // "" when the fault is not one column's
	Reason    string
}

func (e *SchemaError) Error() string {
	if e.Column == "" {
		return fmt.Sprintf("dimension %q: %s", e.Dimension, e.Reason)
	}
	return fmt.Sprintf("dimension %q, column %q: %s", e.Dimension, e.Column, e.Reason)
}

// KeyError reports an event whose key can never equal a value of the key column.
type KeyError struct {
	Dimension string
	Column    string
	Type      string // the column's type as the server names it
	Value     string
}

func (e *KeyError) Error() string {
	return fmt.Sprintf("dimension %q: key %s cannot match column %q of type %s", e.Dimension, e.Value, e.Column, e.Type)
}

// DuplicateError reports a key that several rows of a dimension without as_of have.
type DuplicateError struct {
	Dimension string
	Key       string
}

func (e *DuplicateError) Error() string {
	return fmt.Sprintf("dimension %q: more than one row has the key %s: make the key unique, or use as_of for versions of a row", e.Dimension, e.Key)
}

// ValueError reports a value that its column's encoding cannot express.
type ValueError struct {
	Dimension string
	Column    string
	Reason    string
}

func (e *ValueError) Error() string {
	return fmt.Sprintf("dimension %q, column %q: %s", e.Dimension, e.Column, e.Reason)
}
