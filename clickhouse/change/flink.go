package change

// flink reads op and data of Flink's changelog-json, in which an update is two records.
func (d *Decoder) flink() error {
	op, err := d.operation(0)
	if err != nil {
		return err
	}
	data, err := d.object(1)
	if err != nil {
		return err
	}
	return d.single(op, data)
}

// single adds the rows of a change that comes with one image.
func (d *Decoder) single(op Operation, image []byte) error {
	if op == Delete || op == UpdateBefore {
		return d.change(0, op, image, nil)
	}
	return d.change(0, op, nil, image)
}
