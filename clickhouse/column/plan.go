package column

import (
	"fmt"
	"strings"
	"time"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// Field is one column of the target table: what it is called, what it holds, where its values come from, and what stands in
// for a missing one.
type Field struct {
	Column  string
	Type    string // as system.columns prints it
	Source  Source
	Default Default
}

// DefaultKind says who knows the value of a missing field.
type DefaultKind uint8

const (
	// Zero is the type's own default: 0, "", the epoch, the lowest value of an Enum, NULL where the column is Nullable.
	Zero DefaultKind = iota
	// Constant is a DEFAULT that is the same for every row, as the server evaluated it once.
	Constant
	// Server is a DEFAULT that depends on other columns or differs from row to row: rows without the field go out in a block
	// without the column, and the server fills it in.
	Server
)

// Default stands in for a missing field, and for a JSON null in a column that is not Nullable.
type Default struct {
	Kind DefaultKind
	JSON []byte // of a Constant: the value as ClickHouse prints it in JSON
}

// UnknownFields says what becomes of members that no column wants.
type UnknownFields uint8

// What may become of them.
const (
	Ignore UnknownFields = iota // they are passed over
	Reject                      // the row is refused
	Report                      // Reader.Unknown names them
)

// Options are what a plan needs to know besides the columns. The zero value is usable.
type Options struct {
	// Location is the server's time zone, for DateTime and DateTime64 columns that name none. UTC when nil.
	Location *time.Location
	// UnknownFields applies to the top-level members of a document.
	UnknownFields UnknownFields
	// Existing names the table's columns for Report, which does not name members called as one of them, whether that takes them or not.
	Existing []string
	// RejectDuplicates refuses a row in which a wanted member stands twice; otherwise the last one counts.
	RejectDuplicates bool
	// MaxDepth bounds how deep a document may nest, 0 for the scanner's own bound.
	MaxDepth int
}

// Plan is the compiled form of a table's columns. It is immutable and shared by all goroutines.
type Plan struct {
	fields  []planned
	byName  map[string]int
	scan    *jsonscan.Fields
	paths   [][]jsonscan.Step
	aside   []int           // fields that do not come out of the document
	nested  []alternative   // fields with more than one place to look at
	server  []int           // fields whose default is the server's, by bit of Omitted
	wanted  map[string]bool // names of top-level members, for UnknownFields
	exists  map[string]bool // Options.Existing, under Report
	unknown UnknownFields
	strict  bool // Options.RejectDuplicates
}

// planned is a Field with its type compiled and its place in a reader's spans known.
type planned struct {
	name     string
	index    int // into Plan.fields
	typ      *Type
	codec    *codec
	source   Source
	slot     int // into Reader.spans
	omit     uint64
	nullable bool
	fallback fallback
}

// maxServerDefaults is how many bits Omitted has.
const maxServerDefaults = 64

// NewPlan compiles the columns of a table. It returns an *UnsupportedTypeError for a type that cannot be carried, and an
// error naming the column for anything else that is wrong with a field.
func NewPlan(fields []Field, opts Options) (*Plan, error) {
	p := &Plan{byName: make(map[string]int, len(fields)), unknown: opts.UnknownFields, strict: opts.RejectDuplicates}
	env := &environment{location: opts.Location, strict: opts.RejectDuplicates}
	if env.location == nil {
		env.location = time.UTC
	}
	for i := range fields {
		if err := p.add(&fields[i], env); err != nil {
			return nil, err
		}
	}
	return p, p.compile(opts)
}

func (p *Plan) add(f *Field, env *environment) error {
	if _, ok := p.byName[f.Column]; ok {
		return fmt.Errorf("column %q: planned twice", f.Column)
	}
	typ, err := ParseType(f.Type)
	if err != nil {
		return fmt.Errorf("column %q: %w", f.Column, err)
	}
	c, err := compile(typ, env)
	if err != nil {
		return &UnsupportedTypeError{Column: f.Column, Type: f.Type, Reason: err.Error()}
	}
	pl := planned{name: f.Column, index: len(p.fields), typ: typ, codec: c, source: f.Source, nullable: c.nullable}
	if f.Default.Kind == Server {
		if len(p.server) == maxServerDefaults {
			return fmt.Errorf("column %q: more than %d columns have defaults that only the server can work out", f.Column, maxServerDefaults)
		}
		pl.omit = 1 << len(p.server)
		p.server = append(p.server, len(p.fields))
	}
	if pl.fallback, err = newFallback(c, f.Default); err != nil {
		return fmt.Errorf("column %q (%s): default: %w", f.Column, f.Type, err)
	}
	p.byName[f.Column] = len(p.fields)
	p.fields = append(p.fields, pl)
	return nil
}

// compile gives every field its slots and makes the scanner's tables.
func (p *Plan) compile(opts Options) error {
	p.wanted = make(map[string]bool, len(p.fields))
	for i := range p.fields {
		if err := p.place(i); err != nil {
			return err
		}
	}
	for n, i := range p.aside {
		p.fields[i].slot = len(p.paths) + n
	}
	duplicates := jsonscan.Last
	if opts.RejectDuplicates {
		duplicates = jsonscan.Reject
	}
	if opts.UnknownFields == Report {
		p.exists = make(map[string]bool, len(opts.Existing))
		for _, name := range opts.Existing {
			p.exists[name] = true
		}
	}
	var err error
	p.scan, err = jsonscan.Compile(p.paths, jsonscan.Options{
		Duplicates: duplicates, TrackUnknown: opts.UnknownFields != Ignore, MaxDepth: opts.MaxDepth,
	})
	if err != nil {
		return fmt.Errorf("compiling the paths of the columns: %w", err)
	}
	return nil
}

// place finds where a field's value stands in a document, or notes that it does not stand there.
func (p *Plan) place(i int) error {
	f := &p.fields[i]
	if f.source.kind != fromPath {
		p.aside = append(p.aside, i)
		return nil
	}
	if f.source.name == "" {
		f.slot = p.path([]jsonscan.Step{{Name: f.name}})
		p.alternatives(i)
		return nil
	}
	steps, err := jsonscan.ParsePath(f.source.name)
	if err != nil {
		return fmt.Errorf("column %q: %w", f.name, err)
	}
	f.slot = p.path(steps)
	return nil
}

func (p *Plan) path(steps []jsonscan.Step) int {
	p.wanted[steps[0].Name] = true
	p.paths = append(p.paths, steps)
	return len(p.paths) - 1
}

// alternative is a second place to look at for a column whose name has dots: `n.a` may stand in the document as such, as
// member a of object n, or, for an Array, as the members a of an array n of objects (a Nested column, flattened).
type alternative struct {
	field  int
	member int    // slot of the path n → a
	rows   int    // slot of n, -1 where the column is not an Array
	name   string // a
}

func (p *Plan) alternatives(i int) {
	f := &p.fields[i]
	if !strings.Contains(f.name, ".") {
		return
	}
	var steps []jsonscan.Step
	for name := range strings.SplitSeq(f.name, ".") {
		if name == "" {
			return
		}
		steps = append(steps, jsonscan.Step{Name: name})
	}
	alt := alternative{field: i, member: p.path(steps), rows: -1, name: steps[len(steps)-1].Name}
	if f.codec.array {
		alt.rows = p.path(steps[:len(steps)-1])
	}
	p.nested = append(p.nested, alt)
}

// Column finds a column by its name.
func (p *Plan) Column(name string) (i int, t *Type, ok bool) {
	i, ok = p.byName[name]
	if !ok {
		return 0, nil, false
	}
	return i, p.fields[i].typ, true
}

// Columns returns the names of the columns in their order.
func (p *Plan) Columns() []string {
	names := make([]string, len(p.fields))
	for i := range p.fields {
		names[i] = p.fields[i].name
	}
	return names
}

// Omitted returns the names of the columns that a mask of Reader.Omitted stands for.
func (p *Plan) Omitted(mask uint64) []string {
	var names []string
	for _, i := range p.server {
		if p.fields[i].omit&mask != 0 {
			names = append(names, p.fields[i].name)
		}
	}
	return names
}
