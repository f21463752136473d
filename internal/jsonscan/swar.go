package jsonscan

import (
	"encoding/binary"
	"math/bits"
)

// Words of eight equal bytes. The tests below look at eight bytes in one uint64, the first byte of the text lowest. Each
// leaves the high bit set in the bytes that satisfy it; a borrow or carry can disturb only bytes above one that truly does,
// so the lowest high bit is always exact, and it is the only one used.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// specials marks the bytes that end a run of plain string bytes: a quote, a backslash, a control character. Flipping bit 1
// puts the quote (0x22) right behind the control characters (below 0x20), so that one comparison with 0x21 finds both.
func specials(x uint64) uint64 {
	return (((x ^ 0x02*ones) - 0x21*ones) | ((x ^ '\\'*ones) - ones)) &^ x & highs
}

// nonDigits marks the bytes that are not '0' to '9'.
func nonDigits(x uint64) uint64 {
	return ((x + 0x46*ones) | (x - '0'*ones)) & highs
}

// firstByte is the index of the byte of the lowest mark.
func firstByte(marks uint64) int { return bits.TrailingZeros64(marks) >> 3 }

// word returns the eight bytes at p, with zeros for those that lie beyond the document's end. A zero is no part of any token,
// so that whoever looks for a token's end finds it at the document's end without asking for the length.
func word(doc []byte, p int) uint64 {
	if p >= 0 && p <= len(doc)-8 {
		return binary.LittleEndian.Uint64(doc[p : p+8])
	}
	return lastWord(doc, p)
}

// lastWord is word where the document ends.
func lastWord(doc []byte, p int) (x uint64) {
	for i := len(doc) - 1; i >= p; i-- {
		x = x<<8 | uint64(doc[i])
	}
	return x
}

// plainEnd returns the position of the first byte at or after p that is a quote, a backslash or a control character, or the
// document's length.
func plainEnd(doc []byte, p int) int {
	for ; ; p += 8 {
		if m := specials(word(doc, p)); m != 0 {
			return p + firstByte(m)
		}
	}
}

// digitsEnd returns the position of the first byte at or after p that is not a digit, or the document's length.
func digitsEnd(doc []byte, p int) int {
	for ; ; p += 8 {
		if m := nonDigits(word(doc, p)); m != 0 {
			return p + firstByte(m)
		}
	}
}

// skipSpace returns the position of the first byte at or after p that is not white space, or the document's length.
func skipSpace(doc []byte, p int) int {
	for ; p < len(doc); p++ {
		if c := doc[p]; c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			break
		}
	}
	return p
}

// numberEnd returns the end of the number that begins at p with a minus or a digit, or the complement (^) of the position
// where the grammar is broken.
func numberEnd(doc []byte, p int) int {
	// Most are a few digits before a comma.
	x := word(doc, p)
	if n := firstByte(nonDigits(x)); n < 8 && byte(x>>(8*n)) == ',' && (n == 1 || byte(x) != '0') {
		return p + n
	}
	if doc[p] == '-' {
		p++
	}
	if p == len(doc) || doc[p]-'0' > 9 {
		return ^p
	}
	if doc[p] == '0' {
		p++ // a digit after it is not part of the number, and nothing may follow a number directly
	} else {
		p = digitsEnd(doc, p+1)
	}
	if p < len(doc) && doc[p] == '.' {
		end := digitsEnd(doc, p+1)
		if end == p+1 {
			return ^end
		}
		p = end
	}
	if p < len(doc) && doc[p]|0x20 == 'e' {
		p++
		if p < len(doc) && (doc[p] == '+' || doc[p] == '-') {
			p++
		}
		end := digitsEnd(doc, p)
		if end == p {
			return ^end
		}
		p = end
	}
	return p
}

// stringEnd returns the position of the closing quote of the string whose first byte is at p, having checked its escapes, or
// the complement of the position at fault.
func stringEnd(doc []byte, p int) (end int, kind Kind) {
	kind = String
	for {
		p = plainEnd(doc, p)
		if p == len(doc) {
			return ^p, kind
		}
		switch doc[p] {
		case '"':
			return p, kind
		case '\\':
			kind = Escaped
			n := escapeLen(doc[p:])
			if n == 0 {
				return ^p, kind
			}
			p += n
		default:
			return ^p, kind
		}
	}
}

// escapeLen is the length of the escape at the start of s, 0 if it is not one.
func escapeLen(s []byte) int {
	if len(s) < 2 || s[0] != '\\' {
		return 0
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(s) >= 6 && hexDigits[s[2]]|hexDigits[s[3]]|hexDigits[s[4]]|hexDigits[s[5]] < 16 {
			return 6
		}
	}
	return 0
}

// hexDigits maps a hexadecimal digit to its value and any other byte to 0xff.
var hexDigits = func() (t [256]uint8) {
	for i := range t {
		t[i] = 0xff
	}
	for i := range uint8(10) {
		t['0'+i] = i
	}
	for i := range uint8(6) {
		t['a'+i], t['A'+i] = 10+i, 10+i
	}
	return t
}()

// literalEnd returns the end and the kind of the true, false or null that begins at p, or 0.
func literalEnd(doc []byte, p int) (end int, kind Kind) {
	rest := doc[p:]
	switch {
	case len(rest) >= 4 && string(rest[:4]) == "true":
		return p + 4, True
	case len(rest) >= 4 && string(rest[:4]) == "null":
		return p + 4, Null
	case len(rest) >= 5 && string(rest[:5]) == "false":
		return p + 5, False
	}
	return 0, Missing
}
