package jsonscan

import "unicode/utf8"

// Unescape appends the value of a string to dst, given the bytes between its quotes. \u escapes become UTF-8, \u0000 a zero byte;
// two that form a surrogate pair become one character, and half of a pair without the other U+FFFD, as in encoding/json.
// Bytes outside escapes are copied as they are, invalid UTF-8 included. The error is ErrEscape, which cannot come up on a span
// that Scan has found; dst is then returned with what had been appended.
func Unescape(dst, raw []byte) ([]byte, error) {
	for len(raw) > 0 {
		n := 0
		for n < len(raw) && raw[n] != '\\' {
			n++
		}
		dst = append(dst, raw[:n]...)
		if raw = raw[n:]; len(raw) == 0 {
			break
		}
		if n = escapeLen(raw); n == 0 {
			return dst, ErrEscape
		}
		if n == 2 {
			dst = append(dst, unescaped(raw[1]))
			raw = raw[2:]
			continue
		}
		r := hexRune(raw)
		raw = raw[6:]
		if 0xd800 <= r && r < 0xdc00 && escapeLen(raw) == 6 {
			if low := hexRune(raw); 0xdc00 <= low && low < 0xe000 {
				r = (r-0xd800)<<10 + (low - 0xdc00) + 0x10000
				raw = raw[6:]
			}
		}
		dst = utf8.AppendRune(dst, r) // a surrogate is not a rune, and becomes U+FFFD
	}
	return dst, nil
}

// unescaped is the byte that a backslash and c stand for.
func unescaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

// hexRune is the code unit of a \u0041-like escape.
func hexRune(s []byte) rune {
	return rune(hexDigits[s[2]])<<12 | rune(hexDigits[s[3]])<<8 | rune(hexDigits[s[4]])<<4 | rune(hexDigits[s[5]])
}

// AppendString appends s as a JSON string, quotes included. Only what JSON demands is escaped: quotes, backslashes and control
// characters; other bytes are copied, invalid UTF-8 included, so that a Scan of the result gives the same bytes again.
func AppendString[T []byte | string](dst []byte, s T) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	done := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[done:i]...)
		done = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	dst = append(dst, s[done:]...)
	return append(dst, '"')
}
