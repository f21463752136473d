package column

import (
	"math"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// dateTimeCodec is DateTime: a date and time (see parseMoment), a date (its midnight), or a Unix time in seconds, as a number
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

// The range of DateTime64 is that of ClickHouse's tables of days (base/Common/DateLUTImpl.h): 1900 to 2299.
const (
	firstSecond = -2208988800
	lastSecond  = 10413791999
	firstNano   = -9223372036 // what 64 bits of nanoseconds hold whole
	lastNano    = 9223372035
)

// dateTime64Codec is DateTime64(P): as DateTime, but numbers count ticks of the column's scale, and digits of a text beyond
// the scale are cut off, as ClickHouse does.
func dateTime64Codec(t *Type, env *environment) (*codec, error) {
	z, err := env.newZone(t.Zone)
	if err != nil {
		return nil, err
	}
	p := &instant{zone: z, scale: t.Scale, ticks: pow10[t.Scale], perTick: int32(pow10[9-t.Scale])}
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
	m, ok := parseMoment(text)
	if !ok {
		return p.text(text, src, s)
	}
	return p.scaled(m.unix(p.zone, x), m.nanos, src, s)
}

// scaled makes ticks of seconds and nanoseconds.
func (p *instant) scaled(seconds int64, nanos int32, src []byte, s jsonscan.Span) (int64, error) {
	if p.ticks == 0 {
		return seconds, nil
	}
	if seconds < firstSecond || seconds > lastSecond || p.ticks == 1e9 && (seconds > lastNano || seconds < firstNano) {
		return 0, reject(src, s, "is out of the range of the type")
	}
	return seconds*p.ticks + int64(nanos/p.perTick), nil
}

// number reads a JSON number of ticks.
func (p *instant) number(text, src []byte, s jsonscan.Span) (int64, error) {
	n, err := jsonscan.ParseInt64(text)
	switch {
	case err == jsonscan.ErrNumberFraction:
		return 0, reject(src, s, "has a fraction, which would be lost")
	case err != nil:
		return 0, reject(src, s, "is out of the range of the type")
	}
	if p.ticks != 0 && (n/p.ticks < firstSecond || n/p.ticks > lastSecond) {
		return 0, reject(src, s, "is out of the range of the type")
	}
	return n, nil
}

// text reads a string that is a Unix time: seconds, with a fraction or without one.
func (p *instant) text(text, src []byte, s jsonscan.Span) (int64, error) {
	d, err := parseDecimal(text)
	if err != nil || d.exponent != 0 {
		return 0, notA(src, s, "a date and time")
	}
	m, err := d.scaled(p.scale)
	if err != nil || m.bitLen() > 63 {
		return 0, notA(src, s, "a date and time")
	}
	ticks := int64(m[0])
	if d.negative {
		ticks = -ticks
	}
	if p.ticks != 0 && (ticks/p.ticks < firstSecond || ticks/p.ticks > lastSecond) {
		return 0, reject(src, s, "is out of the range of the type")
	}
	return ticks, nil
}
