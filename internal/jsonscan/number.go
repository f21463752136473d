package jsonscan

import (
	"encoding/binary"
	"math"
	"strconv"
	"unsafe"
)

// ParseInt64 reads a JSON number as an integer. Fraction and exponent forms are taken when the value is an integer: 1e3, 10.0,
// 1200e-2, -0.0. The value is exact, or there is an error: ErrNumberSyntax for what the JSON grammar does not have (a sign +, leading
// zeros, spaces, nothing at all), ErrNumberFraction for a value that is not an integer, ErrNumberRange for one that does not
// fit. Nothing is allocated.
func ParseInt64(b []byte) (int64, error) {
	negative, digits := false, b
	if len(b) > 0 && b[0] == '-' {
		negative, digits = true, b[1:]
	}
	u, ok := shortUint(digits)
	if !ok {
		var err error
		if negative, u, err = parseInteger(b); err != nil {
			return 0, err
		}
	}
	switch {
	case negative && u <= 1<<63:
		return -int64(u), nil
	case !negative && u <= math.MaxInt64:
		return int64(u), nil
	}
	return 0, ErrNumberRange
}

// ParseUint64 is ParseInt64 for unsigned integers. A negative number is ErrNumberRange, -0 is 0.
func ParseUint64(b []byte) (uint64, error) {
	if u, ok := shortUint(b); ok {
		return u, nil
	}
	negative, u, err := parseInteger(b)
	if err == nil && negative && u != 0 {
		return 0, ErrNumberRange
	}
	return u, err
}

// ParseFloat reads a JSON number as the nearest floating-point number of 64 or, if bits is 32, of 32 bits (rounded once, not by
// way of 64). ErrNumberSyntax reports what the JSON grammar does not have, NaN, Inf and hexadecimal forms included; ErrNumberRange
// a number whose nearest value would be infinite. One too small to be told from zero is zero. Nothing is allocated, except on the
// way to ErrNumberRange.
func ParseFloat(b []byte, bits int) (float64, error) {
	if len(b) == 0 {
		return 0, ErrNumberSyntax
	}
	if f, ok := shortFloat(b); ok && bits == 64 {
		return f, nil
	}
	if c := b[0]; c != '-' && c-'0' > 9 || numberEnd(b, 0) != len(b) {
		return 0, ErrNumberSyntax
	}
	// The string shares b's memory. That is safe because b is not written to and b outlives the call: ParseFloat keeps no
	// reference to its argument, its errors hold a copy. b is not empty, so its first element has an address.
	f, err := strconv.ParseFloat(unsafe.String(&b[0], len(b)), bits)
	if err != nil {
		return 0, ErrNumberRange // the grammar was checked, and JSON's is narrower than strconv's
	}
	return f, nil
}

// pow10 are the powers of ten that a float64 holds exactly.
var pow10 = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// shortFloat reads a number without exponent whose digits, taken as an integer, a float64 holds exactly. So it does the power of
// ten below it, and their quotient is rounded once, and correctly.
func shortFloat(b []byte) (float64, bool) {
	negative := b[0] == '-'
	if negative {
		b = b[1:]
	}
	if len(b) > 20 { // 19 digits and a point: more might not fit into u
		return 0, false
	}
	var u uint64
	point := -1
	for i, c := range b {
		if d := c - '0'; d <= 9 {
			u = u*10 + uint64(d)
		} else if c == '.' && point < 0 {
			point = i
		} else {
			return 0, false
		}
	}
	digits, frac := len(b), 0
	if point >= 0 {
		frac = len(b) - point - 1
		digits--
		if point == 0 || frac == 0 {
			return 0, false
		}
	}
	if digits == 0 || digits > 19 || u > 1<<53 || b[0] == '0' && len(b) > 1 && point != 1 {
		return 0, false
	}
	f := float64(u) / pow10[frac]
	if negative {
		f = -f
	}
	return f, true
}

