package column

import (
	"maps"
	"slices"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// Unknown is a top-level member that no column wants.
type Unknown struct {
	Name string
	// Type is a Nullable type that holds the value, for a column to be added; empty where the value suggests none (null, an empty array).
	Type string
}

// Unknown lists the members of the row at hand that no column wants, under Report and Reject. The slice is valid until the
// next row is read.
func (r *Reader) Unknown() []Unknown {
	if r.listed {
		return r.unknown
	}
	r.listed, r.unknown = true, r.unknown[:0]
	if r.plan.unknown == Ignore {
		return r.unknown
	}
	if r.row != nil {
		r.unknownValues()
		return r.unknown
	}
	for _, name := range r.scanner.Unknown() {
		text, err := r.x.string(r.doc, name)
		if err != nil || r.plan.exists[string(text)] {
			continue
		}
		r.unknown = append(r.unknown, Unknown{Name: string(text), Type: suggest(r.doc, valueAfter(r.doc, name))})
	}
	return r.unknown
}

// unknownValues is Unknown on the structured path.
func (r *Reader) unknownValues() {
	for _, name := range slices.Sorted(maps.Keys(r.row)) {
		if r.plan.wanted[name] || r.plan.exists[name] {
			continue
		}
		text, s, err := appendValue(nil, r.row[name])
		if err != nil {
			continue
		}
		r.unknown = append(r.unknown, Unknown{Name: name, Type: suggest(text, s)})
	}
}

// valueAfter finds the value of the member whose name stands at name.
func valueAfter(doc []byte, name jsonscan.Span) jsonscan.Span {
	// The rest of the object, from this member on, reads like an object of its own.
	rest := jsonscan.Span{Start: name.Start - 2, End: int32(len(doc)), Kind: jsonscan.Object}
	if rest.Start < 0 {
		rest.Start = 0
	}
	members := jsonscan.NewMembers(doc, rest)
	_, value, _ := members.Next()
	return value
}

// maxSuggested is how deep the type of a new column nests. Arrays below are kept as their text, as objects are: whoever writes the events
// must not be able to give the table a type that cannot be read back, and each level means another pass over the value.
const maxSuggested = 8

// suggest picks a type for a new column from one value: wide enough for others of its kind.
func suggest(src []byte, s jsonscan.Span) string { return suggestBelow(src, s, 0) }

func suggestBelow(src []byte, s jsonscan.Span, depth int) string {
	switch s.Kind {
	case jsonscan.False, jsonscan.True:
		return "Nullable(Bool)"
	case jsonscan.Number:
		if _, err := jsonscan.ParseInt64(s.Bytes(src)); err == nil {
			return "Nullable(Int64)"
		}
		if _, err := jsonscan.ParseUint64(s.Bytes(src)); err == nil {
			return "Nullable(UInt64)"
		}
		return "Nullable(Float64)"
	case jsonscan.String, jsonscan.Escaped:
		return "Nullable(String)"
	case jsonscan.Object:
		return "Nullable(String)"
	case jsonscan.Array:
		if depth == maxSuggested {
			return "Nullable(String)"
		}
		return suggestArray(src, s, depth)
	}
	return ""
}

// suggestArray looks at the first element that is not null. Elements are Nullable, since an Array cannot be.
func suggestArray(src []byte, s jsonscan.Span, depth int) string {
	elements := jsonscan.NewElements(src, s)
	for {
		e, ok := elements.Next()
		if !ok {
			return ""
		}
		if of := suggestBelow(src, e, depth+1); of != "" {
			return "Array(" + of + ")"
		}
	}
}
