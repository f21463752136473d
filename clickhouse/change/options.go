package change

import (
	"fmt"
	"slices"
)

// Mode is which rows tell of a change.
type Mode string

// The names are those of the configuration.
const (
	// Replacing puts the row as it is now, and one with its deletion flag for a row that is gone.
	Replacing Mode = "replacing"
	// Collapsing takes back the row as it was, with the sign −1, and puts the row as it is, with the sign 1.
	Collapsing Mode = "collapsing"
)

// Format is how a record tells of a change.
type Format string

// The names are those of the configuration.
const (
	FormatDebezium Format = "debezium" // before, after and op, at the top or below payload
	FormatCanal    Format = "canal"    // type, data and old, of Canal, TiDB and Flink (arrays) or Maxwell (objects)
	FormatFlink    Format = "flink"    // op and data, as Flink's changelog-json
	FormatMapping  Format = "mapping"  // what is given to Rows as the operation
)

// Formats lists every Format.
var Formats = []Format{FormatDebezium, FormatCanal, FormatFlink, FormatMapping}

// Policy says what becomes of records that are no change of one row.
type Policy string

// The names are those of the configuration.
const (
	PolicyIgnore Policy = "ignore"
	PolicyReject Policy = "reject"
	PolicyDelete Policy = "delete" // of tombstones: the row that the record's key names is deleted
)

// Options say how a Decoder reads records. Zero values take the defaults stated.
type Options struct {
	Mode   Mode   // required
	Format Format // FormatDebezium
	// Keys are the paths, below an image, of the values that identify a row in the table, each in the syntax of column.Path. An update that
	// changes one of them moves the row. Only used with Replacing.
	Keys []string
	// Complete are those of the Keys, one path each, that a row which is taken away has to have: a default in its place would name another row.
	// Only used with Replacing.
	Complete []string
	// Tombstones says what a record without a value is: PolicyIgnore, PolicyDelete (with Replacing) or PolicyReject.
	Tombstones Policy // PolicyIgnore
	// Truncations says what becomes of a record that empties the source table: PolicyIgnore or PolicyReject.
	Truncations Policy // PolicyReject
	// Envelope are paths in the envelope whose values Decoder.Envelope gives.
	Envelope []string
}

func (o *Options) setDefaults() {
	if o.Format == "" {
		o.Format = FormatDebezium
	}
	if o.Tombstones == "" {
		o.Tombstones = PolicyIgnore
	}
	if o.Truncations == "" {
		o.Truncations = PolicyReject
	}
}

// Validate reports what cannot work; the error names the option as the configuration does.
func (o Options) Validate() error {
	o.setDefaults()
	switch {
	case o.Mode != Replacing && o.Mode != Collapsing:
		return fmt.Errorf("write_mode: %q is not one of replacing, collapsing", o.Mode)
	case !slices.Contains(Formats, o.Format):
		return fmt.Errorf("changes.format: %q is not one of %v", o.Format, Formats)
	case !slices.Contains([]Policy{PolicyIgnore, PolicyDelete, PolicyReject}, o.Tombstones):
		return fmt.Errorf("changes.tombstones: %q is not one of ignore, delete, reject", o.Tombstones)
	case o.Tombstones == PolicyDelete && o.Mode == Collapsing:
		return fmt.Errorf("changes.tombstones: delete does not go with write_mode collapsing, where a deletion takes the whole row as it was, and a tombstone has only its key")
	case o.Truncations != PolicyIgnore && o.Truncations != PolicyReject:
		return fmt.Errorf("changes.truncations: %q is not one of ignore, reject", o.Truncations)
	}
	return nil
}
