package change

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// Row is one row to be written for a change. A record has none, one, two, or with Canal any number of them; those of one record are
// written together or not at all, in their order.
type Row struct {
	// Image is the row as a JSON object; a part of the record, or valid until the Decoder's next record.
	Image []byte
	// Removes says that the row is taken away: the deletion flag is set, or the sign is −1.
	Removes bool
	// Ordinal tells the row from others of the same record. It is the same each time the record is read.
	Ordinal int
}

// Record is what a Decoder reads.
type Record struct {
	Value []byte // the record's value; empty for a tombstone
	Key   []byte // the record's key, for tombstones that delete
	// Operation is what a mapping made of the record, with FormatMapping: the operation as a string, with the record itself as the row, or
	// an object of op, before and after.
	Operation any
}

// Decoder reads one record after the other. It is the scratch of one goroutine.
type Decoder struct {
	opts    Options
	shape   *shape
	scanner *jsonscan.Scanner // of the envelope; nil with FormatMapping
	spans   []jsonscan.Span
	keys    *jsonscan.Scanner // of an image; nil without keys
	was, is []jsonscan.Span   // the keys of two images
	whole   *jsonscan.Scanner // of the keys that must be there in a row that is taken away; nil without
	there   []jsonscan.Span
	doc     []byte
	base    int // of the paths below the wrapper, or at the top
	rows    []Row
	merged  []byte // images that are not a part of the record
	scratch []byte
}

// shape is where a format keeps things, relative to the wrapper.
type shape struct {
	paths   []string
	wrapper string
	read    func(*Decoder) error
}

var shapes = map[Format]*shape{
	FormatDebezium: {paths: []string{"op", "before", "after"}, wrapper: "payload", read: (*Decoder).debezium},
	FormatCanal:    {paths: []string{"type", "data", "old", "isDdl"}, read: (*Decoder).canal},
	FormatFlink:    {paths: []string{"op", "data"}, read: (*Decoder).flink},
}

// NewDecoder returns a decoder for one goroutine. The error names the option or path that is wrong.
func NewDecoder(opts Options) (*Decoder, error) {
	opts.setDefaults()
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	d := &Decoder{opts: opts, shape: shapes[opts.Format]}
	if err := d.compileEnvelope(); err != nil {
		return nil, err
	}
	return d, d.compileKeys()
}

// compileEnvelope makes the scanner of the envelope: its paths at the top, and once more below the wrapper, which comes last.
func (d *Decoder) compileEnvelope() error {
	var own []string
	wrapper := ""
	if d.shape != nil {
		own, wrapper = d.shape.paths, d.shape.wrapper
	}
	relative := append(append([]string(nil), own...), d.opts.Envelope...)
	if len(relative) == 0 {
		return nil
	}
	paths := make([][]jsonscan.Step, 0, 2*len(relative)+1)
	for _, p := range relative {
		steps, err := jsonscan.ParsePath(p)
		if err != nil {
			return fmt.Errorf("reading the path of an envelope: %w", err)
		}
		paths = append(paths, steps)
	}
	if wrapper != "" {
		for _, steps := range paths {
			paths = append(paths, append([]jsonscan.Step{{Name: wrapper}}, steps...))
		}
		paths = append(paths, []jsonscan.Step{{Name: wrapper}})
	}
	fields, err := jsonscan.Compile(paths, jsonscan.Options{})
	if err != nil {
		return fmt.Errorf("compiling the paths of an envelope: %w", err)
	}
	d.scanner, d.spans = fields.NewScanner(), make([]jsonscan.Span, len(paths))
	return nil
}

func (d *Decoder) compileKeys() error {
	if d.opts.Mode != Replacing {
		return nil
	}
	var err error
	if d.keys, err = keyScanner(d.opts.Keys); err != nil {
		return err
	}
	if d.whole, err = keyScanner(d.opts.Complete); err != nil {
		return err
	}
	d.was, d.is = make([]jsonscan.Span, len(d.opts.Keys)), make([]jsonscan.Span, len(d.opts.Keys))
	d.there = make([]jsonscan.Span, len(d.opts.Complete))
	return nil
}

// keyScanner finds members of an image; nil when there are none to be found.
func keyScanner(keys []string) (*jsonscan.Scanner, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	paths := make([][]jsonscan.Step, len(keys))
	for i, p := range keys {
		var err error
		if paths[i], err = jsonscan.ParsePath(p); err != nil {
			return nil, fmt.Errorf("reading the path of a key: %w", err)
		}
	}
	// Without StopEarly, so that of a member that stands twice the same one counts here as in the row.
	fields, err := jsonscan.Compile(paths, jsonscan.Options{})
	if err != nil {
		return nil, fmt.Errorf("compiling the paths of the key: %w", err)
	}
	return fields.NewScanner(), nil
}

