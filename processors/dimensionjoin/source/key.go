package source

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// KeyKind is how the values of a key column are compared.
type KeyKind uint8

// The kinds of key columns. Floating-point, JSON, TIME, BIT, SET and spatial columns cannot be keys.
const (
	KeyString   KeyKind = iota + 1 // CHAR, VARCHAR, TEXT, ENUM: the bytes in UTF-8, exactly
	KeyBytes                       // BINARY, VARBINARY, BLOB: the bytes; BINARY(n) padded with zeros to n; UUID text is taken for BINARY(16)
	KeyInteger                     // all integers and YEAR: decimal digits without leading zeros
	KeyDecimal                     // DECIMAL: decimal digits without leading or trailing zeros
	KeyDate                        // DATE: YYYY-MM-DD
	KeyDateTime                    // DATETIME, TIMESTAMP: YYYY-MM-DD HH:MM:SS[.ffffff] in the dimension's zone, or UTC for TIMESTAMP
	KeyUUID                        // MariaDB's UUID: lower-case text
)

// KeyColumn is one column of a dimension's key. Its canonical form, described at the kinds, is what an event's field, a row's
// value and a binlog value are all turned into before they are compared.
type KeyColumn struct {
	Name     string
	Type     string // as the server names it
	Kind     KeyKind
	Width    int  // of BINARY(n); 0 when unknown or variable
	Unsigned bool // integers
	Bits     int  // integers: 8, 16, 24, 32 or 64
	Zone     *time.Location
	Charset  string // of a text, where it is known and is not the connection's
	// Ordinal is the column's place in its table, from 0; -1 when unknown. Logged says that the binlog holds its values in a
	// form that LoggedKey understands: texts in UTF-8, for example, but not in other character sets.
	Ordinal int
	Logged  bool
}

// Field is the value of a key field in an event: a JSON literal, or the bytes between the quotes of a string.
type Field struct {
	Kind jsonscan.Kind
	Text []byte
}

// LongestKey is the length of the longest value that is looked up: beyond what any index holds, and far below what a server takes for a
// query.
const LongestKey = 64 << 10

// MySQL's booleans are these integers.
var zero, one = []byte("0"), []byte("1")

// Keyer turns the key fields of one event into the canonical key. It is scratch for one goroutine.
type Keyer struct {
	dimension string
	columns   []KeyColumn
	buf, part []byte
}

// NewKeyer prepares the scratch.
func NewKeyer(dimension string, columns []KeyColumn) *Keyer {
	return &Keyer{dimension: dimension, columns: columns}
}

// Key returns the canonical key of the fields, in the order of the columns. It stands in the keyer's scratch or in the
// fields' own bytes: valid until the next call. The error is ErrNoKey or a *KeyError.
func (k *Keyer) Key(fields []Field) ([]byte, error) {
	if len(k.columns) == 1 {
		return k.column(&k.columns[0], fields[0])
	}
	k.buf = k.buf[:0]
	for i := range k.columns {
		part, err := k.column(&k.columns[i], fields[i])
		if err != nil {
			return nil, err
		}
		k.buf = appendPart(k.buf, part)
	}
	return k.buf, nil
}

// appendPart adds a column to a key of several: its length as a varint, then its bytes.
func appendPart(dst, part []byte) []byte {
	n := uint64(len(part))
	for n >= 0x80 {
		dst = append(dst, byte(n)|0x80)
		n >>= 7
	}
	return append(append(dst, byte(n)), part...)
}

// split is the inverse of appendPart, for keys of n columns.
func split(key string, n int) []string {
	if n == 1 {
		return []string{key}
	}
	parts := make([]string, 0, n)
	for len(key) > 0 {
		size, shift, i := 0, 0, 0
		for ; i < len(key); i++ {
			size |= int(key[i]&0x7f) << shift
			shift += 7
			if key[i] < 0x80 {
				break
			}
		}
		parts = append(parts, key[i+1:i+1+size])
		key = key[i+1+size:]
	}
	return parts
}

