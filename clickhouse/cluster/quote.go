package cluster

import "strings"

// quoteIdentifier writes a name so that ClickHouse reads it back unchanged whatever it holds.
func quoteIdentifier(name string) string { return quote('`', name) }

// quoteString writes a string literal.
func quoteString(s string) string { return quote('\'', s) }

// quoteTable writes a table's full name.
func quoteTable(database, table string) string {
	return quoteIdentifier(database) + "." + quoteIdentifier(table)
}

func quote(mark byte, s string) string {
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte(mark)
	for i := range len(s) {
		switch c := s[i]; c {
		case mark, '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case 0:
			b.WriteString(`\0`)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte(mark)
	return b.String()
}