// complete refuses a row that is taken away without all of its key.
func (d *Decoder) complete(image []byte) error {
	if d.whole == nil {
		return nil
	}
	if err := d.whole.Scan(image, d.there); err != nil {
		return refuse("reading the row that is taken away: %v", err)
	}
	for i, s := range d.there {
		if s.Kind == jsonscan.Missing {
			return refuse("the row that is taken away, %s, does not have %s, which the table is ordered by: it would be looked for under another key", shorten(image), d.opts.Complete[i])
		}
	}
	return nil
}

// Rows returns the rows that tell of the record's change; none for a record that says nothing about rows. They are valid until the
// next call. The error is a *RecordError.
func (d *Decoder) Rows(rec Record) ([]Row, error) {
	rows, err := d.read(rec)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		if !rows[i].Removes {
			continue
		}
		if err := d.complete(rows[i].Image); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func (d *Decoder) read(rec Record) ([]Row, error) {
	d.rows, d.merged, d.doc = d.rows[:0], d.merged[:0], nil
	if isNull(rec.Value) {
		return d.tombstone(rec.Key)
	}
	if d.scanner != nil {
		if err := d.scanner.Scan(rec.Value, d.spans); err != nil {
			return nil, &RecordError{Reason: fmt.Sprintf("reading %s: %v", shorten(rec.Value), err), Err: err}
		}
	}
	d.doc, d.base = rec.Value, 0
	if d.shape == nil {
		return d.rows, d.mapped(rec.Operation)
	}
	if d.shape.wrapper != "" {
		switch d.spans[len(d.spans)-1].Kind {
		case jsonscan.Object:
			d.base = len(d.spans) / 2
		case jsonscan.Null:
			return d.tombstone(rec.Key)
		}
	}
	err := d.shape.read(d)
	return d.rows, err
}

// isNull tells whether a value is none: absent, or JSON's null.
func isNull(value []byte) bool {
	return len(value) == 0 || len(value) < 16 && string(bytes.TrimSpace(value)) == "null"
}

// span is where path i of the format stands.
func (d *Decoder) span(i int) jsonscan.Span { return d.spans[d.base+i] }

// object returns an image; nil where it is missing or null.
func (d *Decoder) object(i int) ([]byte, error) {
	switch s := d.span(i); s.Kind {
	case jsonscan.Object:
		return s.Bytes(d.doc), nil
	case jsonscan.Missing, jsonscan.Null:
		return nil, nil
	default:
		return nil, refuse("%s is %s, not an object with the columns of a row", d.shape.paths[i], s.Kind)
	}
}

// operation reads path i.
func (d *Decoder) operation(i int) (Operation, error) {
	s := d.span(i)
	if s.Kind != jsonscan.String {
		return unknown, refuse("the record does not say what happened: %s is missing (is changes.format right?)", d.shape.paths[i])
	}
	op, ok := ParseOperation(s.Bytes(d.doc))
	if !ok {
		return unknown, refuse("%s is %s, which is no operation", d.shape.paths[i], shorten(s.Bytes(d.doc)))
	}
	return op, nil
}

// Envelope gives the value of path i of Options.Envelope in the record at hand, as the Go value that JSON means.
func (d *Decoder) Envelope(i int) (any, bool) {
	if d.doc == nil {
		return nil, false
	}
	if d.shape != nil {
		i += len(d.shape.paths)
	}
	s := d.span(i)
	text := s.Bytes(d.doc)
	switch s.Kind {
	case jsonscan.Missing:
		return nil, false
	case jsonscan.Null:
		return nil, true
	case jsonscan.False, jsonscan.True:
		return s.Kind == jsonscan.True, true
	case jsonscan.Number:
		return json.Number(text), true
	case jsonscan.Escaped:
		d.scratch, _ = jsonscan.Unescape(d.scratch[:0], text)
		return string(d.scratch), true
	default:
		return string(text), true // objects and arrays as their text
	}
}

// tombstone is a record without a value.
func (d *Decoder) tombstone(key []byte) ([]Row, error) {
	switch d.opts.Tombstones {
	case PolicyIgnore:
		return nil, nil
	case PolicyReject:
		return nil, refuse("the record has no value")
	}
	image, err := keyImage(key)
	if err != nil {
		return nil, err
	}
	d.rows = append(d.rows, Row{Image: image, Removes: true})
	return d.rows, nil
}

// keyImage is the row that a record's key names: the key itself, or its payload.
func keyImage(key []byte) ([]byte, error) {
	s, err := jsonscan.Value(key)
	if err != nil || s.Kind != jsonscan.Object {
		return nil, refuse("the record has no value, and its key %s is not a JSON object that names the row", shorten(key))
	}
	members := jsonscan.NewMembers(key, s)
	var payload jsonscan.Span
	schema := false
	for {
		name, value, ok := members.Next()
		if !ok {
			break
		}
		switch string(name.Bytes(key)) {
		case "payload":
			payload = value
		case "schema":
			schema = true
		}
	}
	if schema && payload.Kind == jsonscan.Object {
		return payload.Bytes(key), nil
	}
	return s.Bytes(key), nil
}
