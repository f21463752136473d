package sharding

import (
	"fmt"
	"math"
	"time"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
)

const secondsPerDay = 24 * 60 * 60

// civil is a day since 1970-01-01, at midnight UTC.
func civil(day int64) time.Time { return time.Unix(day*secondsPerDay, 0).UTC() }

func appendDay(dst []byte, day int64) []byte { return civil(day).AppendFormat(dst, time.DateOnly) }

// dayOf is the day, since 1970-01-01, that a clock on the wall shows.
func dayOf(wall time.Time) int64 {
	seconds := wall.Unix()
	if seconds < 0 {
		seconds -= secondsPerDay - 1
	}
	return seconds / secondsPerDay
}

func yearMonth(t time.Time) uint64 { return uint64(t.Year()*100 + int(t.Month())) }

// moments turns values of a time type into what the clocks of a zone show then, as a time in UTC. A DateTime64 has years that ClickHouse's calendar does not
// cover, where it gives whatever its tables hold; such a value is refused.
type moments struct {
	zone *time.Location
	unit int64 // ticks per second
}

func momentsOf(t valueType, zone *time.Location) moments {
	if t.kind == kindDateTime {
		return moments{zone, 1}
	}
	return moments{zone, powerOf10(t.scale)}
}

// firstSecond and lastSecond are 1900-01-01 00:00:00 and 2299-12-31 23:59:59 UTC, a day further in.
const (
	firstSecond = -2208988800 + secondsPerDay
	lastSecond  = 10413791999 - secondsPerDay
)

// floor is the whole second before or at a value.
func (m moments) floor(function string, d datum) (time.Time, error) {
	seconds := int64(d.u) / m.unit
	if int64(d.u)%m.unit < 0 {
		seconds--
	}
	return m.at(function, seconds)
}

// truncate drops the fraction towards 1970, as toDate does.
func (m moments) truncate(function string, d datum) (time.Time, error) {
	return m.at(function, int64(d.u)/m.unit)
}

func (m moments) at(function string, seconds int64) (time.Time, error) {
	if seconds < firstSecond || seconds > lastSecond {
		return time.Time{}, &EvalError{Function: function, Reason: fmt.Sprintf("%d seconds from 1970 are outside of the years 1900 to 2299", seconds)}
	}
	return column.WallClock(seconds, m.zone), nil
}

// fraction is the part of a second after floor, in ticks.
func (m moments) fraction(d datum) int64 {
	rest := int64(d.u) % m.unit
	if rest < 0 {
		rest += m.unit
	}
	return rest
}

func timePrinter(function string, m moments) appendFunc {
	return func(dst []byte, d datum) ([]byte, error) {
		at, err := m.floor(function, d)
		if err != nil {
			return dst, err
		}
		dst = at.AppendFormat(dst, time.DateTime)
		if m.unit == 1 {
			return dst, nil
		}
		dst = append(dst, '.')
		for rest, digit := m.fraction(d), m.unit/10; digit > 0; digit /= 10 {
			dst = append(dst, byte('0'+rest/digit%10))
		}
		return dst, nil
	}
}

// zoneArgument is the zone of a time: the second argument where there is one, which must be a constant string.
func (b *binder) zoneArgument(f *function, args []typed) (*time.Location, error) {
	t := args[0].typ
	if len(args) == 1 {
		return b.zoneOf(f, t)
	}
	if args[1].typ.kind != kindString || !args[1].constant {
		return nil, b.refuse("a time zone that is not a constant string in "+f.name, "", adviceStrategy)
	}
	name, err := args[1].eval(new(frame))
	if err != nil {
		return nil, b.refuse("the time zone of "+f.name, err.Error(), adviceStrategy)
	}
	t.zone = string(name.b)
	return b.zoneOf(f, t)
}

const zoneNeedsClock = "a time zone goes with DateTime and DateTime64 only"

func bindToYYYYMM(b *binder, f *function, args []typed) (binding, error) {
	t, result := args[0].typ, integerType(4, false)
	switch {
	case len(args) == 2 && !t.isClock():
		return binding{}, b.refuseArgument(f, t, zoneNeedsClock)
	case t.kind == kindDate, t.kind == kindDate32:
		apply := func(_ *frame, args []datum) (datum, error) { return datum{u: yearMonth(civil(int64(args[0].u)))}, nil }
		return binding{result: result, apply: apply}, nil
	case t.isClock():
		zone, err := b.zoneArgument(f, args)
		if err != nil {
			return binding{}, err
		}
		m := momentsOf(t, zone)
		apply := func(_ *frame, args []datum) (datum, error) {
			at, err := m.floor(f.name, args[0])
			return datum{u: yearMonth(at)}, err
		}
		return binding{result: result, apply: apply}, nil
	}
	return binding{}, b.refuseArgument(f, t, "it takes Date, Date32, DateTime and DateTime64")
}

// bindToDate: days outside of Date's range wrap around, as ClickHouse's default date_time_overflow_behavior has it.
func bindToDate(b *binder, f *function, args []typed) (binding, error) {
	t := args[0].typ
	switch {
	case len(args) == 2 && !t.isClock():
		return binding{}, b.refuseArgument(f, t, zoneNeedsClock)
	case t.kind == kindDate, t.kind == kindDate32:
		apply := func(_ *frame, args []datum) (datum, error) { return datum{u: dateType.truncate(args[0].u)}, nil }
		return binding{result: dateType, apply: apply}, nil
	case t.isClock():
		zone, err := b.zoneArgument(f, args)
		if err != nil {
			return binding{}, err
		}
		m := momentsOf(t, zone)
		apply := func(_ *frame, args []datum) (datum, error) {
			at, err := m.truncate(f.name, args[0])
			day := dayOf(at)
			if t.kind == kindDateTime {
				day = max(day, 0) // west of Greenwich, a DateTime starts on the day before the first Date
			}
			return datum{u: dateType.truncate(uint64(day))}, err
		}
		return binding{result: dateType, apply: apply}, nil
	case t.kind == kindInt && t.size <= 4:
		return b.toDateOfNumber(f, t)
	}
	return binding{}, b.refuseArgument(f, t, "it takes Date, Date32, DateTime, DateTime64 and integers of up to 32 bits here")
}

// toDateOfNumber: below 0 it is the first day, up to 65,535 a day, above that seconds since 1970.
func (b *binder) toDateOfNumber(f *function, t valueType) (binding, error) {
	zone := time.UTC
	if t.size > 2 {
		var err error
		if zone, err = b.zoneOf(f, t); err != nil {
			return binding{}, err
		}
	}
	apply := func(_ *frame, args []datum) (datum, error) {
		day := int64(args[0].u)
		if day < 0 {
			day = 0
		}
		if day > math.MaxUint16 {
			day = dayOf(column.WallClock(day, zone))
		}
		return datum{u: dateType.truncate(uint64(day))}, nil
	}
	return binding{result: dateType, apply: apply}, nil
}
