package column

import (
	"fmt"
	"math"
	"time"
	_ "time/tzdata" // a column may name any zone, also where the operating system knows none
)

const secondsPerDay = 86400

// zone turns local dates and times into instants as ClickHouse does (base/Common/DateLUTImpl.{h,cpp}): in the hour that a clock is
// set back over, the first of the two; in one that is skipped, the time before the jump that is as long after midnight as the
// local time says, less the jump.
type zone struct {
	location *time.Location // nil: UTC
	index    int            // into scratch.clocks
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

// clock is what a reader remembers of a zone: a period without a change of the clock, and the last day that was in none.
type clock struct {
	after, before int32 // the days between these are in the period
	offset        int32 // from UTC then
	day           day
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
	for len(x.clocks) <= z.index {
		x.clocks = append(x.clocks, clock{})
	}
	c := &x.clocks[z.index]
	if days > c.after && days < c.before {
		return int64(days)*secondsPerDay + int64(seconds-c.offset)
	}
	if !c.day.known || c.day.number != days {
		c.day = z.day(days)
		z.period(c, days)
	}
	if seconds >= c.day.changeAt {
		seconds -= c.day.change
	}
	return c.day.start + int64(seconds)
}

// period remembers the time around a day in which the clock was not changed.
func (z *zone) period(c *clock, days int32) {
	start, end := time.Unix(int64(days)*secondsPerDay+secondsPerDay/2, 0).In(z.location).ZoneBounds()
	c.after, c.before = math.MinInt32, math.MaxInt32
	c.offset = int32(z.offset(int64(days)*secondsPerDay + secondsPerDay/2))
	if !start.IsZero() {
		from, to := z.change(start)
		c.after = int32(max(floorDay(from), floorDay(to)))
	}
	if !end.IsZero() {
		from, to := z.change(end)
		c.before = int32(min(floorDay(from), floorDay(to)))
	}
}

// change gives the local time just before and just after a change of the clock, in seconds since the epoch as if it were UTC.
func (z *zone) change(at time.Time) (from, to int64) {
	unix := at.Unix()
	return unix + z.offset(unix-1), unix + z.offset(unix)
}

func floorDay(local int64) int64 {
	if local < 0 {
		local -= secondsPerDay - 1
	}
	return local / secondsPerDay
}

// day works out one day.
func (z *zone) day(days int32) day {
	d := day{number: days, known: true, start: z.midnight(days)}
	_, end := time.Unix(d.start-1, 0).In(z.location).ZoneBounds()
	if end.IsZero() {
		return d
	}
	from, to := z.change(end)
	from, to = from-int64(days)*secondsPerDay, to-int64(days)*secondsPerDay
	// A change that the clock makes from the day before into this one does not count; ClickHouse keeps its time as an unsigned byte.
	if from >= 0 && (from < secondsPerDay || to >= 0 && to < secondsPerDay) {
		const factor = 15 * 60 // ClickHouse keeps both in quarters of an hour
		d.changeAt, d.change = int32(from/factor*factor), int32((to-from)/factor*factor)
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

// WallClock is the date and time that ClickHouse shows for an instant, seconds since the epoch, as if the clock on the wall were in
// UTC. It is what time.Time shows except on a day on which the clock is set: there ClickHouse knows quarters of an hour only, so
// that an odd part of the change comes a day late, and an hour that repeats over midnight is shown as 23 (toDateTimeComponents,
// base/Common/DateLUTImpl.h). A nil location is UTC.
func WallClock(unix int64, location *time.Location) time.Time {
	if location == nil || location == time.UTC {
		return time.Unix(unix, 0).UTC()
	}
	z := zone{location: location}
	local := unix + z.offset(unix)
	start, end := time.Unix(unix, 0).In(location).ZoneBounds()
	const near = 2 * secondsPerDay
	if (start.IsZero() || unix-start.Unix() > near) && (end.IsZero() || end.Unix()-unix > near) {
		return time.Unix(local, 0).UTC()
	}
	return z.wallClockNear(unix, int32(floorDay(local)))
}

// wallClockNear looks the instant up among the days around a change of the clock, given about which day it is.
func (z *zone) wallClockNear(unix int64, about int32) time.Time {
	d := z.day(about + 1)
	for unix < d.start {
		d = z.day(d.number - 1)
	}
	seconds := unix - d.start
	if seconds >= int64(d.changeAt) {
		seconds += int64(d.change)
	}
	hour := min(seconds/3600, 23)
	return time.Unix(int64(d.number)*secondsPerDay+hour*3600+seconds%3600, 0).UTC()
}
