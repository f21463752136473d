package sharding

import (
	"math"
	"time"
)

const secondsPerDay = 24 * 60 * 60

// civil is a day since 1970-01-01, at midnight UTC.
func civil(day int64) time.Time { return time.Unix(day*secondsPerDay, 0).UTC() }

func appendDay(dst []byte, day int64) []byte { return civil(day).AppendFormat(dst, time.DateOnly) }

// dayOf is the day that the clock on the wall shows in t's zone.
func dayOf(t time.Time) int64 {
	year, month, day := t.Date()
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / secondsPerDay
}

func yearMonth(t time.Time) uint64 { return uint64(t.Year()*100 + int(t.Month())) }

// floorSeconds splits ticks of DateTime64 into whole seconds, towards the past, and the rest.
func floorSeconds(ticks, unit int64) (seconds, rest int64) {
	seconds, rest = ticks/unit, ticks%unit
	if rest < 0 {
		return seconds - 1, rest + unit
	}
	return seconds, rest
}

// clock turns a DateTime or DateTime64 into a time in its zone.
func clock(t valueType, zone *time.Location) func(d datum) time.Time {
	if t.kind == kindDateTime {
		return func(d datum) time.Time { return time.Unix(int64(d.u), 0).In(zone) }
	}
	unit := powerOf10(t.scale)
	return func(d datum) time.Time {
		seconds, _ := floorSeconds(int64(d.u), unit)
		return time.Unix(seconds, 0).In(zone)
	}
}

func timePrinter(t valueType, zone *time.Location) appendFunc {
	at := clock(t, zone)
	if t.kind == kindDateTime || t.scale == 0 {
		return func(dst []byte, d datum) []byte { return at(d).AppendFormat(dst, time.DateTime) }
	}
	unit := powerOf10(t.scale)
	return func(dst []byte, d datum) []byte {
		_, rest := floorSeconds(int64(d.u), unit)
		dst = append(at(d).AppendFormat(dst, time.DateTime), '.')
		for digit := unit / 10; digit > 0; digit /= 10 {
			dst = append(dst, byte('0'+rest/digit%10))
		}
		return dst
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
		at := clock(t, zone)
		apply := func(_ *frame, args []datum) (datum, error) { return datum{u: yearMonth(at(args[0]))}, nil }
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
		at := clock(t, zone)
		apply := func(_ *frame, args []datum) (datum, error) {
			return datum{u: dateType.truncate(uint64(dayOf(at(args[0]))))}, nil
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
			day = dayOf(time.Unix(day, 0).In(zone))
		}
		return datum{u: dateType.truncate(uint64(day))}, nil
	}
	return binding{result: dateType, apply: apply}, nil
}
