package change

// Operation is what happened to a row.
type Operation uint8

const (
	unknown Operation = iota
	// Insert puts a row; a snapshot's read is one.
	Insert
	// Update puts a row in the place of another one.
	Update
	// Upsert puts a row, in the place of another one if there is one.
	Upsert
	// Delete takes a row away.
	Delete
	// UpdateBefore is the half of an update that takes the row as it was away.
	UpdateBefore
	// UpdateAfter is the half of an update that puts the row as it is.
	UpdateAfter
	// Truncate takes all rows away. No row says so.
	Truncate
	// Ignore is a record that says nothing about rows: a heartbeat, a message, a change of the schema.
	Ignore
)

var operationNames = [...]string{"unknown", "insert", "update", "upsert", "delete", "update_before", "update_after", "truncate", "ignore"}

// String names the operation as a mapping may give it.
func (o Operation) String() string { return operationNames[o] }

// spellings are those of Debezium (c, u, d, r, t, m), Flink (+I, -U, +U, -D and RowKind's names), Canal and TiDB (INSERT, …), Maxwell
// (insert, bootstrap-insert, table-alter, …) and Oracle GoldenGate (I, U, D, T), in lower case.
var spellings = map[string]Operation{
	"c": Insert, "r": Insert, "u": Update, "d": Delete, "t": Truncate, "m": Ignore,
	"+i": Insert, "-u": UpdateBefore, "+u": UpdateAfter, "-d": Delete, "i": Insert,
	"insert": Insert, "create": Insert, "read": Insert, "update": Update, "upsert": Upsert, "delete": Delete,
	"update_before": UpdateBefore, "update_after": UpdateAfter, "truncate": Truncate, "ignore": Ignore,
	"table-create": Ignore, "table-alter": Ignore, "table-drop": Ignore, "database-create": Ignore, "database-alter": Ignore, "database-drop": Ignore,
	"bootstrap-insert": Insert, "bootstrap-start": Ignore, "bootstrap-complete": Ignore, "tidb_watermark": Ignore,
}

// ParseOperation reads an operation as the formats spell it; letters count in either case.
func ParseOperation(s []byte) (Operation, bool) {
	var lower [24]byte
	if len(s) > len(lower) {
		return unknown, false
	}
	for i, c := range s {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	o, ok := spellings[string(lower[:len(s)])]
	return o, ok
}
