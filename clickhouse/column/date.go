package column

import (
	"math"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// dateCodec is Date: YYYY-MM-DD, also followed by a midnight (00:00:00, in UTC if it names a zone), or a number of days since
// 1970-01-01. Another time of day is refused, since the column would lose it.
func dateCodec(t *Type, _ *environment) (*codec, error) {
	return wordCodec(t, 2, 0, func(src []byte, s jsonscan.Span, x *scratch) (uint64, error) {
		return parseDate(src, s, x, 0, math.MaxUint16, "1970-01-01 and 2149-06-06")
	}), nil
}

// date32Codec is Date32, under the same rules.
func date32Codec(t *Type, _ *environment) (*codec, error) {
	return wordCodec(t, 4, 0, func(src []byte, s jsonscan.Span, x *scratch) (uint64, error) {
		return parseDate(src, s, x, -25567, 120529, "1900-01-01 and 2299-12-31")
	}), nil
}

func parseDate(src []byte, s jsonscan.Span, x *scratch, low, high int64, bounds string) (uint64, error) {
	text := src[s.Start:s.End]
	if s.Kind == jsonscan.Escaped {
		var err error
		if text, err = x.string(src, s); err != nil {
			return 0, err
		}
	}
	var days int64
	switch s.Kind {
	case jsonscan.String, jsonscan.Escaped:
		var m moment
		if !m.parse(text, x) {
			return 0, notA(src, s, "a date")
		}
		if m.seconds != 0 || m.nanos != 0 || m.offset != 0 {
			return 0, reject(src, s, "has a time of day, which a date would lose")
		}
		days = int64(m.days)
	case jsonscan.Number:
		var err error
		if days, err = jsonscan.ParseInt64(text); err != nil {
			return 0, notA(src, s, "a number of days")
		}
	default:
		return 0, notA(src, s, "a date")
	}
	if days < low || days > high {
		return 0, reject(src, s, "is not between %s", bounds)
	}
	return uint64(days), nil
}
