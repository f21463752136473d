package jsonscan

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Values that the grammar has. Each is tried as the whole document, as a member wanted and unwanted, and deeper.
var goodValues = map[string]string{
	"empty array":                 `[]`,
	"array with space":            "[ \t\r\n]",
	"array of arrays":             `[[],[[]],[ [ ] , 1 ]]`,
	"array of literals":           `[null,true,false]`,
	"empty object":                `{}`,
	"object with space":           "{ \n}",
	"object":                      `{"a":1,"b":{"c":[{"d":{}}]}}`,
	"object with space all over":  "{ \"a\" : 1 ,\t\"b\" :\r\n[ 1 , 2 ] }",
	"object with empty name":      `{"":0}`,
	"object with escaped name":    `{"foo\u0000bar":42}`,
	"object with duplicates":      `{"a":"b","a":"c"}`,
	"long names and strings":      `{"min":-1.0e+28,"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}`,
	"null":                        `null`,
	"true":                        `true`,
	"false":                       `false`,
	"zero":                        `0`,
	"minus zero":                  `-0`,
	"one digit":                   `4`,
	"eight digits":                `12345678`,
	"nine digits":                 `123456789`,
	"long integer":                `1234567890123456789012345678901234567890`,
	"negative integer":            `-123`,
	"fraction":                    `123.456789`,
	"fraction close to zero":      `-0.000000000000000000000000000000000000000000000000000000000000000000000000000001`,
	"exponent":                    `123e65`,
	"capital exponent":            `1E22`,
	"exponent with signs":         `-1.5E-2`,
	"exponent with plus":          `1e+2`,
	"zero with exponent":          `0e1`,
	"zero with plus exponent":     `0e+1`,
	"huge exponent":               `0.4e00669999999999999999999999999999999999999999999999999999999999999999969999999006`,
	"empty string":                `""`,
	"string of one":               `"a"`,
	"string of seven":             `"abcdefg"`,
	"string of eight":             `"abcdefgh"`,
	"string of nine":              `"abcdefghi"`,
	"string of brackets":          `"}{][,:"`,
	"all escapes":                 `"\"\\\/\b\f\n\r\t\u0012\uABCD\uabcd"`,
	"surrogate pair":              `"\uD801\udc37"`,
	"two surrogate pairs":         `"\ud83d\ude39\ud83d\udc8d"`,
	"lone high surrogate":         `"\uDADA"`,
	"lone low surrogate":          `"\uDd1ea"`,
	"high then high":              `"\uD800\uD800\n"`,
	"half pair then text":         `"\uD800abc"`,
	"inverted pair":               `"\uDd1e\uD834"`,
	"escaped backslash at end":    `"aaaaaaa\\"`,
	"escaped quote at a word end": `"aaaaaa\"aaaaaaa\""`,
	"escaped zero":                `"\u0000"`,
	"delete character":            "\"\x7f\"",
	"two bytes of UTF-8":          `"é"`,
	"three bytes of UTF-8":        `"€"`,
	"four bytes of UTF-8":         `"𝄞"`,
	"noncharacter":                "\"\uffff\"",
	"line separator":              "\"\u2028\u2029\"",
	"byte order mark in a string": "\"\ufeff\"",
	"solidus":                     `"/\/"`,
	"text of a comment":           `"a/*b*/c/*d//e"`,
}

// Strings that are not UTF-8: taken here, since a ClickHouse String is bytes.
var goodBytes = map[string]string{
	"lone continuation":   "\"\x81\"",
	"overlong":            "\"\xc0\xaf\"",
	"truncated":           "\"\xe0\xff\"",
	"surrogate in UTF-8":  "\"\xed\xa0\x80\"",
	"Latin-1":             "\"\xe9\"",
	"all high bytes":      "\"\x80\x90\xa0\xb0\xc0\xd0\xe0\xf0\xff\xfe\"",
	"name that is Latin1": "{\"\xe9\":1}",
}

