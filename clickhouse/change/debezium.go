package change

import "bytes"

// unavailable stands for a value that PostgreSQL did not log, because it is stored apart and was not changed (Debezium's
// unavailable.value.placeholder). To write it would be to overwrite the value with it.
var unavailable = []byte("__debezium_unavailable_value")

// debezium reads op, before and after.
func (d *Decoder) debezium() error {
	op, err := d.operation(0)
	if err != nil {
		return err
	}
	before, err := d.object(1)
	if err != nil {
		return err
	}
	after, err := d.object(2)
	if err != nil {
		return err
	}
	if err := d.change(0, op, before, after); err != nil {
		return err
	}
	for i := range d.rows {
		if bytes.Contains(d.rows[i].Image, unavailable) {
			return refuse("a value is %s: the source did not log it, because it was not changed (PostgreSQL: ALTER TABLE … REPLICA IDENTITY FULL)", unavailable)
		}
	}
	return nil
}
