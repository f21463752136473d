package services

import "strings"

// Statements splits a script at the semicolons that stand outside quotes and comments. Statements that hold nothing but
// comments and space are left out.
func Statements(script string) []string {
	var out []string
	start, empty := 0, true
	flush := func(end int) {
		if !empty {
			out = append(out, strings.TrimSpace(script[start:end]))
		}
		start, empty = end+1, true
	}
	for i := 0; i < len(script); {
		switch {
		case script[i] == ';':
			flush(i)
			i++
		case strings.HasPrefix(script[i:], "--"), script[i] == '#':
			i += until(script[i:], "\n")
		case strings.HasPrefix(script[i:], "/*"):
			i += until(script[i:], "*/")
		case strings.IndexByte("'\"`", script[i]) >= 0:
			empty = false
			i += quoted(script[i:])
		default:
			empty = empty && strings.IndexByte(" \t\r\n", script[i]) >= 0
			i++
		}
	}
	flush(len(script))
	return out
}

// until is the length of s up to and including end.
func until(s, end string) int {
	if i := strings.Index(s, end); i >= 0 {
		return i + len(end)
	}
	return len(s)
}

// quoted is the length of the quoted text that s begins with. A doubled quote needs no care: it ends one quoted text
// and begins the next.
func quoted(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case s[0]:
			return i + 1
		}
	}
	return len(s)
}
