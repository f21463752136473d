package column

import (
	"fmt"
	"time"
	_ "time/tzdata" // a column may name any zone, also where the operating system knows none
)

const secondsPerDay = 86400

// zone turns local dates and times into instants as ClickHouse does (base/Common/DateLUTImpl.{h,cpp}): in the hour that a clock is
// set back over, the first of the two; in one that is skipped, the time before the jump that is as long after midnight as the
// local time says, less the jump.
type zone struct {
	location *time.Location // nil: UTC
	index    int            // into scratch.days
}

// newZone numbers the zones of a plan.
func (env *environment) newZone(name string) (*zone, error) {
	location := env.location
	if name != "" {
		var err error
		if location, err = time.LoadLocation(name); err != nil {
			return nil, fmt.Errorf("the time zone %q is not known here", name)
		}
	}
	if s := location.String(); s == "UTC" || s == "Etc/UTC" {
		return &zone{}, nil
	}
	for _, z := range env.zones {
		if z.location.String() == location.String() {
			return z, nil
		}
	}
	z := &zone{location: location, index: len(env.zones)}
	env.zones = append(env.zones, z)
	return z, nil
}

// day is one day of a zone: when it begins, and the change of the clock in it, if there is one.
type day struct {
	number   int32 // days since the epoch
	known    bool
	start    int64 // seconds since the epoch
	changeAt int32 // seconds after midnight by the clock before the change
	change   int32 // seconds the clock is set forward by
}

// unix returns the seconds since the epoch at so many seconds after local midnight of a day.
func (z *zone) unix(days, seconds int32, x *scratch) int64 {
	if z.location == nil {
		return int64(days)*secondsPerDay + int64(seconds)
	}
	for len(x.days) <= z.index {
		x.days = append(x.days, day{})
	}
	d := &x.days[z.index]
	if !d.known || d.number != days {
		*d = z.day(days)
	}
	if seconds >= d.changeAt {
		seconds -= d.change
	}
	return d.start + int64(seconds)
}

// day works out one day.
func (z *zone) day(days int32) day {
	d := day{number: days, known: true, start: z.midnight(days)}
	_, end := time.Unix(d.start-1, 0).In(z.location).ZoneBounds()
	if end.IsZero() {
		return d
	}
	before, after := z.offset(end.Unix()-1), z.offset(end.Unix())
	from := end.Unix() + before - int64(days)*secondsPerDay
	to := from + after - before
	if from >= 0 && (from < secondsPerDay || to >= 0 && to < secondsPerDay) {
		const factor = 15 * 60 // ClickHouse keeps both in quarters of an hour
		d.changeAt, d.change = int32(from/factor*factor), int32((after-before)/factor*factor)
	}
	return d
}

// midnight is the instant a day begins; the first of two, and the end of the jump where midnight was skipped.
func (z *zone) midnight(days int32) int64 {
	local := int64(days) * secondsPerDay
	y, m, d := time.Unix(local, 0).UTC().Date()
	t := time.Date(y, m, d, 0, 0, 0, 0, z.location)
	unix := t.Unix()
	if at := unix + z.offset(unix); at > local {
		return unix // skipped, and seen by the offset before the jump
	} else if at < local {
		return local - z.offset(unix)
	}
	start, _ := t.ZoneBounds()
	if start.IsZero() {
		return unix
	}
	if first := local - z.offset(start.Unix()-1); first < start.Unix() {
		return first
	}
	return unix
}

func (z *zone) offset(unix int64) int64 {
	_, offset := time.Unix(unix, 0).In(z.location).Zone()
	return int64(offset)
}
