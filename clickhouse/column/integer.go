package column

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// integer is Int8…Int64 and UInt8…UInt64: JSON numbers and strings of a number without a fraction (1, 1.0 and 1e3 have
// none), true and false as 1 and 0. Where ClickHouse wraps a number that is out of range around, this refuses it.
type integer struct {
	width  int
	signed bool
	max    uint64 // the largest magnitude of a positive value
	bounds string // for messages
}

func newInteger(width int, signed bool) *integer {
	bits := width * 8
	if signed {
		limit := uint64(1)<<(bits-1) - 1
		return &integer{width, true, limit, fmt.Sprintf("%d and %d", -int64(limit)-1, limit)}
	}
	limit := uint64(math.MaxUint64) >> (64 - bits)
	return &integer{width, false, limit, fmt.Sprintf("0 and %d", limit)}
}

func integerFamily(width int, signed bool) func(*Type, *environment) (*codec, error) {
	n := newInteger(width, signed)
	return func(t *Type, _ *environment) (*codec, error) {
		c := wordCodec(t, width, 0, n.parse)
		words := c.column
		c.column = func() column { return &integerColumn{wordColumn: *words().(*wordColumn), integer: n} }
		return c, nil
	}
}

// integerColumn spares the commonest numbers the way through wordColumn.
type integerColumn struct {
	wordColumn
	*integer
}

func (c *integerColumn) append(src []byte, s jsonscan.Span, x *scratch) error {
	if s.Kind == jsonscan.Number {
		if u, ok := shortNumber(src, int(s.Start), int(s.End)); ok && u <= c.max {
			c.put(u, c.integer.width)
			return nil
		}
	}
	u, err := c.integer.parse(src, s, x)
	if err != nil {
		return err
	}
	c.put(u, c.integer.width)
	return nil
}

// shortNumber reads up to sixteen digits and nothing else, eight at a time and without a branch on how many they are: what
// stands behind them is shifted out, and zeros move in at their front.
func shortNumber(src []byte, start, end int) (u uint64, ok bool) {
	n := end - start
	if n > 16 || start+8 > len(src) {
		return 0, false
	}
	if n > 8 {
		last := binary.LittleEndian.Uint64(src[end-8:])
		if !allDigits(last, 0) {
			return 0, false
		}
		u = eightDigits(last)
		n -= 8
		first := binary.LittleEndian.Uint64(src[start:])<<(64-8*n) | allZeros>>(8*n)
		return eightDigits(first)*1e8 + u, allDigits(first, 0)
	}
	word := binary.LittleEndian.Uint64(src[start:])<<(64-8*n) | allZeros>>(8*n)
	return eightDigits(word), allDigits(word, 0)
}

// eightDigits is the number that eight digits spell, the first one in the lowest byte: pairs are joined, then pairs of these.
func eightDigits(x uint64) uint64 {
	x = (x - allZeros) * (10<<8 + 1) >> 8
	x = (x & 0x00FF00FF00FF00FF) * (100<<16 + 1) >> 16
	return (x & 0x0000FFFF0000FFFF) * (10000<<32 + 1) >> 32
}

func (n *integer) parse(src []byte, s jsonscan.Span, x *scratch) (uint64, error) {
	if s.Kind != jsonscan.Number {
		return n.other(src, s, x)
	}
	digits := src[s.Start:s.End]
	negative := digits[0] == '-'
	if negative {
		digits = digits[1:]
	}
	u, err := jsonscan.ParseUint64(digits)
	if err != nil {
		return 0, n.refuse(src, s, err)
	}
	return n.sign(u, negative, src, s)
}

// refuse says what is wrong with a number that is no integer of 64 bits.
func (n *integer) refuse(src []byte, s jsonscan.Span, err error) error {
	switch {
	case errors.Is(err, jsonscan.ErrNumberFraction), errors.Is(err, errLossy):
		return reject(src, s, "has a fraction, which an integer would lose")
	case errors.Is(err, jsonscan.ErrNumberRange), errors.Is(err, errOverflow):
		return reject(src, s, "is not between %s", n.bounds)
	}
	return notA(src, s, "a number")
}

// sign checks a magnitude against the bounds and gives it its sign.
func (n *integer) sign(u uint64, negative bool, src []byte, s jsonscan.Span) (uint64, error) {
	switch {
	case !negative && u <= n.max:
		return u, nil
	case negative && n.signed && u <= n.max+1:
		return -u, nil
	case u == 0:
		return 0, nil
	}
	return 0, reject(src, s, "is not between %s", n.bounds)
}

// text reads the number a string holds.
func (n *integer) text(text, src []byte, s jsonscan.Span) (uint64, error) {
	d, err := parseDecimal(text)
	if err != nil {
		return 0, n.refuse(src, s, err)
	}
	m, err := d.scaled(0)
	if err == nil && m.bitLen() > 64 {
		err = errOverflow
	}
	if err != nil {
		return 0, n.refuse(src, s, err)
	}
	return n.sign(m[0], d.negative, src, s)
}

func (n *integer) other(src []byte, s jsonscan.Span, x *scratch) (uint64, error) {
	switch s.Kind {
	case jsonscan.True:
		return 1, nil
	case jsonscan.False, jsonscan.Null:
		return 0, nil
	case jsonscan.String, jsonscan.Escaped:
		text, err := x.string(src, s)
		if err != nil {
			return 0, err
		}
		return n.text(text, src, s)
	}
	return 0, notA(src, s, "a number")
}

// wideInteger is Int128, Int256, UInt128 and UInt256, under the same rules as integer.
func wideIntegerFamily(width int, signed bool) func(*Type, *environment) (*codec, error) {
	return func(t *Type, _ *environment) (*codec, error) {
		return wideCodec(t, width, func(dst, src []byte, s jsonscan.Span, x *scratch) error {
			return parseWide(dst, src, s, x, signed)
		}), nil
	}
}

// parseWide reads an integer into 16 or 32 bytes.
func parseWide(dst, src []byte, s jsonscan.Span, x *scratch, signed bool) error {
	if s.Kind == jsonscan.Number && src[s.Start] != '-' {
		if u, err := jsonscan.ParseUint64(src[s.Start:s.End]); err == nil {
			clear(dst)
			binary.LittleEndian.PutUint64(dst, u)
			return nil
		}
	}
	d, err := numberOf(src, s, x)
	if err != nil {
		return err
	}
	m, err := d.scaled(0)
	if err == nil && !m.fits(d.negative, signed, len(dst)) {
		err = errOverflow
	}
	if err != nil {
		return reject(src, s, "%s", err)
	}
	if d.negative {
		m.negate()
	}
	m.putLittle(dst)
	return nil
}

// numberOf takes apart a JSON number, a string of a number, or a boolean.
func numberOf(src []byte, s jsonscan.Span, x *scratch) (decimal, error) {
	text := src[s.Start:s.End]
	switch s.Kind {
	case jsonscan.Number:
	case jsonscan.True:
		return decimal{digits: digitOne}, nil
	case jsonscan.False:
		return decimal{digits: digitZero}, nil
	case jsonscan.String, jsonscan.Escaped:
		var err error
		if text, err = x.string(src, s); err != nil {
			return decimal{}, err
		}
	default:
		return decimal{}, notA(src, s, "a number")
	}
	d, err := parseDecimal(text)
	if err != nil {
		return d, notA(src, s, "a number")
	}
	return d, nil
}

var digitOne, digitZero = []byte{'1'}, []byte{'0'}
