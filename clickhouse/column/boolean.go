package column

import (
	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// boolCodec is Bool: true and false, the numbers 1 and 0, and strings of these ("True" and "FALSE" as ClickHouse has them too).
func boolCodec(t *Type, _ *environment) (*codec, error) {
	return wordCodec(t, 1, 0, func(src []byte, s jsonscan.Span, x *scratch) (uint64, error) {
		switch s.Kind {
		case jsonscan.True:
			return 1, nil
		case jsonscan.False:
			return 0, nil
		case jsonscan.Number, jsonscan.String, jsonscan.Escaped:
			text, err := x.string(src, s)
			if err != nil {
				return 0, err
			}
			switch string(text) {
			case "1", "true", "True", "TRUE":
				return 1, nil
			case "0", "false", "False", "FALSE":
				return 0, nil
			}
		}
		return 0, notA(src, s, "true, false, 1 or 0")
	}), nil
}
