package column

import (
	"math"
	"strconv"
	"unsafe"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// float64Codec, float32Codec and bfloat16Codec take JSON numbers, strings of one (also nan, inf, +inf, -inf, infinity in any
// case) and booleans. A number is rounded to the nearest value the type has, which is no loss in the sense of this package;
// one beyond its range is refused.
func float64Codec(t *Type, _ *environment) (*codec, error) {
	return wordCodec(t, 8, 0, func(src []byte, s jsonscan.Span, x *scratch) (uint64, error) {
		if s.Kind == jsonscan.Number {
			if u, fraction, ok := pointed(src, s); ok { // both are exact, so that the quotient is rounded once
				return math.Float64bits(float64(u) / float64(pow10[fraction])), nil
			}
		}
		f, err := parseFloat(src, s, x, 64)
		return math.Float64bits(f), err
	}), nil
}

func float32Codec(t *Type, _ *environment) (*codec, error) {
	return wordCodec(t, 4, 0, func(src []byte, s jsonscan.Span, x *scratch) (uint64, error) {
		f, err := parseFloat32(src, s, x)
		return uint64(math.Float32bits(f)), err
	}), nil
}

// bfloat16Codec cuts a Float32 off after its upper half, as ClickHouse's BFloat16 does (base/base/BFloat16.h).
func bfloat16Codec(t *Type, _ *environment) (*codec, error) {
	return wordCodec(t, 2, 0, func(src []byte, s jsonscan.Span, x *scratch) (uint64, error) {
		f, err := parseFloat32(src, s, x)
		return uint64(math.Float32bits(f) >> 16), err
	}), nil
}

func parseFloat32(src []byte, s jsonscan.Span, x *scratch) (float32, error) {
	if s.Kind == jsonscan.Number {
		if u, fraction, ok := pointed(src, s); ok && u < 1<<24 { // exact as a Float32, as are powers of ten up to the tenth
			return float32(u) / float32(pow10[fraction]), nil
		}
	}
	f, err := parseFloat(src, s, x, 32)
	return float32(f), err
}

func parseFloat(src []byte, s jsonscan.Span, x *scratch, bits int) (float64, error) {
	text := src[s.Start:s.End]
	switch s.Kind {
	case jsonscan.Number:
		f, err := jsonscan.ParseFloat(text, bits)
		if err != nil {
			return 0, reject(src, s, "is out of range")
		}
		return f, nil
	case jsonscan.True:
		return 1, nil
	case jsonscan.False:
		return 0, nil
	case jsonscan.String, jsonscan.Escaped:
		var err error
		if text, err = x.string(src, s); err != nil {
			return 0, err
		}
		if !floatText(text) {
			return 0, notA(src, s, "a number")
		}
	default:
		return 0, notA(src, s, "a number")
	}
	f, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(text), len(text)), bits)
	if err == nil {
		return f, nil
	}
	if math.IsInf(f, 0) {
		return 0, reject(src, s, "is out of range")
	}
	return 0, notA(src, s, "a number")
}

// floatText keeps from strconv what it takes beyond decimal numbers, nan and inf: hexadecimal floats and underscores.
func floatText(text []byte) bool {
	for _, c := range text {
		if c == 'x' || c == 'X' || c == '_' {
			return false
		}
	}
	return len(text) > 0
}
