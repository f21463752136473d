package sharding

import "strings"

type tokenKind uint8

const (
	tokenEnd    tokenKind = iota
	tokenWord             // a bare identifier, function or keyword
	tokenQuoted           // an identifier in backticks or double quotes
	tokenNumber
	tokenString
	tokenSymbol // an operator or punctuation
)

type token struct {
	kind   tokenKind
	text   string // unescaped for tokenQuoted and tokenString
	offset int
}

// lexer takes an expression apart by the rules of ClickHouse 26.7's src/Parsers/Lexer.cpp and
// src/IO/ReadHelpers.cpp (escape sequences).
type lexer struct {
	src string
	pos int
}

// symbols of two bytes are listed so that an unsupported operator is named whole.
var symbols = []string{"||", "::", "<=", ">=", "<>", "!=", "==", "->"}

func (l *lexer) next() (token, error) {
	for l.pos < len(l.src) && isSpace(l.src[l.pos]) {
		l.pos++
	}
	start := l.pos
	if start == len(l.src) {
		return token{kind: tokenEnd, offset: start}, nil
	}
	switch c := l.src[start]; {
	case c == '`' || c == '"':
		text, err := l.quoted(c)
		return token{tokenQuoted, text, start}, err
	case c == '\'':
		text, err := l.quoted(c)
		return token{tokenString, text, start}, err
	case isDigit(c):
		return token{tokenNumber, l.number(), start}, nil
	case isWordStart(c):
		return token{tokenWord, l.while(isWordByte), start}, nil
	}
	if strings.HasPrefix(l.src[start:], "--") || strings.HasPrefix(l.src[start:], "/*") {
		return token{}, l.fail(start, "comments do not belong in a key (write -(-x) for a double minus)")
	}
	for _, s := range symbols {
		if strings.HasPrefix(l.src[start:], s) {
			l.pos += len(s)
			return token{tokenSymbol, s, start}, nil
		}
	}
	l.pos++
	return token{tokenSymbol, l.src[start:l.pos], start}, nil
}

func (l *lexer) while(accept func(byte) bool) string {
	start := l.pos
	for l.pos < len(l.src) && accept(l.src[l.pos]) {
		l.pos++
	}
	return l.src[start:l.pos]
}

// number reads digits with whatever letters, points and exponent signs belong to them; what it means is for the parser.
func (l *lexer) number() string {
	start := l.pos
	hex := strings.HasPrefix(l.src[start:], "0x") || strings.HasPrefix(l.src[start:], "0X")
	for l.pos < len(l.src) {
		c := l.src[l.pos]
		sign := (c == '+' || c == '-') && !hex && (l.src[l.pos-min(1, l.pos-start)]|0x20) == 'e'
		if !isWordByte(c) && c != '.' && !sign {
			break
		}
		l.pos++
	}
	return l.src[start:l.pos]
}

func (l *lexer) quoted(quote byte) (string, error) {
	start := l.pos
	var b strings.Builder
	for l.pos++; l.pos < len(l.src); l.pos++ {
		c := l.src[l.pos]
		switch {
		case c == '\\':
			if err := l.escape(&b); err != nil {
				return "", err
			}
		case c != quote:
			b.WriteByte(c)
		case l.pos+1 < len(l.src) && l.src[l.pos+1] == quote:
			b.WriteByte(quote)
			l.pos++
		default:
			l.pos++
			return b.String(), nil
		}
	}
	return "", l.fail(start, "the quote is not closed")
}

// escape reads one backslash sequence; pos is left on its last byte.
func (l *lexer) escape(b *strings.Builder) error {
	l.pos++
	if l.pos >= len(l.src) {
		return l.fail(l.pos-1, "the quote is not closed")
	}
	c := l.src[l.pos]
	if c == 'N' {
		return l.fail(l.pos-1, `\N stands for nothing inside a key`)
	}
	if c == 'x' {
		if l.pos+2 >= len(l.src) || !isHex(l.src[l.pos+1]) || !isHex(l.src[l.pos+2]) {
			return l.fail(l.pos-1, `\x needs two hexadecimal digits`)
		}
		b.WriteByte(unhex(l.src[l.pos+1])<<4 | unhex(l.src[l.pos+2]))
		l.pos += 2
		return nil
	}
	if i := strings.IndexByte(`abefnrtv0`, c); i >= 0 {
		b.WriteByte("\a\b\x1b\f\n\r\t\v\x00"[i])
		return nil
	}
	// ClickHouse drops the backslash before quotes, slashes and control characters, and keeps it before the rest.
	if strings.IndexByte("\\`\"'/=", c) < 0 && c >= 0x20 && c != 0x7f {
		b.WriteByte('\\')
	}
	b.WriteByte(c)
	return nil
}

func (l *lexer) fail(offset int, reason string) error {
	return &SyntaxError{Expr: l.src, Offset: offset, Reason: reason}
}

func isSpace(c byte) bool     { return c == ' ' || c >= '\t' && c <= '\r' }
func isDigit(c byte) bool     { return c >= '0' && c <= '9' }
func isWordStart(c byte) bool { return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' }
func isWordByte(c byte) bool  { return isWordStart(c) || isDigit(c) }
func isHex(c byte) bool       { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

func unhex(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
