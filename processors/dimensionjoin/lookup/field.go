package lookup

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/source"
)

// field finds a value of an event: in its bytes, on its structure, in the row of another dimension, or computed.
func (w *worker) field(i int, f *fieldPlan) (source.Field, error) {
	ev := &w.events[i]
	if f.computed >= 0 {
		if ev.Computed == nil {
			return source.Field{}, nil
		}
		v, err := ev.Computed(f.computed)
		if err != nil {
			return source.Field{}, err
		}
		return w.fromValue(v)
	}
	if f.path >= 0 {
		own, err := w.own(i, f)
		if err != nil || f.dim < 0 || own.Kind != jsonscan.Missing {
			return own, err
		}
	}
	row := w.rows[i*len(w.plan.dims)+f.dim]
	if row == nil {
		return source.Field{}, nil
	}
	return literal(row.Value(f.col)), nil
}

// own finds a value in the event itself.
func (w *worker) own(i int, f *fieldPlan) (source.Field, error) {
	ev := &w.events[i]
	if ev.Object != nil {
		v, ok := walk(ev.Object, f.steps)
		if !ok {
			return source.Field{}, nil
		}
		return w.fromValue(v)
	}
	span := jsonscan.Span{}
	if f.saved >= 0 {
		span = w.saved[i*w.plan.saved+f.saved]
	} else {
		span = w.spans[f.path]
	}
	return source.Field{Kind: span.Kind, Text: span.Bytes(ev.Doc)}, nil
}

// walk follows a path through a structure.
func walk(v any, steps []jsonscan.Step) (any, bool) {
	for _, s := range steps {
		if s.Name == "" {
			list, ok := v.([]any)
			if !ok || s.Index >= len(list) || s.Index < 0 {
				return nil, false
			}
			v = list[s.Index]
			continue
		}
		object, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = object[s.Name]; !ok {
			return nil, false
		}
	}
	return v, true
}

// fromValue writes a Go value of a structure as the field that the event's JSON would have had.
func (w *worker) fromValue(v any) (source.Field, error) {
	start := len(w.text)
	kind := jsonscan.Number
	switch v := v.(type) {
	case nil:
		return source.Field{Kind: jsonscan.Null}, nil
	case bool:
		if v {
			return source.Field{Kind: jsonscan.True, Text: []byte("true")}, nil
		}
		return source.Field{Kind: jsonscan.False, Text: []byte("false")}, nil
	case string:
		w.text, kind = append(w.text, v...), jsonscan.String
	case []byte:
		w.text, kind = append(w.text, v...), jsonscan.String
	case json.Number:
		w.text = append(w.text, v...)
	case int:
		w.text = strconv.AppendInt(w.text, int64(v), 10)
	case int32:
		w.text = strconv.AppendInt(w.text, int64(v), 10)
	case int64:
		w.text = strconv.AppendInt(w.text, v, 10)
	case uint32:
		w.text = strconv.AppendUint(w.text, uint64(v), 10)
	case uint64:
		w.text = strconv.AppendUint(w.text, v, 10)
	case float32:
		return w.fromValue(float64(v))
	case float64:
		b, err := json.Marshal(v) // as Benthos would write it
		if err != nil {
			return source.Field{}, fmt.Errorf("%v is no key", v)
		}
		w.text = append(w.text, b...)
	case time.Time:
		w.text, kind = v.AppendFormat(w.text, time.RFC3339Nano), jsonscan.String
	case map[string]any:
		return source.Field{Kind: jsonscan.Object, Text: []byte("{…}")}, nil
	case []any:
		return source.Field{Kind: jsonscan.Array, Text: []byte("[…]")}, nil
	default:
		return source.Field{}, fmt.Errorf("a value of type %T is no key", v)
	}
	return source.Field{Kind: kind, Text: w.text[start:len(w.text):len(w.text)]}, nil
}

// literal takes a JSON literal of a row for a field.
func literal(text []byte) source.Field {
	switch text[0] {
	case '"':
		inner := text[1 : len(text)-1]
		for _, b := range inner {
			if b == '\\' {
				return source.Field{Kind: jsonscan.Escaped, Text: inner}
			}
		}
		return source.Field{Kind: jsonscan.String, Text: inner}
	case 't':
		return source.Field{Kind: jsonscan.True, Text: text}
	case 'f':
		return source.Field{Kind: jsonscan.False, Text: text}
	case 'n':
		return source.Field{Kind: jsonscan.Null, Text: text}
	case '{':
		return source.Field{Kind: jsonscan.Object, Text: text}
	case '[':
		return source.Field{Kind: jsonscan.Array, Text: text}
	default:
		return source.Field{Kind: jsonscan.Number, Text: text}
	}
}
