package source

import (
	"slices"
	"strconv"
	"strings"
)

// LoggedKey makes the canonical key of a row as the binlog holds it: values in the order of the table's columns, integers
// signed whatever their column is, texts and bytes as stored. names are the columns' names, or nil when they are not logged;
// skipped are the columns that are left out. ok is false when the key cannot be told: anything of the table may have changed
// then. A key with a NULL is nobody's: it is empty.
func (s *Schema) LoggedKey(names []string, values []any, skipped []int) (key string, ok bool) {
	var buf, out []byte
	for i := range s.Keys {
		k := &s.Keys[i]
		at := k.Ordinal
		if names != nil {
			at = slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, k.Name) })
		}
		if !k.Logged || at < 0 || at >= len(values) || slices.Contains(skipped, at) {
			return "", false
		}
		if values[at] == nil {
			return "", true
		}
		text, ok := k.logged(buf[:0], values[at])
		if !ok {
			return "", false
		}
		part, ok := k.canonical(nil, text)
		if !ok {
			return "", true // no event can have it: a zero date
		}
		if len(s.Keys) == 1 {
			return string(part), true
		}
		out = appendPart(out, part)
	}
	return string(out), true
}

// logged writes a value of the binlog as the text protocol would.
func (c *KeyColumn) logged(dst []byte, v any) ([]byte, bool) {
	switch v := v.(type) {
	case int8:
		return c.loggedInteger(dst, int64(v)), true
	case int16:
		return c.loggedInteger(dst, int64(v)), true
	case int32:
		return c.loggedInteger(dst, int64(v)), true
	case int64:
		return c.loggedInteger(dst, v), true
	case int:
		return strconv.AppendInt(dst, int64(v), 10), true
	case string:
		return append(dst, v...), true
	case []byte:
		return append(dst, v...), true
	default:
		return nil, false
	}
}

func (c *KeyColumn) loggedInteger(dst []byte, v int64) []byte {
	if !c.Unsigned || v >= 0 {
		return strconv.AppendInt(dst, v, 10)
	}
	return strconv.AppendUint(dst, uint64(v)&(1<<c.Bits-1), 10)
}
