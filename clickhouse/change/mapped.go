package change

import "github.com/benthos-clickhouse/connect/clickhouse/column"

// mapped takes what a mapping made of the record.
func (d *Decoder) mapped(result any) error {
	switch r := result.(type) {
	case string:
		op, err := operationOf(r)
		if err != nil {
			return err
		}
		return d.single(op, d.doc)
	case map[string]any:
		name, _ := r["op"].(string)
		op, err := operationOf(name)
		if err != nil {
			return err
		}
		before, err := image("before", r["before"])
		if err != nil {
			return err
		}
		after, err := image("after", r["after"])
		if err != nil {
			return err
		}
		return d.change(0, op, before, after)
	case nil:
		return refuse("changes.operation has no result: it must be an operation such as \"update\", or an object of op, before and after")
	}
	return refuse("changes.operation made %T of the record: it must be an operation such as \"update\", or an object of op, before and after", result)
}

func operationOf(name string) (Operation, error) {
	op, ok := ParseOperation([]byte(name))
	if !ok {
		return unknown, refuse("changes.operation is %s: use insert, update, upsert, delete, update_before, update_after, truncate or ignore", shorten([]byte(name)))
	}
	return op, nil
}

// image writes an image that a mapping gave as values.
func image(name string, v any) ([]byte, error) {
	if v == nil {
		return nil, nil
	}
	if _, ok := v.(map[string]any); !ok {
		return nil, refuse("%s of changes.operation is a %T, not an object with the columns of a row", name, v)
	}
	text, err := column.AppendJSON(nil, v)
	if err != nil {
		return nil, refuse("%s of changes.operation: %v", name, err)
	}
	return text, nil
}
