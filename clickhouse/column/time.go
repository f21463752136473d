package column

import (
	"bytes"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// lastTime is the bound of Time and Time64 to both sides: 999:59:59.
const lastTime = 999*3600 + 59*60 + 59

// timeCodec is Time: [-]h…:mm:ss up to 999:59:59, or a number of seconds.
func timeCodec(t *Type, _ *environment) (*codec, error) {
	return wordCodec(t, 4, 0, func(src []byte, s jsonscan.Span, x *scratch) (uint64, error) {
		return parseTime(src, s, x, 0, false)
	}), nil
}

// time64Codec is Time64(P): the same with a fraction; numbers count ticks of the column's scale.
func time64Codec(t *Type, _ *environment) (*codec, error) {
	return wordCodec(t, 8, 0, func(src []byte, s jsonscan.Span, x *scratch) (uint64, error) {
		return parseTime(src, s, x, t.Scale, true)
	}), nil
}

func parseTime(src []byte, s jsonscan.Span, x *scratch, scale int, fractions bool) (uint64, error) {
	limit := (lastTime+1)*pow10[scale] - 1
	var ticks int64
	switch s.Kind {
	case jsonscan.Number:
		var err error
		if ticks, err = jsonscan.ParseInt64(src[s.Start:s.End]); err != nil {
			return 0, notA(src, s, "a number of ticks")
		}
	case jsonscan.String, jsonscan.Escaped:
		text, err := x.string(src, s)
		if err != nil {
			return 0, err
		}
		var ok bool
		if ticks, ok = clockTicks(text, scale, fractions); !ok {
			return 0, notA(src, s, "a time")
		}
	default:
		return 0, notA(src, s, "a time")
	}
	if ticks < -limit || ticks > limit {
		return 0, reject(src, s, "is not between -999:59:59 and 999:59:59")
	}
	return uint64(ticks), nil
}

// clockTicks reads [-]h…:mm:ss[.f…], of which the second may be a leap second; Time has no fractions, of Time64 digits beyond the scale are cut off, as those of a DateTime64 are.
func clockTicks(text []byte, scale int, fractions bool) (int64, bool) {
	negative := len(text) > 0 && text[0] == '-'
	if negative {
		text = text[1:]
	}
	whole, fraction, dotted := bytes.Cut(text, []byte{'.'})
	if len(whole) < 7 || len(whole) > 9 || whole[len(whole)-3] != ':' || whole[len(whole)-6] != ':' {
		return 0, false
	}
	n := len(whole)
	hours, ok1 := number(whole[:n-6])
	minutes, ok2 := number(whole[n-5 : n-3])
	seconds, ok3 := number(whole[n-2:])
	if !ok1 || !ok2 || !ok3 || minutes > 59 || seconds > 60 || dotted && (len(fraction) == 0 || !fractions) {
		return 0, false
	}
	ticks := int64(hours*3600+minutes*60+seconds) * pow10[scale]
	for i, c := range fraction {
		if c -= '0'; c > 9 {
			return 0, false
		} else if i < scale {
			ticks += int64(c) * pow10[scale-i-1]
		}
	}
	if negative {
		ticks = -ticks
	}
	return ticks, true
}
