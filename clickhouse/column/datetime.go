package column

import (
	"bytes"
	"errors"
	"math"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// dateTimeCodec is DateTime: a date and time (see moment), a date (its midnight), or a Unix time in seconds, as a number
// or a string. Without a zone of its own the text is taken in the column's zone, or else the server's. Fractions of a second that a text has
// are cut off, as ClickHouse does; those of a number are refused.
func dateTimeCodec(t *Type, env *environment) (*codec, error) {
	z, err := env.newZone(t.Zone)
	if err != nil {
		return nil, err
	}
	p := &instant{zone: z}
	return wordCodec(t, 4, 0, func(src []byte, s jsonscan.Span, x *scratch) (uint64, error) {
		u, err := p.parse(src, s, x)
		if err != nil {
			return 0, err
		}
		if u < 0 || u > math.MaxUint32 {
			return 0, reject(src, s, "is not between 1970-01-01 00:00:00 and 2106-02-07 06:28:15 UTC")
		}
		return uint64(u), nil
	}), nil
}

// DateTime64 reaches over the years 1 to 9999, as far as 64 bits of ticks do (ClickHouse 26.7; servers before it print what is
// before 1900 or after 2299 as the nearest of these).
const (
	firstSecond = -62135596800
	lastSecond  = 253402300799
)

// dateTime64Codec is DateTime64(P): as DateTime, but numbers count ticks of the column's scale, and digits of a text beyond
// the scale are cut off, as ClickHouse does.
func dateTime64Codec(t *Type, env *environment) (*codec, error) {
	z, err := env.newZone(t.Zone)
	if err != nil {
		return nil, err
	}
	p := &instant{zone: z, scale: t.Scale, ticks: pow10[t.Scale], perTick: int32(pow10[9-t.Scale])}
	p.low, p.high = max(firstSecond, math.MinInt64/p.ticks), min(lastSecond, math.MaxInt64/p.ticks)
	return wordCodec(t, 8, 0, func(src []byte, s jsonscan.Span, x *scratch) (uint64, error) {
		u, err := p.parse(src, s, x)
		return uint64(u), err
	}), nil
}

var pow10 = [...]int64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}

// instant reads points in time, in ticks since the epoch.
type instant struct {
	zone    *zone
	scale   int
	ticks   int64 // in a second; 0 for DateTime, which has no fractions
	perTick int32 // nanoseconds
	low     int64 // the first and last second of the range
	high    int64
}

func (p *instant) parse(src []byte, s jsonscan.Span, x *scratch) (int64, error) {
	text := src[s.Start:s.End]
	switch s.Kind {
	case jsonscan.Number:
		return p.number(text, src, s)
	case jsonscan.Escaped:
		var err error
		if text, err = x.string(src, s); err != nil {
			return 0, err
		}
	case jsonscan.String:
	default:
		return 0, notA(src, s, "a date and time")
	}
	var m moment
	if !m.parse(text, x) {
		return p.text(text, src, s)
	}
	return p.scaled(m.unix(p.zone, x), m.nanos, src, s)
}

// scaled makes ticks of seconds and nanoseconds.
func (p *instant) scaled(seconds int64, nanos int32, src []byte, s jsonscan.Span) (int64, error) {
	if p.ticks == 0 {
		return seconds, nil
	}
	fraction := p.fraction(nanos)
	if seconds < p.low || seconds > p.high || seconds == p.high && p.high < lastSecond && fraction > math.MaxInt64-p.high*p.ticks {
		return 0, reject(src, s, "is out of the range of the type")
	}
	return seconds*p.ticks + fraction, nil
}

// fraction makes ticks of nanoseconds; dividing by a constant is much cheaper than by a variable.
func (p *instant) fraction(nanos int32) int64 {
	switch p.scale {
	case 0:
		return 0
	case 3:
		return int64(nanos / 1e6)
	case 6:
		return int64(nanos / 1e3)
	case 9:
		return int64(nanos)
	}
	return int64(nanos / p.perTick)
}

// number reads a JSON number of ticks.
func (p *instant) number(text, src []byte, s jsonscan.Span) (int64, error) {
	n, err := jsonscan.ParseInt64(text)
	switch {
	case errors.Is(err, jsonscan.ErrNumberFraction):
		return 0, reject(src, s, "has a fraction, which would be lost")
	case err != nil:
		return 0, reject(src, s, "is out of the range of the type")
	}
	if p.ticks != 0 && (n/p.ticks < p.low || n/p.ticks > p.high) {
		return 0, reject(src, s, "is out of the range of the type")
	}
	return n, nil
}

// text reads a string that is a Unix time, in the unit that its number of digits tells, as ClickHouse does
// (IO/parseDateTimeBestEffort.cpp): 9 or 10 are seconds, which may have a fraction, 13 milli-, 16 micro- and 19 nanoseconds.
func (p *instant) text(text, src []byte, s jsonscan.Span) (int64, error) {
	whole, fraction := text, []byte(nil)
	if point := bytes.IndexByte(text, '.'); point >= 0 {
		whole, fraction = text[:point], text[point:]
	}
	per, ok := unixUnits[len(whole)]
	_, digits := number(whole) // and nothing else: of 1700000e3 the digits do not tell the unit
	n, err := jsonscan.ParseUint64(whole)
	if !ok || !digits || err != nil || n > math.MaxInt64 {
		return 0, notA(src, s, "a date and time")
	}
	m := moment{nanos: int32(int64(n) % per * (1e9 / per))}
	if len(fraction) > 0 && (p.ticks == 0 || per != 1 || !m.tail(fraction) || m.zoned) {
		return 0, notA(src, s, "a date and time")
	}
	return p.scaled(int64(n)/per, m.nanos, src, s)
}

// unixUnits maps the number of digits of a Unix time to its units in a second.
var unixUnits = map[int]int64{9: 1, 10: 1, 13: 1e3, 16: 1e6, 19: 1e9}
