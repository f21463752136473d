package column

import (
	"fmt"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// enumCodec is Enum8 and Enum16: one of the names, or one of the numbers (as a JSON number, or as a string that is no name). The
// default is the lowest number, as in ClickHouse (DataTypes/EnumValues.cpp sorts by it).
func enumCodec(t *Type, _ *environment) (*codec, error) {
	if len(t.Enum) == 0 {
		return nil, fmt.Errorf("the type has no names")
	}
	width := 2
	if t.Name == "Enum8" {
		width = 1
	}
	number := newInteger(2, true)
	names, values, lowest := make(map[string]uint64), make(map[uint64]bool), t.Enum[0].Value
	for _, e := range t.Enum {
		u := uint64(int64(e.Value))
		names[e.Name], values[u], lowest = u, true, min(lowest, e.Value)
	}
	return wordCodec(t, width, uint64(int64(lowest)), func(src []byte, s jsonscan.Span, x *scratch) (uint64, error) {
		switch s.Kind {
		case jsonscan.String, jsonscan.Escaped:
			text, err := x.string(src, s)
			if err != nil {
				return 0, err
			}
			if u, ok := names[string(text)]; ok {
				return u, nil
			}
		case jsonscan.Number:
		default:
			return 0, notA(src, s, "a name or number of the type")
		}
		if u, err := number.parse(src, s, x); err == nil && values[u] {
			return u, nil
		}
		return 0, notA(src, s, "a name or number of the type")
	}), nil
}
