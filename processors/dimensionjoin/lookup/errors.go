package lookup

import (
	"errors"
	"fmt"
)

// ErrNotObject says that an event has no members to add to.
var ErrNotObject = errors.New("event is not a JSON object")

// EventError reports an event that cannot be joined because of what it is.
type EventError struct {
	Dimension string // "" when it is not about one
	Err       error
}

func (e *EventError) Error() string {
	if e.Dimension == "" {
		return "joining dimensions: " + e.Err.Error()
	}
	return fmt.Sprintf("joining dimension %q: %v", e.Dimension, e.Err)
}

func (e *EventError) Unwrap() error { return e.Err }

// MissingError reports an event whose key has no row, under on_missing: error.
type MissingError struct {
	Dimension string
	Key       string // as the server would print it; "" when the event has none
}

func (e *MissingError) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("dimension %q: the event has no key", e.Dimension)
	}
	return fmt.Sprintf("dimension %q: there is no row for the key %s", e.Dimension, e.Key)
}

// CycleError reports dimensions whose keys come from each other.
type CycleError struct{ Dimensions []string }

func (e *CycleError) Error() string {
	return fmt.Sprintf("dimensions %q depend on each other's columns in a circle", e.Dimensions)
}