func (k *Keyer) column(c *KeyColumn, f Field) ([]byte, error) {
	text := f.Text
	switch f.Kind {
	case jsonscan.String:
	case jsonscan.Escaped:
		var err error
		if k.part, err = jsonscan.Unescape(k.part[:0], text); err != nil {
			return nil, k.mismatch(c, f)
		}
		text = k.part
	case jsonscan.Number:
		if c.Kind == KeyBytes || c.Kind == KeyUUID || c.Kind == KeyDate || c.Kind == KeyDateTime {
			return nil, k.mismatch(c, f)
		}
	case jsonscan.True, jsonscan.False:
		if c.Kind != KeyInteger {
			return nil, k.mismatch(c, f)
		}
		text = zero
		if f.Kind == jsonscan.True {
			text = one
		}
	case jsonscan.Missing, jsonscan.Null:
		return nil, ErrNoKey
	default:
		return nil, k.mismatch(c, f)
	}
	if len(text) > LongestKey {
		return nil, k.mismatch(c, f)
	}
	if c.Kind == KeyString {
		return text, nil
	}
	out, ok := c.canonical(k.part[:0], text)
	if !ok {
		return nil, k.mismatch(c, f)
	}
	return out, nil
}

func (k *Keyer) mismatch(c *KeyColumn, f Field) error {
	shown := f.Text[:min(len(f.Text), 1000)]
	value := string(shown)
	switch f.Kind {
	case jsonscan.Escaped:
		if text, err := jsonscan.Unescape(nil, shown); err == nil {
			value = string(text)
		}
		value = strconv.Quote(value)
	case jsonscan.String:
		value = strconv.Quote(value)
	case jsonscan.Object:
		value = "that is an object"
	case jsonscan.Array:
		value = "that is an array"
	}
	return &KeyError{Dimension: k.dimension, Column: c.Name, Type: c.Type, Value: shorten(value)}
}

func shorten(value string) string {
	if len(value) > 100 {
		return value[:100] + "…"
	}
	return value
}

// canonical appends the canonical form of a value given as text; ok is false when the column can never hold it. dst may be
// the start of text's own buffer.
func (c *KeyColumn) canonical(dst, text []byte) (out []byte, ok bool) {
	switch c.Kind {
	case KeyString:
		return text, true
	case KeyInteger:
		return c.integer(dst, text)
	case KeyDecimal:
		return decimal(dst, text)
	case KeyBytes:
		return c.bytes(text), true
	case KeyDate, KeyDateTime:
		return c.instant(dst, text)
	case KeyUUID:
		id, ok := parseUUID(text)
		if !ok {
			return nil, false
		}
		return appendUUID(dst, id), true
	}
	return nil, false
}

// integer accepts what an integer column could hold: 12, "012", 12.0 and 1.2e1 are the same key.
func (c *KeyColumn) integer(dst, text []byte) ([]byte, bool) {
	if plainInteger(text) && len(text) < c.safeDigits() {
		return text, true
	}
	d, ok := decimal(nil, text)
	if !ok || bytes.IndexByte(d, '.') >= 0 {
		return nil, false
	}
	if d[0] == '-' {
		v, err := strconv.ParseInt(string(d), 10, 64)
		if err != nil || c.Unsigned || v < -1<<(c.Bits-1) {
			return nil, false
		}
		return append(dst, d...), true
	}
	v, err := strconv.ParseUint(string(d), 10, 64)
	bits := c.Bits
	if !c.Unsigned {
		bits--
	}
	if err != nil || (bits < 64 && v >= 1<<bits) {
		return nil, false
	}
	return append(dst, d...), true
}

// safeDigits is a length below which every number fits the column.
func (c *KeyColumn) safeDigits() int {
	switch c.Bits {
	case 8:
		return 3
	case 16:
		return 5
	case 24:
		return 7
	case 32:
		return 10
	default:
		return 19
	}
}

// plainInteger reports a non-negative integer in canonical form.
func plainInteger(text []byte) bool {
	if len(text) == 0 || (text[0] == '0' && len(text) > 1) {
		return false
	}
	for _, b := range text {
		if b < '0' || b > '9' {
			return false
		}
	}
	return true
}

// decimal appends a number without an exponent, leading or trailing zeros.
func decimal(dst, text []byte) ([]byte, bool) {
	neg := len(text) > 0 && text[0] == '-'
	if neg {
		text = text[1:]
	}
	mantissa, exp := text, 0
	if i := bytes.IndexAny(text, "eE"); i >= 0 {
		e, err := strconv.Atoi(string(text[i+1:]))
		if err != nil || e > 80 || e < -80 {
			return nil, false
		}
		mantissa, exp = text[:i], e
	}
	whole, frac, dotted := bytes.Cut(mantissa, []byte{'.'})
	if len(whole) == 0 || (dotted && len(frac) == 0) {
		return nil, false
	}
	digits := append(append(make([]byte, 0, len(mantissa)), whole...), frac...)
	for _, b := range digits {
		if b < '0' || b > '9' {
			return nil, false
		}
	}
	return appendDecimal(dst, neg, digits, len(whole)+exp), true
}

