package column

import (
	"encoding/binary"
)

// moment is a date and time as a text gives it: a calendar date and a time of day, or a number of seconds since the epoch.
type moment struct {
	days    int32 // since 1970-01-01
	seconds int32 // since midnight
	nanos   int32 // digits after the ninth are cut off
	offset  int32 // of the text's own zone from UTC in seconds
	zoned   bool  // the text has a zone
}

// parse reads YYYY-MM-DD (or with slashes, or with nothing between), and after it, behind a space or a T, hh:mm, seconds, a
// fraction, and a zone: Z, UTC, GMT, ±hh, ±hhmm, ±hh:mm. Hours, minutes and seconds may stand without colons behind a date without hyphens.
func (m *moment) parse(text []byte, x *scratch) bool {
	if len(text) >= 19 && m.fixedLayout(text, x) {
		return len(text) == 19 || m.tail(text[19:])
	}
	*m = moment{}
	rest, ok := m.date(text)
	if !ok || len(rest) == 0 {
		return ok
	}
	if rest[0] == ' ' || rest[0] == 'T' || rest[0] == 't' {
		rest = rest[1:]
	} else if len(text) < 14 || len(text)-len(rest) != 8 {
		return false
	}
	return m.time(rest)
}

const (
	highNibbles = 0xF0F0F0F0F0F0F0F0
	allZeros    = 0x3030303030303030 // "00000000"
	allSixes    = 0x0606060606060606

	dateMarks = 0xFF0000FF00000000 // where "YYYY-MM-" has its hyphens
	dateFlip  = uint64('-'^'0')<<32 | uint64('-'^'0')<<56
	timeMarks = 0x0000FF0000FF0000 // where "DDThh:mm" has T and colon
	timeFlip  = uint64('T'^'0')<<16 | uint64(':'^'0')<<40
	spaceFlip = uint64(' '^'0')<<16 | uint64(':'^'0')<<40
)

// fixedLayout reads YYYY-MM-DDThh:mm:ss, eight bytes at a time. Flipping the separators turns them into zeros, so that one
// comparison checks them and the digits. Most events are of the day of the one before.
func (m *moment) fixedLayout(text []byte, x *scratch) bool {
	date := binary.LittleEndian.Uint64(text) ^ dateFlip
	clock := binary.LittleEndian.Uint64(text[8:])
	if text[10] == ' ' {
		clock ^= spaceFlip
	} else {
		clock ^= timeFlip
	}
	s1, s0 := text[17]-'0', text[18]-'0'
	if !allDigits(clock, timeMarks) || text[16] != ':' || s1 > 5 || s0 > 9 {
		return false
	}
	clock -= allZeros
	hour, minute := int32(clock>>24&15*10+clock>>32&15), int32(clock>>48&15*10+clock>>56&15)
	if hour > 23 || minute > 59 {
		return false
	}
	if c := &x.calendar; date != c.date || uint16(clock) != c.dom || !c.known {
		if !allDigits(date, dateMarks) || !c.set(date, uint16(clock)) {
			return false
		}
	}
	m.days = x.calendar.days
	m.seconds = hour*3600 + minute*60 + int32(s1)*10 + int32(s0)
	return true
}

// calendarDay is the day that a text in the fixed layout was last about.
type calendarDay struct {
	date  uint64 // "YYYY0MM0"
	dom   uint16 // two digits, less their zeros
	days  int32
	known bool
}

// set works the day out; false means that the calendar does not have it.
func (c *calendarDay) set(date uint64, dom uint16) bool {
	c.date, c.dom, c.known = date, dom, false
	date -= allZeros
	year := int32(date&15*1000 + date>>8&15*100 + date>>16&15*10 + date>>24&15)
	month, day := int32(date>>40&15*10+date>>48&15), int32(dom&15*10+dom>>8)
	if !validDate(year, month, day) {
		return false
	}
	c.days, c.known = daysOf(year, month, day), true
	return true
}

// allDigits reports whether all bytes are digits, and those under marks zeros.
func allDigits(x, marks uint64) bool {
	return x&(highNibbles|marks) == allZeros && (x+allSixes)&highNibbles == allZeros
}

// date reads the calendar date and returns what follows.
func (m *moment) date(text []byte) (rest []byte, ok bool) {
	if len(text) >= 8 && (len(text) == 8 || len(text) >= 14 || text[8]-'0' > 9) {
		if ok := m.calendar(text[:4], text[4:6], text[6:8]); ok {
			return text[8:], true
		}
	}
	if len(text) < 10 || text[4] != '-' && text[4] != '/' || text[7] != text[4] {
		return nil, false
	}
	return text[10:], m.calendar(text[:4], text[5:7], text[8:10])
}

