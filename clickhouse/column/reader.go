package column

import (
	"fmt"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// Reader holds one row at a time: the document, and where in it each column's value stands. It belongs to one goroutine and
// is used over and over. Provenance, metadata and computed values are set before the row is read, or at the latest before
// the first Key, Omitted or Append after it.
type Reader struct {
	plan    *Plan
	scanner *jsonscan.Scanner
	x       scratch

	doc   []byte
	spans []jsonscan.Span // one per path, then one per field that does not come out of the document
	aside []byte          // the text of the latter, and of the whole row on the structured path
	keys  []byte          // what Key's values point into

	prov     Provenance
	meta     func(name string) (any, bool)
	computed []any

	read     bool           // a row is held
	settled  bool           // what does not come out of the document is rendered, the omitted columns are known
	row      map[string]any // the row, on the structured path
	rowText  int            // how much of aside belongs to the document
	moved    []bool         // fields whose value was gathered into aside
	asideErr error
	omitted  uint64
	unknown  []Unknown
	listed   bool // unknown speaks of this row
}

// NewReader returns the scratch for one goroutine.
func (p *Plan) NewReader() *Reader { return p.newReader(p.scan.NewScanner()) }

func (p *Plan) newReader(scanner *jsonscan.Scanner) *Reader {
	r := &Reader{plan: p, scanner: scanner, spans: make([]jsonscan.Span, len(p.paths)+len(p.aside))}
	if len(p.nested) > 0 {
		r.moved = make([]bool, len(p.fields))
	}
	return r
}

// Sibling returns a reader of the same goroutine that holds a row of its own. What one of the two learns of the documents'
// form helps the other; Unknown speaks of the row that was read last.
func (r *Reader) Sibling() *Reader { return r.plan.newReader(r.scanner) }

// keptScratch is how much memory for one row a reader keeps from batch to batch.
const keptScratch = 64 << 10

// Forget lets go of the row and of what was set for it, and of the memory that an unusually large row has taken.
func (r *Reader) Forget() {
	r.begin()
	r.listed = true // nothing
	r.doc, r.unknown, r.prov, r.meta, r.computed = nil, nil, Provenance{}, nil, nil
	if cap(r.aside)+cap(r.keys)+cap(r.x.text) > keptScratch {
		r.aside, r.keys, r.x.text = nil, nil, nil
	}
}

// SetProvenance tells which Kafka record the following rows come from, until it is set again.
func (r *Reader) SetProvenance(p Provenance) { r.prov, r.settled = p, false }

// SetMeta gives the look-up of metadata that is not provenance; it is called for each row. Values are Go values as in ReadValue.
func (r *Reader) SetMeta(lookup func(name string) (any, bool)) { r.meta, r.settled = lookup, false }

// SetComputed gives the values of the columns whose Source is Computed, as in ReadValue; Missing{} stands for no value.
func (r *Reader) SetComputed(values []any) { r.computed, r.settled = values, false }

// ReadJSON scans one document, which must stay untouched until the row was appended. Errors are *RowError.
func (r *Reader) ReadJSON(doc []byte) error {
	r.begin()
	if err := r.scanner.Scan(doc, r.spans[:len(r.plan.paths)]); err != nil {
		return &RowError{Reason: fmt.Sprintf("reading %s: %s", shorten(doc), err), Err: err}
	}
	r.doc = doc
	return r.accept()
}

// begin forgets the row before.
func (r *Reader) begin() {
	r.read, r.settled, r.listed = false, false, false
	r.row, r.rowText = nil, 0
	r.aside, r.keys = r.aside[:0], r.keys[:0]
}

// accept finishes reading a row of either path.
func (r *Reader) accept() error {
	if r.plan.unknown == Reject {
		if unknown := r.Unknown(); len(unknown) > 0 {
			return &RowError{Reason: fmt.Sprintf("no column takes %s", shorten([]byte(unknown[0].Name)))}
		}
	}
	if len(r.plan.nested) > 0 {
		if err := r.resolveNested(); err != nil {
			return err
		}
	}
	r.read = true
	return nil
}

// resolveNested moves what flattened columns found in a nested object to the slot of the column.
func (r *Reader) resolveNested() error {
	clear(r.moved)
	if r.row != nil {
		r.doc = r.aside
	}
	for i := range r.plan.nested {
		alt := &r.plan.nested[i]
		slot := r.plan.fields[alt.field].slot
		if r.spans[slot].Kind != jsonscan.Missing {
			continue
		}
		r.spans[slot] = r.spans[alt.member]
		if alt.rows >= 0 && r.spans[alt.rows].Kind == jsonscan.Array {
			if err := r.gather(alt); err != nil {
				return err
			}
		}
	}
	r.rowText = len(r.aside)
	return nil
}

// settle renders what does not come out of the document, and finds the columns left to the server.
func (r *Reader) settle() {
	r.settled, r.asideErr = true, nil
	r.aside = r.aside[:r.rowText]
	for _, i := range r.plan.aside {
		r.renderAside(&r.plan.fields[i])
	}
	if r.row != nil {
		r.doc = r.aside
	}
	r.omitted = 0
	for _, i := range r.plan.server {
		f := &r.plan.fields[i]
		if k := r.spans[f.slot].Kind; k == jsonscan.Missing || k == jsonscan.Null && !f.nullable {
			r.omitted |= f.omit
		}
	}
}

// Omitted has a bit for each column with a Server default that this row leaves out, in the order of the plan. Rows of one
// block share it.
func (r *Reader) Omitted() uint64 {
	if !r.settled {
		r.settle()
	}
	return r.omitted
}

// Key gives the value of column col as its column will hold it, after defaults, for routing. It is an error for a column of a composite
// type, and a *RowError for a value that does not convert or, around ErrServerDefault, that the server fills in.
func (r *Reader) Key(col int, dst *Value) error {
	if !r.settled {
		r.settle()
	}
	if r.asideErr != nil {
		return r.asideErr
	}
	f := &r.plan.fields[col]
	if f.codec.value == nil {
		return fmt.Errorf("column %q: a value of type %s cannot be a key", f.name, f.typ)
	}
	src, s := r.source(f)
	if s.Kind == jsonscan.Missing || s.Kind == jsonscan.Null && !f.nullable {
		if err := f.fallback.key(dst); err != nil {
			return &RowError{Column: f.name, Type: f.typ.String(), Reason: err.Error(), Err: err}
		}
		return nil
	}
	*dst = Value{}
	if s.Kind == jsonscan.Null {
		dst.Null = true
		return nil
	}
	if err := f.codec.value(src, s, &r.x, dst); err != nil {
		return f.rowError(err)
	}
	if dst.B != nil {
		r.keys = append(r.keys, dst.B...)
		dst.B = r.keys[len(r.keys)-len(dst.B):]
	}
	return nil
}

// source returns where a field's value stands, and in which text.
func (r *Reader) source(f *planned) ([]byte, jsonscan.Span) {
	if f.source.kind != fromPath || r.moved != nil && r.moved[f.index] {
		return r.aside, r.spans[f.slot]
	}
	return r.doc, r.spans[f.slot]
}

func (f *planned) rowError(err error) error {
	return &RowError{Column: f.name, Type: f.typ.String(), Reason: err.Error()}
}
