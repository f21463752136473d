package change

import "github.com/benthos-clickhouse/connect/internal/jsonscan"

// canal reads type, data and old. data are the rows as they are, or as they were when they were deleted; old has, for each of them,
// the columns that an update changed with the values they had.
func (d *Decoder) canal() error {
	op, known := ParseOperation(d.span(0).Bytes(d.doc))
	if d.span(3).Kind == jsonscan.True {
		if op == Truncate {
			return d.truncate()
		}
		return nil // a change of the schema
	}
	if !known {
		_, err := d.operation(0)
		return err
	}
	if op == Truncate {
		return d.truncate()
	}
	if op == Ignore {
		return nil
	}
	data, old := d.span(1), d.span(2)
	if data.Kind != jsonscan.Array {
		return d.canalRow(0, op, data, old)
	}
	rows, olds := jsonscan.NewElements(d.doc, data), jsonscan.NewElements(d.doc, old)
	for n := 0; ; n++ {
		row, ok := rows.Next()
		if !ok {
			return nil
		}
		was, _ := olds.Next()
		if err := d.canalRow(n, op, row, was); err != nil {
			return err
		}
	}
}

func (d *Decoder) canalRow(n int, op Operation, data, old jsonscan.Span) error {
	if data.Kind != jsonscan.Object {
		return refuse("row %d of data is %s, not an object with the columns of a row", n, data.Kind)
	}
	row := data.Bytes(d.doc)
	switch op {
	case Delete, UpdateBefore:
		return d.change(n, op, row, nil)
	case Update:
		moves, err := d.mayMove(old)
		if err != nil {
			return err
		}
		if moves {
			return d.change(n, op, d.overlay(data, old), row)
		}
	}
	return d.change(n, op, nil, row)
}

// mayMove tells whether the row as it was is needed: old has what an update changed.
func (d *Decoder) mayMove(old jsonscan.Span) (bool, error) {
	if old.Kind != jsonscan.Object || d.opts.Mode == Collapsing {
		return old.Kind == jsonscan.Object, nil
	}
	if d.keys == nil {
		return false, nil
	}
	if err := d.keys.Scan(old.Bytes(d.doc), d.was); err != nil {
		return false, refuse("reading old: %v", err)
	}
	for _, s := range d.was {
		if s.Kind != jsonscan.Missing {
			return true, nil
		}
	}
	return false, nil
}

// overlay is the row as it was: data with the members of old in the place of its own.
func (d *Decoder) overlay(data, old jsonscan.Span) []byte {
	start := len(d.merged)
	d.merged = append(d.merged, '{')
	members := jsonscan.NewMembers(d.doc, data)
	for {
		name, value, ok := members.Next()
		if !ok {
			break
		}
		if was, ok := d.member(old, name); ok {
			value = was
		}
		d.append(start, name, value)
	}
	members = jsonscan.NewMembers(d.doc, old)
	for {
		name, value, ok := members.Next()
		if !ok {
			break
		}
		if _, ok := d.member(data, name); !ok { // a column that is gone since
			d.append(start, name, value)
		}
	}
	d.merged = append(d.merged, '}')
	return d.merged[start:len(d.merged):len(d.merged)]
}

// member finds the last member of an object that is called as another one: both names come from the same writer, so that equal ones
// are written the same.
func (d *Decoder) member(object, name jsonscan.Span) (found jsonscan.Span, ok bool) {
	members := jsonscan.NewMembers(d.doc, object)
	for {
		n, value, more := members.Next()
		if !more {
			return found, ok
		}
		if string(n.Bytes(d.doc)) == string(name.Bytes(d.doc)) {
			found, ok = value, true
		}
	}
}

// append writes a member behind the others of an object that begins at start.
func (d *Decoder) append(start int, name, value jsonscan.Span) {
	if len(d.merged) > start+1 {
		d.merged = append(d.merged, ',')
	}
	d.merged = append(d.merged, d.doc[name.Start-1:name.End+1]...)
	d.merged = append(d.merged, ':')
	if value.Kind == jsonscan.String || value.Kind == jsonscan.Escaped {
		value.Start, value.End = value.Start-1, value.End+1
	}
	d.merged = append(d.merged, value.Bytes(d.doc)...)
}
