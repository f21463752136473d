package column

import (
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

// uuidAt is where the digit pairs of a hyphenated UUID stand.
var uuidAt = [16]uint8{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34}

func parseUUID(dst *[16]byte, text []byte) bool {
	var bad byte
	switch len(text) {
	case 36:
		if text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
			return false
		}
		for i, at := range uuidAt {
			hi, lo := hexValue[text[at]], hexValue[text[at+1]]
			bad |= hi | lo
			dst[i^7] = hi<<4 | lo&0xf
		}
	case 32:
		for i := range dst {
			hi, lo := hexValue[text[2*i]], hexValue[text[2*i+1]]
			bad |= hi | lo
			dst[i^7] = hi<<4 | lo&0xf
		}
	default:
		return false
	}
	return bad&0x80 == 0
}

// hexValue maps a hexadecimal digit to its value, and anything else to a byte with the top bit set.
var hexValue = func() (t [256]byte) {
	for i := range t {
		t[i] = 0x80
	}
	for i := range byte(10) {
		t['0'+i] = i
	}
	for i := range byte(6) {
		t['a'+i], t['A'+i] = 10+i, 10+i
	}
	return t
}()
