package column

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// reject makes the reason why a value is refused: the value, shortened, and what is wrong with it.
func reject(src []byte, s jsonscan.Span, format string, args ...any) error {
	return fmt.Errorf("%s %s", shorten(src[s.Start:s.End]), fmt.Sprintf(format, args...))
}

// notA is reject for values that are not of the column's form at all.
func notA(src []byte, s jsonscan.Span, what string) error {
	return reject(src, s, "is not %s", what)
}

// decimal is a number taken apart: ± digits × 10^exponent. The digits point into the text it was read from and may hold
// one decimal point.
type decimal struct {
	negative bool
	digits   []byte // with at most one '.'
	exponent int64  // of the text's e, not counting the point
}

var errNotANumber = errors.New("not a number")

// maxExponent bounds what is taken from an exponent, so that it cannot overflow: beyond anything that the digits of a text could make up for.
const maxExponent = 1 << 40

// parseDecimal reads what JSON calls a number, and also a leading '+', a missing digit on one side of the point and leading
// zeros: strings hold numbers of other grammars.
func parseDecimal(text []byte) (decimal, error) {
	var d decimal
	i := 0
	if i < len(text) && (text[i] == '-' || text[i] == '+') {
		d.negative = text[i] == '-'
		i++
	}
	start, digits, points := i, 0, 0
	for ; i < len(text); i++ {
		if c := text[i]; c >= '0' && c <= '9' {
			digits++
		} else if c == '.' && points == 0 {
			points++
		} else {
			break
		}
	}
	d.digits = text[start:i]
	if digits == 0 {
		return d, errNotANumber
	}
	if i == len(text) {
		return d, nil
	}
	if text[i] != 'e' && text[i] != 'E' {
		return d, errNotANumber
	}
	return d, d.parseExponent(text[i+1:])
}

func (d *decimal) parseExponent(text []byte) error {
	negative := false
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		negative = text[0] == '-'
		text = text[1:]
	}
	if len(text) == 0 {
		return errNotANumber
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return errNotANumber
		}
		if d.exponent < maxExponent {
			d.exponent = d.exponent*10 + int64(c-'0')
		}
	}
	if negative {
		d.exponent = -d.exponent
	}
	return nil
}

var (
	errLossy    = errors.New("would lose digits")
	errOverflow = errors.New("is out of range")
)

// uint256 is a magnitude of up to 256 bits, least significant word first.
type uint256 [4]uint64

// scaled returns the magnitude × 10^scale as an integer. Digits beyond the scale must be zero (errLossy), and the result must
// fit 256 bits (errOverflow).
func (d *decimal) scaled(scale int) (m uint256, err error) {
	digits, fraction := d.digits, 0
	if point := bytes.IndexByte(digits, '.'); point >= 0 {
		digits = bytes.TrimRight(digits, "0")
		fraction = len(digits) - point - 1
	}
	for _, c := range digits {
		if c != '.' && !m.mulAdd(10, uint64(c-'0')) {
			return m, errOverflow
		}
	}
	return m.shift(d.exponent - int64(fraction) + int64(scale))
}

// shift multiplies by 10^places, or divides where that leaves nothing over.
func (m uint256) shift(places int64) (uint256, error) {
	if m == (uint256{}) {
		return m, nil
	}
	for ; places > 0; places-- {
		if !m.mulAdd(10, 0) {
			return m, errOverflow
		}
	}
	for ; places < 0; places++ {
		if m.div10() != 0 {
			return m, errLossy
		}
	}
	return m, nil
}

// mulAdd sets m to m × by + add, and reports whether that fits.
func (m *uint256) mulAdd(by, add uint64) bool {
	carry := add
	for i := range m {
		hi, lo := bits.Mul64(m[i], by)
		var c uint64
		m[i], c = bits.Add64(lo, carry, 0)
		carry = hi + c
	}
	return carry == 0
}

// div10 divides by ten and returns the remainder.
func (m *uint256) div10() (rem uint64) {
	for i := len(m) - 1; i >= 0; i-- {
		m[i], rem = bits.Div64(rem, m[i], 10)
	}
	return rem
}

// fits reports whether the magnitude, with its sign, fits width bytes.
func (m *uint256) fits(negative, signed bool, width int) bool {
	if !signed {
		return m.bitLen() <= width*8 && (!negative || *m == uint256{})
	}
	n := m.bitLen()
	return n < width*8 || negative && n == width*8 && m.isPowerOfTwo()
}

func (m *uint256) bitLen() int {
	for i := len(m) - 1; i >= 0; i-- {
		if m[i] != 0 {
			return i*64 + bits.Len64(m[i])
		}
	}
	return 0
}

func (m *uint256) isPowerOfTwo() bool {
	return bits.OnesCount64(m[0])+bits.OnesCount64(m[1])+bits.OnesCount64(m[2])+bits.OnesCount64(m[3]) == 1
}

// negate makes m its two's complement.
func (m *uint256) negate() {
	carry := uint64(1)
	for i := range m {
		m[i], carry = bits.Add64(^m[i], 0, carry)
	}
}

// putLittle writes the low bytes of m to dst, which has 16 or 32.
func (m *uint256) putLittle(dst []byte) {
	for i := 0; i*8 < len(dst); i++ {
		binary.LittleEndian.PutUint64(dst[i*8:], m[i])
	}
}

// pointed reads a number of up to eight bytes without sign and exponent, and says how many digits stand behind its point. The
// digits before the point are moved over it, and zeros move in at their front.
func pointed(src []byte, s jsonscan.Span) (digits uint64, fraction int, ok bool) {
	n := int(s.End - s.Start)
	if n > 8 || int(s.Start)+8 > len(src) {
		return 0, 0, false
	}
	x := binary.LittleEndian.Uint64(src[s.Start:]) << (64 - 8*n)
	marks := x ^ '.'*everyByte // a zero byte is the point; the lowest top bit set below is exact
	marks = (marks - everyByte) &^ marks & topBits
	if marks == 0 {
		x |= allZeros >> (8 * n)
		return eightDigits(x), 0, allDigits(x, 0)
	}
	at := bits.TrailingZeros64(marks) &^ 7 // of the point, in bits
	before := x & (1<<at - 1)
	x = before<<8 | x>>at>>8<<at<<8 | allZeros>>(8*n-8)
	return eightDigits(x), 7 - at/8, allDigits(x, 0)
}

// shortDecimal reads a number of up to 18 digits, with a point or without, that needs no more than scale digits after the
// point, and gives it × 10^scale. What is longer, or has an exponent, is left to parseDecimal.
func shortDecimal(text []byte, scale int) (u uint64, negative, ok bool) {
	if len(text) > 0 && text[0] == '-' {
		negative, text = true, text[1:]
	}
	if len(text) == 0 || len(text) > 18 {
		return 0, false, false
	}
	point := len(text) - 1
	for i, c := range text {
		d := uint64(c - '0')
		if d > 9 {
			if c != '.' || point < len(text)-1 || i == len(text)-1 {
				return 0, false, false
			}
			point = i
			continue
		}
		u = u*10 + d
	}
	places := scale - (len(text) - 1 - point)
	if places < 0 || places+len(text) > 18 {
		return 0, false, false
	}
	return u * uint64(pow10[places]), negative, true
}