func (m *moment) calendar(y, mo, d []byte) bool {
	year, ok1 := number(y)
	month, ok2 := number(mo)
	dom, ok3 := number(d)
	if !ok1 || !ok2 || !ok3 || !validDate(year, month, dom) {
		return false
	}
	m.days = daysOf(year, month, dom)
	return true
}

// time reads hh:mm[:ss] or hhmmss and what may follow.
func (m *moment) time(text []byte) bool {
	if len(text) >= 6 && text[2]-'0' <= 9 {
		return m.daytime(text[:2], text[2:4], text[4:6]) && m.tail(text[6:])
	}
	if len(text) < 5 || text[2] != ':' {
		return false
	}
	if len(text) >= 8 && text[5] == ':' {
		return m.daytime(text[:2], text[3:5], text[6:8]) && m.tail(text[8:])
	}
	return m.daytime(text[:2], text[3:5], nil) && m.tail(text[5:])
}

// daytime takes a leap second, 60, as the second after the 59th, as ClickHouse does.
func (m *moment) daytime(h, mi, s []byte) bool {
	hour, ok1 := number(h)
	minute, ok2 := number(mi)
	second, ok3 := number(s)
	m.seconds = hour*3600 + minute*60 + second
	return ok1 && ok2 && ok3 && hour <= 23 && minute <= 59 && second <= 60
}

// tail reads a fraction of a second and a zone, both of which may be absent.
func (m *moment) tail(text []byte) bool {
	if len(text) == 5 && text[0] == '.' && text[4] == 'Z' { // milliseconds in UTC, the form that most programs write
		a, b, c := text[1]-'0', text[2]-'0', text[3]-'0'
		m.nanos, m.zoned = (int32(a)*100+int32(b)*10+int32(c))*1_000_000, true
		return a <= 9 && b <= 9 && c <= 9
	}
	if len(text) > 1 && (text[0] == '.' || text[0] == ',') {
		n := 1
		for unit := int32(100_000_000); n < len(text) && text[n]-'0' <= 9; n++ {
			m.nanos += int32(text[n]-'0') * unit
			unit /= 10
		}
		if n == 1 {
			return false
		}
		text = text[n:]
	}
	return m.zone(text)
}

func (m *moment) zone(text []byte) bool {
	if len(text) > 1 && text[0] == ' ' {
		text = text[1:]
	}
	switch string(text) {
	case "":
		return true
	case "Z", "z", "UTC", "GMT":
		m.zoned = true
		return true
	}
	sign := int32(1)
	switch text[0] {
	case '-':
		sign = -1
	case '+':
	default:
		return false
	}
	text = text[1:]
	if len(text) != 2 && len(text) != 4 && (len(text) != 5 || text[2] != ':') {
		return false
	}
	hours, ok := number(text[:2])
	minutes, ok2 := int32(0), true
	if len(text) > 2 {
		minutes, ok2 = number(text[len(text)-2:])
	}
	if !ok || !ok2 || hours > 23 || minutes > 59 {
		return false
	}
	m.zoned, m.offset = true, sign*(hours*3600+minutes*60)
	return true
}

// unix is the moment in seconds since the epoch, taken in zone z where the text has none.
func (m *moment) unix(z *zone, x *scratch) int64 {
	if m.zoned {
		return int64(m.days)*secondsPerDay + int64(m.seconds) - int64(m.offset)
	}
	return z.unix(m.days, m.seconds, x)
}

// number reads a few digits.
func number(text []byte) (n int32, ok bool) {
	for _, c := range text {
		c -= '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + int32(c)
	}
	return n, true
}

var monthLengths = [13]int32{0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

func validDate(year, month, dom int32) bool {
	if month < 1 || month > 12 || dom < 1 {
		return false
	}
	return dom <= monthLengths[month] || month == 2 && dom == 29 && year%4 == 0 && (year%100 != 0 || year%400 == 0)
}

// daysOf counts the days since 1970-01-01 of a date of the Gregorian calendar. Years begin in March here, so that the leap
// day comes last.
func daysOf(year, month, dom int32) int32 {
	if month <= 2 {
		year--
		month += 12
	}
	return 365*year + year/4 - year/100 + year/400 + (153*month-457)/5 + dom - 719469
}