// shortUint reads up to 16 digits and nothing else, eight at a time.
func shortUint(b []byte) (uint64, bool) {
	switch n := len(b); {
	case n == 0 || n > 16 || b[0] == '0' && n > 1:
		return 0, false
	case n < 8:
		var u uint64
		for _, c := range b {
			d := c - '0'
			if d > 9 {
				return 0, false
			}
			u = u*10 + uint64(d)
		}
		return u, true
	case n == 8:
		x := binary.LittleEndian.Uint64(b)
		return eightDigits(x), nonDigits(x) == 0
	default:
		// The second word overlaps the first; the digits that it shares are shifted out and zeros move in.
		x, y := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[n-8:])
		if nonDigits(x)|nonDigits(y) != 0 {
			return 0, false
		}
		shared := 16 - n
		if shared > 0 {
			y = y>>(8*shared)<<(8*shared) | zeros>>(64-8*shared)
		}
		return eightDigits(x)*tens[8-shared] + eightDigits(y), true
	}
}

const zeros = '0' * ones

var tens = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19}

// eightDigits is the value of eight ASCII digits, the most significant in the lowest byte: neighbours are joined to numbers of
// two, four and eight digits.
func eightDigits(x uint64) uint64 {
	x -= zeros
	x = x*10 + x>>8
	const low = 0x000000ff000000ff
	return ((x&low)*(100+1000000<<32) + (x>>16&low)*(1+10000<<32)) >> 32
}

// parseInteger reads any number of the JSON grammar whose value is an integer of at most 64 bits without its sign.
func parseInteger(b []byte) (negative bool, u uint64, err error) {
	if len(b) == 0 || b[0] != '-' && b[0]-'0' > 9 || numberEnd(b, 0) != len(b) {
		return false, 0, ErrNumberSyntax
	}
	if negative = b[0] == '-'; negative {
		b = b[1:]
	}
	mantissa, exponent := splitExponent(b)
	whole, frac := mantissa, []byte(nil)
	if point := indexByte(mantissa, '.'); point < len(mantissa) {
		whole, frac = mantissa[:point], mantissa[point+1:]
	}
	// The value is the digits of whole and frac, one after the other, times a power of ten. Zeros at their end go into the
	// power; if it then is still negative there is a fraction.
	digits := len(whole) + len(frac)
	at := func(i int) byte {
		if i < len(whole) {
			return whole[i]
		}
		return frac[i-len(whole)]
	}
	for digits > 0 && at(digits-1) == '0' {
		digits--
	}
	if digits == 0 {
		return negative, 0, nil
	}
	power := exponent + int64(len(whole)-digits)
	if power < 0 {
		return negative, 0, ErrNumberFraction
	}
	for i := range digits {
		d := uint64(at(i) - '0')
		if u > (math.MaxUint64-d)/10 {
			return negative, 0, ErrNumberRange
		}
		u = u*10 + d
	}
	if power >= int64(len(tens)) || u > math.MaxUint64/tens[power] {
		return negative, 0, ErrNumberRange
	}
	return negative, u * tens[power], nil
}

// splitExponent takes the exponent off an unsigned number of the JSON grammar. One too large to matter is clamped, beyond
// anything that the digits of a document could make up for.
func splitExponent(b []byte) (mantissa []byte, exponent int64) {
	e := 0
	for e < len(b) && b[e]|0x20 != 'e' {
		e++
	}
	if e == len(b) {
		return b, 0
	}
	mantissa, b = b[:e], b[e+1:]
	negative := b[0] == '-'
	if negative || b[0] == '+' {
		b = b[1:]
	}
	for _, c := range b {
		if exponent = exponent*10 + int64(c-'0'); exponent > 1<<40 {
			exponent = 1 << 40
		}
	}
	if negative {
		exponent = -exponent
	}
	return mantissa, exponent
}

// indexByte is the index of c in b, len(b) if it is not there.
func indexByte(b []byte, c byte) int {
	for i := range b {
		if b[i] == c {
			return i
		}
	}
	return len(b)
}
