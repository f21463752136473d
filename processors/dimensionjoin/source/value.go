package source

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// encoder chooses how the values of a column, given in the text protocol's notation, are written as JSON.
func encoder(cfg *Config, c Column, typ string, jsonCheck bool) (func(dst, text []byte) ([]byte, error), error) {
	as := c.As
	if as == Auto && jsonCheck {
		as = JSON // MariaDB's JSON is a LONGTEXT with a check
	}
	if !slices.Contains(Encodings, string(as)) && as != Auto {
		return nil, &SchemaError{cfg.Name, c.Name, fmt.Sprintf("there is no encoding %q; there are: %s", as, strings.Join(Encodings, ", "))}
	}
	fail := func(format string, args ...any) error {
		return &ValueError{cfg.Name, c.Name, fmt.Sprintf(format, args...)}
	}
	switch as {
	case String:
		if isBinary(typ) {
			return func(dst, text []byte) ([]byte, error) {
				return jsonscan.AppendString(dst, bytes.ToValidUTF8(text, []byte("\uFFFD"))), nil
			}, nil
		}
		return appendString, nil
	case Bool:
		zeros := "0."
		if isBinary(typ) {
			zeros = "\x00"
		}
		return func(dst, text []byte) ([]byte, error) {
			return strconv.AppendBool(dst, len(bytes.Trim(bytes.TrimPrefix(text, []byte("-0")), zeros)) > 0), nil
		}, nil
	case Number:
		return func(dst, text []byte) ([]byte, error) { return appendNumber(dst, text, fail) }, nil
	case JSON:
		return func(dst, text []byte) ([]byte, error) { return appendJSON(dst, text, fail) }, nil
	case Base64:
		return appendBase64, nil
	case Hex:
		return func(dst, text []byte) ([]byte, error) {
			return append(hex.AppendEncode(append(dst, '"'), text), '"'), nil
		}, nil
	case UUID:
		return func(dst, text []byte) ([]byte, error) {
			if len(text) != 16 {
				return dst, fail("a UUID has 16 bytes, this value %d", len(text))
			}
			return append(appendUUID(append(dst, '"'), [16]byte(text)), '"'), nil
		}, nil
	}
	return typeEncoder(cfg, typ, fail), nil
}

// typeEncoder is the encoding Auto.
func typeEncoder(cfg *Config, typ string, fail func(string, ...any) error) func(dst, text []byte) ([]byte, error) {
	switch typ {
	case "DECIMAL", "FLOAT", "DOUBLE", "YEAR":
		return func(dst, text []byte) ([]byte, error) { return appendNumber(dst, text, fail) }
	case "BIT":
		return appendBits
	case "DATE":
		return func(dst, text []byte) ([]byte, error) {
			if isZeroDate(text) {
				return append(dst, "null"...), nil
			}
			return appendString(dst, text)
		}
	case "DATETIME":
		return func(dst, text []byte) ([]byte, error) { return appendDateTime(dst, text, cfg.zone(), fail) }
	case "TIMESTAMP":
		return func(dst, text []byte) ([]byte, error) { return appendDateTime(dst, text, time.UTC, fail) }
	case "SET":
		return appendSet
	case "JSON":
		return func(dst, text []byte) ([]byte, error) { return appendJSON(dst, text, fail) }
	case "CHAR", "VARCHAR", "ENUM", "TIME", "TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT":
		return appendString
	}
	if strings.HasSuffix(typ, "INT") {
		return func(dst, text []byte) ([]byte, error) { return appendNumber(dst, text, fail) }
	}
	return appendBase64
}

func isBinary(typ string) bool {
	return strings.HasSuffix(typ, "BLOB") || strings.HasSuffix(typ, "BINARY") || typ == "GEOMETRY" || typ == "VECTOR" || typ == "BIT"
}

func appendString(dst, text []byte) ([]byte, error) { return jsonscan.AppendString(dst, text), nil }

func appendBase64(dst, text []byte) ([]byte, error) {
	return append(base64.StdEncoding.AppendEncode(append(dst, '"'), text), '"'), nil
}

// appendNumber keeps all digits; ZEROFILL's leading zeros, which JSON does not allow, are dropped.
func appendNumber(dst, text []byte, fail func(string, ...any) error) ([]byte, error) {
	if len(text) > 0 && text[0] == '-' {
		dst, text = append(dst, '-'), text[1:]
	}
	for len(text) > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9' {
		text = text[1:]
	}
	start := len(dst)
	dst = append(dst, text...)
	if len(text) == 0 || text[0] < '0' || text[0] > '9' || !json.Valid(dst[start:]) {
		return dst, fail("%q is not a number", text)
	}
	return dst, nil
}

func appendJSON(dst, text []byte, fail func(string, ...any) error) ([]byte, error) {
	if !json.Valid(text) {
		return dst, fail("the value is not JSON")
	}
	if bytes.ContainsAny(text, "\n\r") { // an event that is one line stays one
		buf := bytes.NewBuffer(dst)
		err := json.Compact(buf, text)
		return buf.Bytes(), err
	}
	return append(dst, bytes.TrimSpace(text)...), nil
}

