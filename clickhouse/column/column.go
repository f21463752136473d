package column

import (
	"fmt"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// column is one column of a block, kept as ClickHouse wants it on the wire. A JSON null counts as the type's default,
// unless the type is Nullable.
type column interface {
	proto.ColInput
	proto.StateEncoder

	// append adds a row made of the value s in src. After an error the column may hold part of the row: the caller truncates.
	append(src []byte, s jsonscan.Span, x *scratch) error
	// zero adds a row with the type's default.
	zero()
	// truncate keeps the first rows rows.
	truncate(rows int)
	// size is about how many bytes the rows take.
	size() int
}

// codec is a type ready to make columns of. It is immutable.
type codec struct {
	typ      *Type
	nullable bool // a JSON null is a value of it
	array    bool // its JSON form is an array
	column   func() column
	// value converts one non-null JSON value to a scalar; nil for composite types.
	value func(src []byte, s jsonscan.Span, x *scratch, dst *Value) error
	// width is how many bytes a scalar takes on the wire, 0 for strings, which stand behind their length.
	width int
	zero  Value // the type's default as a scalar
}

// environment is what compiling a type depends on besides the type.
type environment struct {
	location *time.Location // the server's
	zones    []*zone        // those but UTC that types name
	strict   bool           // Options.RejectDuplicates
}

// scratch is memory that conversions of one reader share.
type scratch struct {
	text []byte // an unescaped string
	wide []byte // a value of a fixed number of bytes

	clocks   []clock // of each zone
	calendar calendarDay
	value    Value // on its way into a dictionary
}

// room returns n bytes that are valid until the next call.
func (x *scratch) room(n int) []byte {
	if cap(x.wide) < n {
		x.wide = make([]byte, n)
	}
	return x.wide[:n]
}

// string returns the bytes a string span stands for. They are valid until the next call. For other
// values it is their JSON text.
func (x *scratch) string(src []byte, s jsonscan.Span) ([]byte, error) {
	raw := src[s.Start:s.End]
	if s.Kind != jsonscan.Escaped {
		return raw, nil
	}
	var err error
	x.text, err = jsonscan.Unescape(x.text[:0], raw)
	return x.text, err
}

// compile makes the codec of a type. Its error is the reason only.
func compile(t *Type, env *environment) (*codec, error) {
	family, ok := families[t.Name]
	if !ok {
		return nil, fmt.Errorf("the type %s is not known here", t.Name)
	}
	if family.compile == nil {
		return nil, fmt.Errorf("%s", family.refusal)
	}
	return family.compile(t, env)
}
