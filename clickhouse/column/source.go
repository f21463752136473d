package column

import "github.com/benthos-clickhouse/connect/internal/jsonscan"

type sourceKind uint8

const (
	fromPath sourceKind = iota
	fromMeta
	fromComputed
)

// Source is where a column's values come from. The zero value is the top-level member that is called as the column.
type Source struct {
	kind  sourceKind
	name  string
	index int
}

// Path is a place in the document: `a.b[0].c`, with names in double quotes where they hold dots. The empty path is the
// member called as the column, taken literally; where its name has dots, also what it says as a path (flattened names).
func Path(path string) Source { return Source{kind: fromPath, name: path} }

// CheckPath tells what is wrong with the text of a Path, before there is a table to read it for.
func CheckPath(path string) error {
	steps, err := jsonscan.ParsePath(path)
	if err == nil {
		_, err = jsonscan.Compile([][]jsonscan.Step{steps}, jsonscan.Options{})
	}
	return err
}

// Meta is a piece of metadata, by its name without '@': kafka_topic, kafka_partition, kafka_offset, kafka_timestamp_ms and
// kafka_key come from the record's Provenance where it has one, anything else through Reader.SetMeta.
func Meta(name string) Source { return Source{kind: fromMeta, name: name} }

// Computed is value i of Reader.SetComputed.
func Computed(i int) Source { return Source{kind: fromComputed, index: i} }

// DocumentPath is the path of a Source made by Path, or the zero value's.
func (s Source) DocumentPath() (path string, ok bool) { return s.name, s.kind == fromPath }

// MetaName is the name of a Source made by Meta.
func (s Source) MetaName() (name string, ok bool) { return s.name, s.kind == fromMeta }

// Provenance says which Kafka record a row came from. The zero value says that it came from none.
type Provenance struct {
	Topic       string
	Partition   int32
	Offset      int64
	TimestampMs int64
	Key         []byte // nil: the record has no key, which is NULL
	Valid       bool
}

// Missing stands, as a value of SetComputed, for no value at all: the column takes its default.
type Missing struct{}