// appendDecimal writes digits with the point after the first `point` of them.
func appendDecimal(dst []byte, neg bool, digits []byte, point int) []byte {
	for point < 0 {
		digits, point = append([]byte{'0'}, digits...), point+1
	}
	for len(digits) < point {
		digits = append(digits, '0')
	}
	whole := bytes.TrimLeft(digits[:point], "0")
	frac := bytes.TrimRight(digits[point:], "0")
	if neg && len(whole)+len(frac) > 0 {
		dst = append(dst, '-')
	}
	if len(whole) == 0 {
		dst = append(dst, '0')
	}
	dst = append(dst, whole...)
	if len(frac) > 0 {
		dst = append(append(dst, '.'), frac...)
	}
	return dst
}

// bytes pads a value of BINARY(n) as the server stores it.
func (c *KeyColumn) bytes(text []byte) []byte {
	if c.Width == 16 && len(text) != 16 {
		if id, ok := parseUUID(text); ok {
			return id[:]
		}
	}
	if len(text) >= c.Width {
		return text
	}
	return append(append(make([]byte, 0, c.Width), text...), make([]byte, c.Width-len(text))...)
}

func (c *KeyColumn) instant(dst, text []byte) ([]byte, bool) {
	// A plain date or time stays what it is, also where the zone's clocks skip it: UTC has them all.
	t, ok := parseTime(string(text), c.Zone, time.UTC)
	if !ok || t.Year() < 0 || t.Year() > 9999 { // the zone can move an instant out of what a server takes for a date
		return nil, false
	}
	if c.Kind == KeyDate { // an instant is the day it falls on in the dimension's zone
		return t.AppendFormat(dst, time.DateOnly), true
	}
	return t.AppendFormat(dst, "2006-01-02 15:04:05.999999"), true
}

// parseTime reads RFC 3339, which is turned to the zone, or MySQL's own notation, which is taken for a local time.
func parseTime(s string, zone, local *time.Location) (time.Time, bool) {
	if len(s) > 10 && (s[10] == 'T' || s[10] == 't') {
		if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
			return t.In(zone), true
		}
		s = s[:10] + " " + s[11:]
	}
	for _, layout := range [...]string{time.DateTime, time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, local); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

func parseUUID(text []byte) (id [16]byte, ok bool) {
	hexed := make([]byte, 0, 32)
	for i, b := range text {
		if b == '-' && len(text) == 36 && (i == 8 || i == 13 || i == 18 || i == 23) {
			continue
		}
		hexed = append(hexed, b)
	}
	if len(hexed) != 32 {
		return id, false
	}
	_, err := hex.Decode(id[:], hexed)
	return id, err == nil
}

func appendUUID(dst []byte, id [16]byte) []byte {
	h := hex.EncodeToString(id[:])
	return fmt.Appendf(dst, "%s-%s-%s-%s-%s", h[:8], h[8:12], h[12:16], h[16:20], h[20:])
}

// argument is the query parameter for a canonical value, of a type that the server compares with the column by an index.
func (c *KeyColumn) argument(part string) any {
	switch c.Kind {
	case KeyInteger:
		if strings.HasPrefix(part, "-") {
			v, _ := strconv.ParseInt(part, 10, 64)
			return v
		}
		v, _ := strconv.ParseUint(part, 10, 64)
		if v <= math.MaxInt64 {
			return int64(v)
		}
		return v
	case KeyBytes:
		return []byte(part)
	default:
		return part
	}
}

// placeholder stands for a part's argument in a query.
func (c *KeyColumn) placeholder(part string) string {
	if c.Charset != "" {
		// MariaDB compares row values byte by byte, without converting them; servers reject what cannot be converted, for the whole query.
		return "CONVERT(? USING " + c.Charset + ")"
	}
	if c.Kind != KeyDecimal {
		return "?"
	}
	// A quoted number would be compared as a double. Servers have 65 digits, up to 30 of them behind the point.
	_, frac, _ := strings.Cut(part, ".")
	return "CAST(? AS DECIMAL(65," + strconv.Itoa(min(len(frac), 30)) + "))"
}

// Describe prints a canonical key for messages.
func Describe(columns []KeyColumn, key string) string {
	parts := split(key, len(columns))
	out := make([]string, 0, len(parts))
	for i, p := range parts {
		if i < len(columns) && columns[i].Kind == KeyBytes {
			out = append(out, "0x"+hex.EncodeToString([]byte(p)))
			continue
		}
		out = append(out, strconv.Quote(p))
	}
	return strings.Join(out, ", ")
}
