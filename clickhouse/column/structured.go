package column

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// ReadValue takes a row as the Go values an earlier processor left: a map[string]any of json.Number, numbers, strings,
// bools, nil, []byte, time.Time, []any and further maps. The values that columns want are written out as JSON text, and from
// there on the row is one that ReadJSON has read: results and errors are the same by construction.
func (r *Reader) ReadValue(v any) error {
	r.begin()
	row, ok := v.(map[string]any)
	if !ok {
		return &RowError{Reason: fmt.Sprintf("the row is a %T, not an object", v)}
	}
	r.row = row
	for i, steps := range r.plan.paths {
		v, ok := find(row, steps)
		if !ok {
			r.spans[i] = jsonscan.Span{}
			continue
		}
		var err error
		if r.aside, r.spans[i], err = appendValue(r.aside, v); err != nil {
			return &RowError{Column: steps[0].Name, Type: fmt.Sprintf("%T", v), Reason: err.Error()}
		}
	}
	r.rowText = len(r.aside)
	return r.accept()
}

// find walks down a path.
func find(v any, steps []jsonscan.Step) (any, bool) {
	for _, step := range steps {
		switch at := v.(type) {
		case map[string]any:
			next, ok := at[step.Name]
			if !ok || step.Name == "" {
				return nil, false
			}
			v = next
		case []any:
			if step.Name != "" || step.Index >= len(at) {
				return nil, false
			}
			v = at[step.Index]
		default:
			return nil, false
		}
	}
	return v, true
}

// appendValue writes a Go value as text that a span of its kind may stand on: a string without quotes or escapes, anything
// else as JSON.
func appendValue(dst []byte, v any) ([]byte, jsonscan.Span, error) {
	start := len(dst)
	kind := jsonscan.String
	switch v := v.(type) {
	case string:
		dst = append(dst, v...)
	case []byte:
		dst = append(dst, v...)
	case time.Time:
		dst = v.AppendFormat(dst, time.RFC3339Nano)
	default:
		var err error
		if dst, err = appendJSON(dst, v, 0); err != nil {
			return dst[:start], jsonscan.Span{}, err
		}
		if dst[start] == '"' { // a number that JSON has no literal for
			return dst, span(start+1, len(dst)-1, jsonscan.Escaped), nil
		}
		kind = kindOf(dst[start])
	}
	return dst, span(start, len(dst), kind), nil
}

func span(start, end int, kind jsonscan.Kind) jsonscan.Span {
	return jsonscan.Span{Start: int32(start), End: int32(end), Kind: kind}
}

// kindOf tells a JSON value that is no string by its first byte.
func kindOf(c byte) jsonscan.Kind {
	switch c {
	case 'n':
		return jsonscan.Null
	case 't':
		return jsonscan.True
	case 'f':
		return jsonscan.False
	case '{':
		return jsonscan.Object
	case '[':
		return jsonscan.Array
	}
	return jsonscan.Number
}

var errDeepValue = errors.New("nests too deep")

// AppendJSON writes a Go value that ReadValue takes as the JSON that ReadJSON makes the same of.
func AppendJSON(dst []byte, v any) ([]byte, error) { return appendJSON(dst, v, 0) }

// appendJSON writes a Go value as JSON. Members of maps come in the order of their names, so that equal rows give equal text.
func appendJSON(dst []byte, v any, depth int) ([]byte, error) {
	if depth > jsonscan.DefaultMaxDepth {
		return dst, errDeepValue
	}
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case string:
		return jsonscan.AppendString(dst, v), nil
	case []byte:
		return jsonscan.AppendString(dst, v), nil
	case time.Time:
		return append(v.AppendFormat(append(dst, '"'), time.RFC3339Nano), '"'), nil
	case map[string]any:
		return appendObject(dst, v, depth)
	case []any:
		return appendArray(dst, v, depth)
	}
	if dst, ok := appendNumber(dst, v); ok {
		return dst, nil
	}
	text, err := json.Marshal(v)
	if err != nil {
		return dst, fmt.Errorf("a %T has no JSON form: %w", v, err)
	}
	return append(dst, text...), nil
}

func appendObject(dst []byte, v map[string]any, depth int) ([]byte, error) {
	dst = append(dst, '{')
	for i, name := range slices.Sorted(maps.Keys(v)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(jsonscan.AppendString(dst, name), ':')
		var err error
		if dst, err = appendJSON(dst, v[name], depth+1); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

func appendArray(dst []byte, v []any, depth int) ([]byte, error) {
	dst = append(dst, '[')
	for i, e := range v {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = appendJSON(dst, e, depth+1); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

// appendNumber writes the numbers of Go; false means that v is none.
func appendNumber(dst []byte, v any) ([]byte, bool) {
	switch v := v.(type) {
	case json.Number:
		if _, err := jsonscan.ParseFloat([]byte(v), 64); errors.Is(err, jsonscan.ErrNumberSyntax) {
			return jsonscan.AppendString(dst, string(v)), true
		}
		return append(dst, v...), true
	case int:
		return strconv.AppendInt(dst, int64(v), 10), true
	case int64:
		return strconv.AppendInt(dst, v, 10), true
	case int32:
		return strconv.AppendInt(dst, int64(v), 10), true
	case int16:
		return strconv.AppendInt(dst, int64(v), 10), true
	case int8:
		return strconv.AppendInt(dst, int64(v), 10), true
	case uint:
		return strconv.AppendUint(dst, uint64(v), 10), true
	case uint64:
		return strconv.AppendUint(dst, v, 10), true
	case uint32:
		return strconv.AppendUint(dst, uint64(v), 10), true
	case uint16:
		return strconv.AppendUint(dst, uint64(v), 10), true
	case uint8:
		return strconv.AppendUint(dst, uint64(v), 10), true
	case float64:
		return appendFloat(dst, v, 64), true
	case float32:
		return appendFloat(dst, float64(v), 32), true
	}
	return dst, false
}

// appendFloat writes floats as encoding/json does, and those that JSON has no literal for as strings that float columns read.
func appendFloat(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `"nan"`...)
	case math.IsInf(f, 1):
		return append(dst, `"inf"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-inf"`...)
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, bits)
}
