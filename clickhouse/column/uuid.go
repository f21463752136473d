package column

import (
	"encoding/binary"
	"math/bits"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// uuidCodec is UUID: 32 hexadecimal digits, with or without the four hyphens. On the wire each half is a little-endian number.
func uuidCodec(t *Type, _ *environment) (*codec, error) {
	return wideCodec(t, 16, func(dst, src []byte, s jsonscan.Span, x *scratch) error {
		if s.Kind != jsonscan.String && s.Kind != jsonscan.Escaped {
			return notA(src, s, "a UUID")
		}
		text, err := x.string(src, s)
		if err != nil {
			return err
		}
		if !parseUUID((*[16]byte)(dst), text) {
			return notA(src, s, "a UUID")
		}
		return nil
	}), nil
}

func parseUUID(dst *[16]byte, text []byte) bool {
	var b, c uint64 // the second and third eight digits
	switch {
	case len(text) == 36 && text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-':
		b = uint64(binary.LittleEndian.Uint32(text[9:])) | uint64(binary.LittleEndian.Uint32(text[14:]))<<32
		c = uint64(binary.LittleEndian.Uint32(text[19:])) | uint64(binary.LittleEndian.Uint32(text[24:]))<<32
	case len(text) == 32:
		b, c = binary.LittleEndian.Uint64(text[8:]), binary.LittleEndian.Uint64(text[16:])
	default:
		return false
	}
	a, d := binary.LittleEndian.Uint64(text), binary.LittleEndian.Uint64(text[len(text)-8:])
	if !isHex(a) || !isHex(b) || !isHex(c) || !isHex(d) {
		return false
	}
	binary.LittleEndian.PutUint64(dst[:], hexValue(a)<<32|hexValue(b))
	binary.LittleEndian.PutUint64(dst[8:], hexValue(c)<<32|hexValue(d))
	return true
}

const (
	everyByte = 0x0101010101010101
	topBits   = 0x80 * everyByte
)

// isHex reports whether all eight bytes are hexadecimal digits. Adding 0x80 − c sets the top bit of the bytes that are at
// least c; no byte carries into the next as long as all are ASCII.
func isHex(x uint64) bool {
	if x&topBits != 0 {
		return false
	}
	l := x | 0x20*everyByte // lower case; digits stay what they are
	digit := (x + (0x80-'0')*everyByte) &^ (x + (0x80-'9'-1)*everyByte)
	letter := (l + (0x80-'a')*everyByte) &^ (l + (0x80-'f'-1)*everyByte)
	return (digit|letter)&topBits == topBits
}

// hexValue is the number that eight hexadecimal digits spell, the first one in the lowest byte.
func hexValue(x uint64) uint64 {
	x = x&(0x0f*everyByte) + 9*(x>>6&everyByte) // letters have bit 6 and end in 1 to 6
	x = (x<<4 | x>>8) & 0x00ff00ff00ff00ff
	x = (x | x>>8) & 0x0000ffff0000ffff
	x |= x >> 16
	return uint64(bits.ReverseBytes32(uint32(x)))
}
