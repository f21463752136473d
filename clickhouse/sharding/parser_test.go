package sharding

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	for expr, want := range map[string]string{
		"user_id":                         "user_id",
		" cityHash64 ( a , b ) ":          "cityHash64(a, b)",
		"a + b * c - d % 2":               "minus(plus(a, multiply(b, c)), modulo(d, 2))",
		"(a + b) * c":                     "multiply(plus(a, b), c)",
		"-5 % 3":                          "modulo(-5, 3)",
		"-a % 3":                          "modulo(negate(a), 3)",
		"-(1)":                            "negate(1)",
		"- -5":                            "negate(-5)",
		"+a":                              "a",
		"a MOD 3":                         "modulo(a, 3)",
		"(a, 1)":                          "tuple(a, 1)",
		"(a,)":                            "tuple(a)",
		"((a))":                           "a",
		"crc32(LCASE(s))":                 "CRC32(lower(s))",
		"Rand()":                          "rand()",
		"rand32(1)":                       "rand(1)",
		"a.b":                             "`a.b`",
		"`a.b`":                           "`a.b`",
		"\"my col\"":                      "`my col`",
		"`my``col`":                       "`my\\`col`",
		"`null`":                          "`null`",
		"cityHash64('a\\'b''c\\x41\\q')":  `cityHash64('a\'b\'cA\\q')`,
		"0xFF + 0b11 + 1_000 + 010":       "plus(plus(plus(255, 3), 1000), 10)",
		"-9223372036854775808":            "-9223372036854775808",
		"-0":                              "0",
		"TRUE":                            "true",
		"modulo (negate(a), 10)":          "modulo(negate(a), 10)",
		"mod":                             "`mod`",
		"cityHash64(tuple(a, (b, 'x')))":  "cityHash64(tuple(a, tuple(b, 'x')))",
		"sipHash64(a)%2-1":                "minus(modulo(sipHash64(a), 2), 1)",
		"a-1":                             "minus(a, 1)",
		"a - -1":                          "minus(a, -1)",
		"cityHash64('\\0\\t\\e', '\xff')": `cityHash64('\x00\x09\x1B', '\xFF')`,
	} {
		t.Run(expr, func(t *testing.T) {
			e, err := Parse(expr)
			require.NoError(t, err)
			require.Equal(t, want, e.String())
			require.Equal(t, expr, e.Source())
			again, err := Parse(want)
			require.NoError(t, err)
			require.Equal(t, want, again.String())
			require.Equal(t, e.Columns(), again.Columns())
		})
	}
}

func TestParseListsColumnsOnceInOrder(t *testing.T) {
	e, err := Parse("cityHash64(b, a.x, `b`, \"c\", a.`x`)")
	require.NoError(t, err)
	require.Equal(t, []string{"b", "a.x", "c"}, e.Columns())
}

func TestParseRefuses(t *testing.T) {
	for expr, errContains := range map[string]string{
		"":                           "ends too early at byte 0",
		"a +":                        "ends too early at byte 3",
		"cityHash64(a":               "ends too early",
		"a b":                        `keyword "b"`,
		"a)":                         `unexpected ")" at byte 1`,
		"(a b)":                      `keyword "b"`,
		"'abc":                       "the quote is not closed at byte 0",
		"'abc\\":                     "the quote is not closed",
		`'\x4g'`:                     "two hexadecimal digits",
		`'\N'`:                       `\N`,
		"``":                         "column name is empty",
		"a -- b":                     "comments",
		"a /* b */":                  "comments",
		"a / 2":                      `operator "/" is not supported`,
		"a || b":                     `operator "||" is not supported`,
		"a::UInt8":                   `operator "::" is not supported`,
		"a = 1":                      `operator "=" is not supported`,
		"[a]":                        `operator "[" is not supported`,
		"t.1":                        `operator "." is not supported`,
		"NULL":                       "literal NULL is not supported",
		"1.5":                        "number 1.5 is not supported",
		"1e3":                        "number 1e3 is not supported",
		"1e-3":                       "number 1e-3 is not supported",
		"18446744073709551616":       "number 18446744073709551616 is not supported",
		"-9223372036854775809":       "number 9223372036854775809 is not supported",
		"1__0":                       "number 1__0",
		"wyHash64(a)":                `function "wyHash64" is not supported: it is not one of the functions that are evaluated here`,
		"cityhash64(a)":              "the name is case-sensitive, write cityHash64",
		"a ? b : c":                  `operator "?"`,
		"CASE WHEN a THEN 1 END":     "keyword",
		"INTERVAL 1 DAY":             "unexpected",
		"ключ":                       "unexpected",
		"\x00":                       "unexpected",
		strings.Repeat("(", 1000):    "nested more than 200 deep",
		strings.Repeat("- ", 1000):   "nested more than 200 deep",
		strings.Repeat("abs(", 1000): "nested more than 200 deep",
	} {
		t.Run(expr, func(t *testing.T) {
			_, err := Parse(expr)
			require.ErrorContains(t, err, errContains)
			var syntax *SyntaxError
			var unsupported *UnsupportedError
			require.True(t, errors.As(err, &syntax) || errors.As(err, &unsupported), "%T", err)
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"user_id % 4", "cityHash64(`a b`, 'it''s \\x41', -5)", "((a, 1), \"x\".y)", "- -(-1)*0x1F mod 3", "CRC32(lower(s))"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		e, err := Parse(expr)
		if err != nil {
			var syntax *SyntaxError
			var unsupported *UnsupportedError
			require.True(t, errors.As(err, &syntax) || errors.As(err, &unsupported), "%T", err)
			require.NotEmpty(t, err.Error())
			return
		}
		again, err := Parse(e.String())
		require.NoError(t, err, e.String())
		require.Equal(t, e.String(), again.String())
		require.Equal(t, e.Columns(), again.Columns())
	})
}
