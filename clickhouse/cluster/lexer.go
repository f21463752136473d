package cluster

import (
	"fmt"
	"strings"
)

type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenWord
	tokenNumber
	tokenString     // '…'
	tokenIdentifier // `…` or "…"
	tokenSymbol     // one byte
)

// token is a piece of SQL; value is what it means, text how it is written.
type token struct {
	kind  tokenKind
	pos   int
	text  string
	value string
}

// lexer cuts SQL into tokens by the rules of ClickHouse's Lexer, as far as definitions printed by a server need them.
type lexer struct {
	src string
	pos int
}

func (s *lexer) next() (token, error) {
	if err := s.skipBlank(); err != nil {
		return token{}, err
	}
	start := s.pos
	if start >= len(s.src) {
		return token{kind: tokenEnd, pos: start}, nil
	}
	c := s.src[start]
	switch {
	case c == '\'' || c == '`' || c == '"':
		return s.quoted(c)
	case isWordStart(c):
		return s.word(tokenWord), nil
	case c >= '0' && c <= '9':
		return s.word(tokenNumber), nil
	}
	s.pos++
	text := s.src[start:s.pos]
	return token{kind: tokenSymbol, pos: start, text: text, value: text}, nil
}

func (s *lexer) word(kind tokenKind) token {
	start := s.pos
	for s.pos < len(s.src) && (isWordStart(s.src[s.pos]) || s.src[s.pos] >= '0' && s.src[s.pos] <= '9' || kind == tokenNumber && s.src[s.pos] == '.') {
		s.pos++
	}
	text := s.src[start:s.pos]
	return token{kind: kind, pos: start, text: text, value: text}
}

func isWordStart(c byte) bool {
	return c == '_' || c == '$' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// skipBlank passes over white space and comments.
func (s *lexer) skipBlank() error {
	for s.pos < len(s.src) {
		rest := s.src[s.pos:]
		switch {
		case strings.ContainsRune(" \t\r\n\f\v", rune(rest[0])):
			s.pos++
		case strings.HasPrefix(rest, "--"):
			end := strings.IndexByte(rest, '\n')
			if end < 0 {
				end = len(rest)
			}
			s.pos += end
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest, "*/")
			if end < 0 {
				return fmt.Errorf("a comment is not closed")
			}
			s.pos += end + 2
		default:
			return nil
		}
	}
	return nil
}

// quoted reads a string literal or a quoted name: backslash escapes, and the mark doubled.
func (s *lexer) quoted(mark byte) (token, error) {
	start := s.pos
	kind := tokenIdentifier
	if mark == '\'' {
		kind = tokenString
	}
	var value strings.Builder
	for i := start + 1; i < len(s.src); i++ {
		c := s.src[i]
		switch {
		case c == '\\':
			n, err := unescape(&value, s.src[i:])
			if err != nil {
				return token{}, err
			}
			i += n - 1
		case c == mark && i+1 < len(s.src) && s.src[i+1] == mark:
			value.WriteByte(mark)
			i++
		case c == mark:
			s.pos = i + 1
			return token{kind: kind, pos: start, text: s.src[start:s.pos], value: value.String()}, nil
		default:
			value.WriteByte(c)
		}
	}
	return token{}, fmt.Errorf("a quotation is not closed")
}

// unescape writes what the escape sequence at the start of s means, and returns its length: parseComplexEscapeSequence in
// src/IO/ReadHelpers.cpp of ClickHouse 26.7. An unknown sequence keeps its backslash.
func unescape(b *strings.Builder, s string) (int, error) {
	if len(s) < 2 {
		return 0, fmt.Errorf("a quotation is not closed")
	}
	switch c := s[1]; {
	case c == 'x':
		if len(s) < 4 || hexDigit(s[2]) < 0 || hexDigit(s[3]) < 0 {
			return 0, fmt.Errorf("escape sequence %q is not complete", s[:min(4, len(s))])
		}
		b.WriteByte(byte(hexDigit(s[2])<<4 | hexDigit(s[3])))
		return 4, nil
	case c == 'N':
	case strings.IndexByte("abefnrtv0", c) >= 0:
		b.WriteByte("\a\b\x1b\f\n\r\t\v\x00"[strings.IndexByte("abefnrtv0", c)])
	case strings.IndexByte("\\'\"`/=", c) >= 0, c < 0x20:
		b.WriteByte(c)
	default:
		b.WriteByte('\\')
		b.WriteByte(c)
	}
	return 2, nil
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