func appendBits(dst, text []byte) ([]byte, error) {
	var v uint64
	for _, b := range text {
		v = v<<8 | uint64(b)
	}
	return strconv.AppendUint(dst, v, 10), nil
}

func appendSet(dst, text []byte) ([]byte, error) {
	dst = append(dst, '[')
	for i := 0; len(text) > 0; i++ {
		item, rest, _ := bytes.Cut(text, []byte{','}) // a member of a SET cannot hold a comma
		if i > 0 {
			dst = append(dst, ',')
		}
		dst, text = jsonscan.AppendString(dst, item), rest
	}
	return append(dst, ']'), nil
}

func isZeroDate(text []byte) bool { return bytes.HasPrefix(text, []byte("0000-00-00")) }

func appendDateTime(dst, text []byte, zone *time.Location, fail func(string, ...any) error) ([]byte, error) {
	if isZeroDate(text) {
		return append(dst, "null"...), nil
	}
	t, err := time.ParseInLocation(time.DateTime, string(text), zone)
	if err != nil {
		return dst, fail("%q is not a date and time", text)
	}
	return append(t.AppendFormat(append(dst, '"'), time.RFC3339Nano), '"'), nil
}

// instantColumn reads the ends of validity intervals.
type instantColumn struct {
	dimension, name string
	unit            time.Duration // of integers; 0 for dates and times
	zone            *time.Location
}

func newInstantColumn(cfg *Config, d described) (instantColumn, error) {
	c := instantColumn{dimension: cfg.Name, name: d.name, zone: cfg.zone()}
	switch {
	case d.typ == "DATE" || d.typ == "DATETIME":
	case d.typ == "TIMESTAMP":
		c.zone = time.UTC
	case strings.HasSuffix(d.typ, "INT"):
		c.unit = cfg.AsOf.Unit
	default:
		return c, &SchemaError{cfg.Name, d.name, fmt.Sprintf("a column of type %s cannot bound an interval of time", d.typ)}
	}
	return c, nil
}

func (c *instantColumn) parse(text []byte) (int64, error) {
	if c.unit > 0 {
		return parseUnits(string(text), c.unit)
	}
	t, ok := parseTime(string(text), c.zone, c.zone)
	if !ok {
		return 0, &ValueError{c.dimension, c.name, fmt.Sprintf("%q is not an instant", text)}
	}
	return t.UnixMicro(), nil
}

// parseUnits turns a number of units since 1970 into microseconds, saturating.
func parseUnits(s string, unit time.Duration) (int64, error) {
	if v, err := strconv.ParseInt(s, 10, 64); err == nil {
		if unit < time.Microsecond {
			return floorDiv(v, int64(time.Microsecond/unit)), nil
		}
		scale := int64(unit / time.Microsecond)
		switch {
		case v > math.MaxInt64/scale:
			return Forever, nil
		case v < math.MinInt64/scale:
			return Beginning, nil
		}
		return v * scale, nil
	}
	return parseFraction(s, unit)
}

// parseFraction is parseUnits for a number that is not written as a whole one. A float would not hold nanoseconds.
func parseFraction(s string, unit time.Duration) (int64, error) {
	d, ok := decimal(nil, []byte(s))
	digits, negative := strings.CutPrefix(string(d), "-")
	whole, frac, _ := strings.Cut(digits, ".")
	if !ok || len(whole) > len("9223372036854775807") {
		return 0, fmt.Errorf("%q is not a number of %v since 1970", s, unit)
	}
	point := len(whole) - 3
	for ; unit > time.Nanosecond; unit /= 10 {
		point++
	}
	text, rest, _ := strings.Cut(string(appendDecimal(nil, false, []byte(whole+frac), point)), ".")
	micros, _ := strconv.ParseInt(text, 10, 64) // digits only: beyond the range it is Forever
	switch {
	case negative && micros == Forever:
		return Beginning, nil
	case negative && rest != "": // rounded down, as what is after 1970 is
		return -micros - 1, nil
	case negative:
		return -micros, nil
	}
	return micros, nil
}

func floorDiv(v, d int64) int64 {
	q := v / d
	if v%d < 0 {
		q--
	}
	return q
}

// ParseInstant reads an event's own time: a number of units since 1970, RFC 3339, or MySQL's notation in the zone. The result
// is in microseconds.
func ParseInstant(f Field, unit time.Duration, zone *time.Location) (int64, error) {
	text := f.Text
	switch f.Kind {
	case jsonscan.Number:
		return parseUnits(string(text), unit)
	case jsonscan.String, jsonscan.Escaped:
		if f.Kind == jsonscan.Escaped { // some writers escape the + of an offset
			if plain, err := jsonscan.Unescape(nil, text); err == nil {
				text = plain
			}
		}
		if t, ok := parseTime(string(text), zone, zone); ok {
			return t.UnixMicro(), nil
		}
		if micros, err := parseUnits(string(text), unit); err == nil {
			return micros, nil
		}
	case jsonscan.Missing, jsonscan.Null:
		return 0, ErrNoKey
	}
	return 0, fmt.Errorf("%q is not an instant", f.Text)
}