// Values that it does not have.
var badValues = map[string]string{
	"nothing":                          ``,
	"array without comma":              `[1 true]`,
	"array with colon":                 `["": 1]`,
	"array with comma after":           `[""],`,
	"array with extra comma":           `["",]`,
	"array with comma first":           `[,1]`,
	"array with comma only":            `[,]`,
	"array with two commas":            `[1,,2]`,
	"array with two commas at the end": `["x",,]`,
	"array closed twice":               `["x"]]`,
	"array not closed":                 `["x"`,
	"array closed as object":           `["x"}`,
	"array not closed after comma":     "[1,\n1\n,1",
	"array of a bare minus":            `[-]`,
	"array of bare word":               `[x`,
	"deep array not closed":            `[[[[`,
	"object with trailing comma":       `{"id":0,}`,
	"object with two commas":           `{"a":1,,"b":2}`,
	"object with comma first":          `{,"a":1}`,
	"object of comma":                  `{,}`,
	"object without colon":             `{"a" "b"}`,
	"object without value":             `{"a":}`,
	"object with name only":            `{"a"}`,
	"object with two colons":           `{"a"::"b"}`,
	"object with bracket":              `{"a":1]`,
	"object closed twice":              `{"a":1}}`,
	"object not closed":                `{"a":1`,
	"object not closed after comma":    `{"a":1,`,
	"object not closed after colon":    `{"a":`,
	"object not closed after name":     `{"a"`,
	"object of a value":                `{"a","b"}`,
	"object without comma":             `{"a":1 "b":2}`,
	"object with bare name":            `{a:"b"}`,
	"object with quoted once":          `{'a':0}`,
	"object with number name":          `{1:1}`,
	"object with null name":            `{null:null}`,
	"object with an emoji name":        `{🇨🇭}`,
	"comment":                          `{"a":"b"}/**/`,
	"slash comment":                    `{"a":"b"}//`,
	"comment within":                   `{"a":/*comment*/"b"}`,
	"hash":                             `{"a":"b"}#`,
	"garbage after":                    `{"a":"b"}a`,
	"second value":                     `{} {}`,
	"incomplete true":                  `tru`,
	"incomplete false":                 `fals`,
	"incomplete null":                  `nul`,
	"misspelt true":                    `trux`,
	"misspelt false":                   `falsy`,
	"capital true":                     `True`,
	"capital null":                     `NULL`,
	"literal with tail":                `nulls`,
	"undefined":                        `undefined`,
	"not a number":                     `NaN`,
	"minus not a number":               `-NaN`,
	"infinity":                         `Infinity`,
	"minus infinity":                   `-Infinity`,
	"plus":                             `+1`,
	"double minus":                     `--1`,
	"minus and space":                  `- 1`,
	"minus sign of typography":         `−1`,
	"leading zero":                     `012`,
	"leading zeros":                    `00`,
	"negative leading zero":            `-01`,
	"leading zero before eight":        `0123456789`,
	"leading dot":                      `.123`,
	"minus dot":                        `-.123`,
	"trailing dot":                     `1.`,
	"dot before exponent":              `0.e1`,
	"two dots":                         `1.2.3`,
	"two dots together":                `1..2`,
	"bare exponent":                    `1e`,
	"bare exponent with sign":          `1e+`,
	"exponent with fraction":           `1e1.5`,
	"exponent twice":                   `1e1e1`,
	"exponent with two signs":          `1e+-1`,
	"exponent of letters":              `1ea`,
	"hexadecimal":                      `0x42`,
	"underscore":                       `1_000`,
	"number with tail":                 `123a`,
	"number with tail after eight":     `12345678a`,
	"space within number":              `1 000`,
	"fullwidth digit":                  `１`,
	"single quotes":                    `'a'`,
	"string not closed":                `"a`,
	"long string not closed":           `"aaaaaaaaaaaaaaaaaaaaaaaaaaaaa`,
	"lone quote":                       `"`,
	"string closed by escape":          `"\"`,
	"string that ends in backslash":    `"\`,
	"escaped x":                        `"\x00"`,
	"escaped single quote":             `"\'"`,
	"escaped zero digit":               `"\0"`,
	"escaped a":                        `"\a"`,
	"escaped v":                        `"\v"`,
	"escaped capital U":                `"\U0041"`,
	"escaped emoji":                    `"\🌀"`,
	"escaped tab":                      "\"\\\t\"",
	"escaped bad byte":                 "\"\\\xe5\"",
	"no digits after u":                `"\u"`,
	"three digits after u":             `"\u00A"`,
	"not hexadecimal":                  `"\u00G0"`,
	"not hexadecimal at the end":       `"\u000g"`,
	"incomplete second surrogate":      `"\uD834\uDd"`,
	"tab in string":                    "\"\t\"",
	"newline in string":                "\"new\nline\"",
	"zero byte in string":              "\"a\x00a\"",
	"unit separator in string":         "\"aaaaaaaaaaaaaaa\x1fa\"",
	"control in name":                  "{\"a\x01\":1}",
	"zero byte":                        "\x00",
	"form feed as space":               "[\f]",
	"vertical tab as space":            "[\v1]",
	"no-break space":                   "[\u00a0]",
	"word joiner":                      "[\u2060]",
	"byte order mark":                  "\ufeff{}",
	"bare brackets":                    `]`,
	"bare brace":                       `}`,
	"bare comma":                       `,`,
	"bare colon":                       `:`,
	"star":                             `*`,
	"bad byte":                         "\xe5",
	"angle":                            `<.>`,
	"open brackets and braces":         `[{"":[{"":[{"":`,
}

// settings put a value at places that different parts of the scanner read.
var settings = map[string]string{
	"wanted":           `{"w":%}`,
	"wanted, spaced":   "{ \"w\" : % \n}",
	"before others":    `{"w":%,"x":1,"yyyyyyyyyyyyyyyyy":"zzzzzzzzzzzz"}`,
	"unwanted":         `{"u":%,"w":12345678901234567890}`,
	"unwanted, deeper": `{"u":[{"v":[[%],%]}],"w":null}`,
	"led through":      `{"through":{"a":%,"b":1},"w":0}`,
	"element":          `{"through":{"e":[%,1,%]}}`,
	"several elements": `{"through":{"e":[0,% , {"x":%}]}}`,
}

var settingPaths = []string{"w", "through.a", "through.e[0]", "through.e[2].x", "through.e[5]"}

func scans(t *testing.T, s *Scanner, doc string) error {
	t.Helper()
	spans := make([]Span, len(settingPaths))
	// A copy with nothing behind it, so that a read past the end shows.
	exact := append(make([]byte, 0, len(doc)), doc...)
	return s.Scan(exact[:len(exact):len(exact)], spans)
}

func TestCorpusGood(t *testing.T) {
	f := compile(t, Options{}, settingPaths...)
	for _, corpus := range []map[string]string{goodValues, goodBytes} {
		for name, value := range corpus {
			t.Run(name, func(t *testing.T) {
				s := f.NewScanner()
				span, err := Value([]byte(" " + value + "\n"))
				require.NoError(t, err)
				require.NotEqual(t, Missing, span.Kind)
				for where, setting := range settings {
					doc := strings.ReplaceAll(setting, "%", value)
					require.True(t, json.Valid([]byte(doc)), "the case itself")
					for range 2 {
						require.NoError(t, scans(t, s, doc), "%s: %s", where, doc)
					}
				}
			})
		}
	}
}

func TestCorpusBad(t *testing.T) {
	f := compile(t, Options{}, settingPaths...)
	for name, value := range badValues {
		t.Run(name, func(t *testing.T) {
			require.False(t, json.Valid([]byte(value)), "the case itself")
			s := f.NewScanner()
			_, err := Value([]byte(value))
			var syntax *SyntaxError
			require.ErrorAs(t, err, &syntax)
			require.LessOrEqual(t, syntax.Offset, len(value))
			for where, setting := range settings {
				doc := strings.ReplaceAll(setting, "%", value)
				if json.Valid([]byte(doc)) {
					continue // the surroundings can make a bad value part of something good
				}
				for range 2 {
					require.ErrorAs(t, scans(t, s, doc), &syntax, "%s: %s", where, doc)
				}
			}
		})
	}
}

// TestEveryPrefixAndEveryByte cuts documents short at each place and damages each byte, after a good one has set the predictions.
func TestEveryPrefixAndEveryByte(t *testing.T) {
	f := compile(t, Options{MaxDepth: 100}, settingPaths...)
	s := f.NewScanner()
	for _, setting := range settings {
		good := strings.ReplaceAll(setting, "%", `{"long enough a name":[-12.5e3,"text\u00e9",true,false,null]}`)
		require.NoError(t, scans(t, s, good))
		for i := range good {
			require.Error(t, scans(t, s, good[:i]), good[:i])
			for _, c := range []byte("\x00 \"\\{}[]:,-+.0e9atn\x80\xff\x1f") {
				damaged := []byte(good)
				damaged[i] = c
				err := scans(t, s, string(damaged))
				require.Equal(t, json.Valid(damaged), err == nil, "%q: %v", damaged, err)
			}
		}
	}
}

func TestValue(t *testing.T) {
	doc := []byte(" [1, \"a\"]\n")
	span, err := Value(doc)
	require.NoError(t, err)
	require.Equal(t, Span{Start: 1, End: 9, Kind: Array}, span)
	span, err = Value([]byte(`"a\tb"`))
	require.NoError(t, err)
	require.Equal(t, Span{Start: 1, End: 5, Kind: Escaped}, span)
}

func TestDepth(t *testing.T) {
	nested := func(before, after string, n int) string {
		return strings.Repeat(before, n) + strings.Repeat(after, n)
	}
	for name, c := range map[string]struct {
		doc  string
		path string
	}{
		"skipped arrays":  {`{"a":` + nested("[", "]", 69) + `}`, "b"},
		"skipped objects": {nested(`{"a":`, "}", 69) + "", "b"},
		"wanted arrays":   {`{"a":` + nested("[", "]", 69) + `}`, "a" + strings.Repeat("[0]", 68) + ".x"},
		"wanted objects":  {nested(`{"a":`, "}", 69), strings.TrimSuffix(strings.Repeat("a.", 69), ".")},
	} {
		t.Run(name, func(t *testing.T) {
			doc := strings.Replace(c.doc, `{"a":}`, "{}", 1)
			depth := strings.Count(doc, "{") + strings.Count(doc, "[")
			require.Equal(t, depth, maxDepth([]byte(doc)))
			spans := make([]Span, 1)
			require.NoError(t, compile(t, Options{MaxDepth: depth}, c.path).NewScanner().Scan([]byte(doc), spans))
			f, err := Compile([][]Step{{{Name: "a"}, {Index: 0}}, {{Name: "a"}, {Name: "a"}}}, Options{MaxDepth: depth - 1})
			require.NoError(t, err)
			err = f.NewScanner().Scan([]byte(doc), make([]Span, 2))
			require.ErrorContains(t, err, "nested too deep")
		})
	}
	spans := make([]Span, 1)
	huge := []byte(`{"a":` + strings.Repeat("[", 1_000_000))
	require.ErrorContains(t, compile(t, Options{}, "a").NewScanner().Scan(huge, spans), "nested too deep")
}

func maxDepth(doc []byte) (deepest int) {
	depth := 0
	for _, c := range bytes.TrimSpace(doc) {
		switch c {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		deepest = max(deepest, depth)
	}
	return deepest
}
