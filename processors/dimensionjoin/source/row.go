package source

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"sort"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// Row is one dimension row, encoded as the JSON members that a join adds to an event.
type Row struct {
	// Members are ready to splice before an object's closing brace: `"product_name":"x","product_brand":"y"`, or, with a
	// target, `"product":{"name":"x","brand":"y"}`.
	Members []byte
	ends    []uint32 // start and end of each column's value within Members
}

// Value returns the JSON literal of column i.
func (r *Row) Value(i int) []byte { return r.Members[r.ends[2*i]:r.ends[2*i+1]] }

// Size is the memory that the row holds on to, in bytes.
func (r *Row) Size() int { return cap(r.Members) + 4*cap(r.ends) + 48 }

// Version is a row with the interval [From, To) in which it is valid, in microseconds since 1970 UTC.
type Version struct {
	From, To int64
	Row      Row
}

// The ends of time: what an open interval reaches to.
const (
	Beginning int64 = math.MinInt64
	Forever   int64 = math.MaxInt64
)

// Result is what the dimension has for one key.
type Result struct {
	// Versions is empty when there is no such row, and has one element that is always valid in a dimension without as_of.
	Versions []Version
	// Err is set when the row is there but cannot be joined: a *DuplicateError or a *ValueError.
	Err error
}

// sortVersions orders the versions for At and closes those without an end where the next one begins.
func (r *Result) sortVersions(hasTo bool) {
	v := r.Versions
	slices.SortFunc(v, func(a, b Version) int { // the rows themselves only so that the same of them wins whenever they are read
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), bytes.Compare(a.Row.Members, b.Row.Members))
	})
	if hasTo {
		return
	}
	for i := range len(v) - 1 {
		v[i].To = v[i+1].From
	}
}

// At returns the version valid at the instant t, or nil. An instant equal to From belongs to the version, one equal to To
// does not. Where intervals overlap, the version that began last wins; of two that began together, the one that ends last;
// of two with the same interval, always the same one.
func At(versions []Version, t int64) *Row {
	for i := sort.Search(len(versions), func(i int) bool { return versions[i].From > t }) - 1; i >= 0; i-- {
		if t < versions[i].To || versions[i].To == Forever {
			return &versions[i].Row
		}
	}
	return nil
}

// Shape is how rows of a dimension look in an event.
type Shape struct {
	Target  string   // "" adds the members to the event itself, otherwise to an object of this name
	Members []string // the member name of each column, in order
	prefix  []byte   // `"product":{`, or nothing
	names   [][]byte // `"name":`
}

// NewShape prepares the names. The slice is kept.
func NewShape(target string, members []string) *Shape {
	s := &Shape{Target: target, Members: members}
	if target != "" {
		s.prefix = append(jsonscan.AppendString(nil, target), ':', '{')
	}
	for _, m := range members {
		s.names = append(s.names, append(jsonscan.AppendString(nil, m), ':'))
	}
	return s
}

// TopLevel lists the members that a row adds to the event itself.
func (s *Shape) TopLevel() []string {
	if s.Target != "" {
		return []string{s.Target}
	}
	return s.Members
}

// Encode builds a row; value appends the JSON literal of a column.
func (s *Shape) Encode(value func(dst []byte, column int) ([]byte, error)) (Row, error) {
	dst := append(make([]byte, 0, 32*len(s.names)+len(s.prefix)+1), s.prefix...)
	ends := make([]uint32, 0, 2*len(s.names))
	for i, name := range s.names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, name...)
		start := len(dst)
		var err error
		if dst, err = value(dst, i); err != nil {
			return Row{}, err
		}
		ends = append(ends, uint32(start), uint32(len(dst)))
	}
	if s.Target != "" {
		dst = append(dst, '}')
	}
	return Row{Members: append(make([]byte, 0, len(dst)), dst...), ends: ends}, nil
}

// Restore rebuilds a row from the literals of its columns, as Value returned them.
func (s *Shape) Restore(values [][]byte) Row {
	row, _ := s.Encode(func(dst []byte, i int) ([]byte, error) { return append(dst, values[i]...), nil })
	return row
}

// AppendMember appends the i-th of the members that TopLevel lists, with its name.
func (s *Shape) AppendMember(dst []byte, r *Row, i int) []byte {
	if s.Target != "" {
		return append(dst, r.Members...)
	}
	return append(append(dst, s.names[i]...), r.Value(i)...)
}
