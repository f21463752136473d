package change

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"slices"
)

// unavailable stands for a value that PostgreSQL did not log, because it is stored apart and was not changed (Debezium's
// unavailable.value.placeholder). To write it would be to overwrite the value with it.
var unavailable = []byte("__debezium_unavailable_value")

// unavailableForms are how it is written in columns of text, and in those of bytes under each binary.handling.mode.
var unavailableForms = [][]byte{
	unavailable,
	[]byte(base64.RawStdEncoding.EncodeToString(unavailable)), // the padding may be escaped
	[]byte(hex.EncodeToString(unavailable)),
}

func lacksValue(image []byte) bool {
	return slices.ContainsFunc(unavailableForms, func(form []byte) bool { return bytes.Contains(image, form) })
}

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
		if lacksValue(d.rows[i].Image) {
			return refuse("a value is %s: the source did not log it, because it was not changed (PostgreSQL: ALTER TABLE … REPLICA IDENTITY FULL)", unavailable)
		}
	}
	return nil
}
