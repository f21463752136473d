package insert

import "github.com/benthos-clickhouse/connect/clickhouse/column"

// Source is a batch of records. A Write reads it from start to end, and once more from the start when the table's columns
// changed under way; records must answer the same each time. It is used by one goroutine at a time.
type Source interface {
	// Len is the number of records.
	Len() int
	// Record fills in record i. Its JSON and the key of its Provenance must stay valid until the Write returns, the rest need only until
	// the next call. An error rejects that record with the error's text as the reason, as when an earlier step had already failed it.
	Record(i int, rec *Record) error
}

// Record is one row to be, either raw or structured.
type Record struct {
	// JSON is the raw document; Value is used instead when JSON is nil.
	JSON  []byte
	Value any
	// Meta answers for columns that are filled from metadata ('@name'); may be nil.
	Meta func(name string) (any, bool)
	// Computed are the values of the columns that come from a mapping, in the order of their Computed index.
	Computed []any
	// Operation is what a mapping made of the record, for change streams of change.FormatMapping.
	Operation any
	// Provenance tells where in Kafka the record comes from.
	Provenance column.Provenance
}

// reset forgets the previous record, so that a Source needs to set only what it has.
func (r *Record) reset() { *r = Record{} }

// Rejection is a record that can never be inserted, and why.
type Rejection struct {
	Index  int    // of the record in its Source
	Column string // "" when no single column is at fault
	Type   string // ClickHouse type of that column
	Reason string
	Code   int // ClickHouse's error code when the server refused the row, else 0
}

// Result is what became of the records of a Write that succeeded: every one was inserted, was already there, was spooled, or is
// in Rejected.
type Result struct {
	Inserted int // rows acknowledged by their shard
	Spooled  int // rows that were put aside on disk, to be replayed
	Rejected []Rejection
}
