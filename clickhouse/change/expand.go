package change

import "github.com/benthos-clickhouse/connect/internal/jsonscan"

// change adds the rows of one change. n numbers the changes of a record from 0.
func (d *Decoder) change(n int, op Operation, before, after []byte) error {
	switch op {
	case Ignore:
		return nil
	case Truncate:
		return d.truncate()
	case Delete, UpdateBefore:
		if before == nil {
			return refuse("a %s without the row as it was: the source has to log whole rows (MySQL: binlog_row_image=FULL, PostgreSQL: REPLICA IDENTITY FULL, or a primary key)", op)
		}
		d.remove(n, before)
		return nil
	}
	if after == nil {
		return refuse("a change of kind %s without the row as it is", op)
	}
	if op == Update || op == Upsert && (before != nil || d.opts.Mode == Collapsing) {
		if err := d.replaced(n, op, before, after); err != nil {
			return err
		}
	}
	d.put(n, after)
	return nil
}

func (d *Decoder) remove(n int, image []byte) {
	d.rows = append(d.rows, Row{Image: image, Removes: true, Ordinal: 2 * n})
}

func (d *Decoder) put(n int, image []byte) {
	d.rows = append(d.rows, Row{Image: image, Ordinal: 2*n + 1})
}

// replaced takes away the row that an update replaces, where the row to come does not do so by itself.
func (d *Decoder) replaced(n int, op Operation, before, after []byte) error {
	if d.opts.Mode == Collapsing {
		if before == nil {
			return refuse("an %s without the row as it was, which write_mode collapsing takes back: the source has to log whole rows (MySQL: binlog_row_image=FULL, PostgreSQL: REPLICA IDENTITY FULL)", op)
		}
		d.remove(n, before)
		return nil
	}
	if before == nil {
		return nil // the source tells of it when a key changes
	}
	moved, err := d.moved(before, after)
	if moved {
		d.remove(n, before)
	}
	return err
}

// moved tells whether the update gave the row another key. Values that are the same and written differently count as different:
// the row is then taken away and put again, in this order, which is the same in the end.
func (d *Decoder) moved(before, after []byte) (bool, error) {
	if d.keys == nil {
		return false, nil
	}
	if err := d.keys.Scan(before, d.was); err != nil {
		return false, refuse("reading the row as it was: %v", err)
	}
	if err := d.keys.Scan(after, d.is); err != nil {
		return false, refuse("reading the row as it is: %v", err)
	}
	for i, was := range d.was {
		is := d.is[i]
		if was.Kind == jsonscan.Missing {
			continue // not told, so not changed
		}
		if was.Kind != is.Kind || string(was.Bytes(before)) != string(is.Bytes(after)) {
			return true, nil
		}
	}
	return false, nil
}

func (d *Decoder) truncate() error {
	if d.opts.Truncations == PolicyIgnore {
		return nil
	}
	return refuse("the source table was emptied, which no row can say: run TRUNCATE TABLE on the local tables, and pass the record over with changes.truncations: ignore")
}
