// Package lookup joins dimension rows to events.
//
// It owns the way of a batch: one scan of each event finds the key fields of all dimensions, each distinct key is looked up
// once, what is missing is read, and the rows' members are spliced into the events' bytes, or set on their structure. Events
// are bytes or maps here, never messages; configuration is plain Go values. It must never drop, reorder or half-join an
// event on its own account: what it has against one is said in Event.Err and Event.Drop.
package lookup

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/source"
)

// OnMissing says what an event is joined to whose key has no row.
type OnMissing string

// The answers to a missing row.
const (
	NullOnMissing    OnMissing = "null"    // every column null
	DefaultOnMissing OnMissing = "default" // Dimension.Defaults; columns without one are null
	DropOnMissing    OnMissing = "drop"    // the event is dropped
	FailOnMissing    OnMissing = "error"   // the event is left as it is, with a *MissingError
)

// Conflict says what happens to a member that the event has already.
type Conflict string

// The answers to a conflict.
const (
	Overwrite Conflict = "overwrite" // the dimension's value takes its place
	Keep      Conflict = "keep"      // the event's value stays
)

// FieldRef tells where in an event a value stands: at a path, or, when Path is nil, what Event.Computed gives for Computed.
type FieldRef struct {
	Path     []jsonscan.Step
	Computed int
}

// Dimension is one dimension of a join.
type Dimension struct {
	Source source.Config
	Key    []FieldRef // in the order of Source.Keys
	// Time is the event's own time, for a dimension with versions.
	Time      FieldRef
	OnMissing OnMissing
	Defaults  map[string]json.RawMessage // by column
	// RetryMissing is how often, and after which pause, keys are looked for again that were not there when first asked for.
	RetryMissing Retry
	Full         Full
	// Watch are tables whose changes make every row of a query's result due (binlog only).
	Watch []string
}

// Retry bounds the wait for rows that arrive late.
type Retry struct {
	Attempts int
	Delay    time.Duration
}

// Full makes a dimension be read as a whole before the first event, and then again.
type Full struct {
	Enabled bool
	// Interval is the time between two passes over the whole table.
	Interval time.Duration
	// UpdatedAt is a column that grows with every change of a row; rows that changed are then read every PollInterval.
	UpdatedAt    string
	PollInterval time.Duration
}

// Config describes a join.
type Config struct {
	Dimensions []Dimension
	OnConflict Conflict
	// MaxKeys bounds the keys of one read; 0 is 1,000.
	MaxKeys int
	// Backoff between attempts while the server cannot be asked.
	InitialBackoff, MaxBackoff time.Duration
	// Snapshot is a file that the cached rows are saved to by Close and read from at the start; "" is none. With SnapshotStale,
	// rows read from it only stand in for a server that does not answer: changes since they were saved would go unnoticed.
	Snapshot      string
	SnapshotStale bool
	// Session names all that rows depend on besides the dimension, the server and the account among it: dimensions of the same name, in a
	// shared cache or a snapshot, may be other ones to another session.
	Session string
	Logger  *slog.Logger
}

func (c *Config) validate() error {
	if len(c.Dimensions) == 0 {
		return fmt.Errorf("no dimensions are configured")
	}
	if c.MaxKeys <= 0 {
		c.MaxKeys = 1000
	}
	names := map[string]bool{}
	for i := range c.Dimensions {
		d := &c.Dimensions[i]
		if d.Source.Name == "" {
			return fmt.Errorf("dimension %d has no name", i)
		}
		if names[d.Source.Name] {
			return fmt.Errorf("there are two dimensions named %q", d.Source.Name)
		}
		names[d.Source.Name] = true
		if err := d.validate(); err != nil {
			return fmt.Errorf("dimension %q: %w", d.Source.Name, err)
		}
	}
	return nil
}

func (d *Dimension) validate() error {
	switch d.OnMissing {
	case NullOnMissing, DefaultOnMissing, DropOnMissing, FailOnMissing:
	default:
		return fmt.Errorf("on_missing cannot be %q", d.OnMissing)
	}
	if len(d.Key) != len(d.Source.Keys) {
		return fmt.Errorf("%d key fields for %d key columns", len(d.Key), len(d.Source.Keys))
	}
	for column, value := range d.Defaults {
		if !json.Valid(value) {
			return fmt.Errorf("the default of column %q is not JSON", column)
		}
	}
	if d.RetryMissing.Attempts < 0 || d.RetryMissing.Delay < 0 {
		return fmt.Errorf("retry_missing must not be negative")
	}
	if d.Full.Enabled && d.Source.Table == "" {
		return fmt.Errorf("load: full needs a table, not a query")
	}
	return nil
}

// Event is one event of a batch, and what became of it.
type Event struct {
	// Doc is the event's JSON; nil when Object is given instead. It must not change while the event is joined.
	Doc []byte
	// Object is the event as a structure that may be changed.
	Object map[string]any
	// Computed gives the values of the references without a path. It may be nil when there are none.
	Computed func(ref int) (any, error)
	// Line puts the event's outcome, joined or, with Err, as it was, and a newline behind the outcome of the event before it.
	Line bool
	// First begins a new array for the outcomes of this event and of those after it; the first event of all does so anyway.
	First bool
	// Drop says that the event is to be left out (on_missing: drop).
	Drop bool

	// Start and End are where the joined document stands in its array, if Doc was given and the event was joined or is a Line; the
	// newline of a Line is at End.
	Start, End int
	// Err is why the event was left as it was: a *source.KeyError, *source.DuplicateError, *MissingError, *EventError…
	Err error
}
