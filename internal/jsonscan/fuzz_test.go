package jsonscan

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-faster/jx"
	"github.com/stretchr/testify/require"
)

var fuzzPaths = []string{"a", "b", "a.b", "a.b.c", "a[0]", "a[1].b", "a[1][0]", "user_id", "price_in_minor_units", "c", "b.a", "event"}

// oracle is what encoding/json finds at a path; nil if there is nothing.
func oracle(doc []byte, path []Step) (value any, found bool) {
	decoder := json.NewDecoder(bytes.NewReader(doc))
	decoder.UseNumber()
	if decoder.Decode(&value) != nil {
		return nil, false
	}
	for _, step := range path {
		switch v := value.(type) {
		case map[string]any:
			if step.Name == "" {
				return nil, false
			}
			if value, found = v[step.Name]; !found {
				return nil, false
			}
		case []any:
			if step.Name != "" || step.Index >= len(v) {
				return nil, false
			}
			value = v[step.Index]
		default:
			return nil, false
		}
	}
	return value, true
}

// build makes of a span what encoding/json would, by way of Unescape and the iterators.
func build(t testing.TB, doc []byte, span Span) any {
	t.Helper()
	text := span.Bytes(doc)
	switch span.Kind {
	case Null:
		require.Equal(t, "null", string(text))
		return nil
	case True, False:
		require.Equal(t, strconv.FormatBool(span.Kind == True), string(text))
		return span.Kind == True
	case Number:
		return json.Number(text)
	case String, Escaped:
		require.Equal(t, span.Kind == Escaped, bytes.IndexByte(text, '\\') >= 0)
		out, err := Unescape(nil, text)
		require.NoError(t, err)
		return string(out)
	case Array:
		array := []any{}
		for e := NewElements(doc, span); ; {
			element, ok := e.Next()
			if !ok {
				return array
			}
			array = append(array, build(t, doc, element))
		}
	case Object:
		object := map[string]any{}
		for m := NewMembers(doc, span); ; {
			name, value, ok := m.Next()
			if !ok {
				return object
			}
			object[build(t, doc, name).(string)] = build(t, doc, value)
		}
	}
	t.Fatalf("span of kind %v", span.Kind)
	return nil
}

// checkScan compares one scan with encoding/json and jx.
func checkScan(t testing.TB, s *Scanner, paths [][]Step, doc []byte) {
	t.Helper()
	spans := make([]Span, len(paths))
	err := s.Scan(doc, spans)
	valid := json.Valid(doc)
	if utf8.Valid(doc) {
		require.Equal(t, valid, jx.Valid(doc), "encoding/json and jx differ on %q", doc)
	}
	isObject := valid && bytes.TrimLeft(doc, " \t\r\n")[0] == '{'
	switch {
	case err == nil:
		require.True(t, isObject, "accepted %q", doc)
	case errors.Is(err, ErrNotObject):
		require.True(t, valid && !isObject, "not an object: %q", doc)
		return
	default:
		require.False(t, valid, "%v: %q", err, doc)
		return
	}
	if !utf8.Valid(doc) {
		return // encoding/json replaces what it cannot read, here it passes
	}
	for i, path := range paths {
		want, found := oracle(doc, path)
		require.Equal(t, found, spans[i].Kind != Missing, "%s of %q", formatPath(path), doc)
		if found {
			require.Equal(t, want, build(t, doc, spans[i]), "%s of %q", formatPath(path), doc)
		}
	}
}

func fuzzFields(t testing.TB) (*Fields, [][]Step) {
	t.Helper()
	paths := make([][]Step, len(fuzzPaths))
	for i, p := range fuzzPaths {
		paths[i], _ = ParsePath(p)
	}
	f, err := Compile(paths, Options{MaxDepth: 10_000, TrackUnknown: true})
	require.NoError(t, err)
	return f, paths
}

func FuzzScan(f *testing.F) {
	for _, corpus := range []map[string]string{goodValues, goodBytes, badValues} {
		for _, value := range corpus {
			f.Add([]byte(value), []byte(`{"a":`+value+`}`))
			f.Add([]byte(`{"a":{"b":`+value+`},"user_id":1}`), []byte(`{"user_id":`+value+`,"a":[0,{"b":1}]}`))
		}
	}
	f.Add([]byte(event), []byte(shuffled(event, 1)))
	fields, paths := fuzzFields(f)
	f.Fuzz(func(t *testing.T, before, doc []byte) {
		s := fields.NewScanner()
		checkScan(t, s, paths, before) // what it predicts then must not change what it finds
		checkScan(t, s, paths, doc)
		checkScan(t, s, paths, doc)
	})
}

func FuzzUnescape(f *testing.F) {
	f.Add([]byte(`plain`))
	f.Add([]byte(`\ud834\udd1e\ud834\n\u0000\"`))
	f.Add([]byte(`\ud834\u12`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := Unescape(nil, raw)
		quoted := append(append([]byte{'"'}, raw...), '"')
		if !json.Valid(quoted) {
			return // the inside of no string
		}
		require.NoError(t, err)
		if utf8.Valid(raw) {
			var want string
			require.NoError(t, json.Unmarshal(quoted, &want))
			require.Equal(t, want, string(got))
		}
		again, err := Unescape(nil, AppendString(nil, got)[1:len(AppendString(nil, got))-1])
		require.NoError(t, err)
		require.Equal(t, string(got), string(again))
	})
}

func FuzzNumber(f *testing.F) {
	for _, s := range []string{"0", "-0", "12345678", "1700000000123", "1e3", "10.0", "18446744073709551615", "-9223372036854775808", "0.1e1", "01", "1.", "1e", "123456789012345.6"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 100 {
			return
		}
		i, iErr := ParseInt64(text)
		u, uErr := ParseUint64(text)
		x, xErr := ParseFloat(text, 64)
		y, yErr := ParseFloat(text, 32)
		if !json.Valid(text) || len(text) == 0 || text[0] != '-' && text[0]-'0' > 9 || text[len(text)-1]-'0' > 9 {
			for _, err := range []error{iErr, uErr, xErr, yErr} {
				require.Equal(t, ErrNumberSyntax, err)
			}
			return
		}
		checkFloat(t, string(text), 64, x, xErr)
		checkFloat(t, string(text), 32, y, yErr)
		if _, exponent, _ := strings.Cut(strings.ToLower(string(text)), "e"); len(exponent) > 4 {
			return // beyond what the oracle can do
		}
		want := wantInteger(string(text))
		if want == nil {
			require.Equal(t, ErrNumberFraction, iErr)
			require.Equal(t, ErrNumberFraction, uErr)
			return
		}
		require.Equal(t, want.IsInt64(), iErr == nil, "%s: %v", text, iErr)
		require.Equal(t, want.IsUint64(), uErr == nil, "%s: %v", text, uErr)
		if iErr == nil {
			require.Zero(t, want.Cmp(big.NewInt(i)))
		}
		if uErr == nil {
			require.Zero(t, want.Cmp(new(big.Int).SetUint64(u)))
		}
	})
}

func checkFloat(t *testing.T, text string, bits int, got float64, err error) {
	t.Helper()
	want, wantErr := strconv.ParseFloat(text, bits)
	require.Equal(t, wantErr == nil, err == nil, text)
	if err == nil {
		require.Equal(t, math.Float64bits(want), math.Float64bits(got), text)
	}
}

func FuzzClose(f *testing.F) {
	f.Add([]byte(`{"a":1} `))
	f.Add([]byte(` { }`))
	f.Add([]byte(`[{}]`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		if !utf8.Valid(doc) {
			return
		}
		var object map[string]any
		if json.Unmarshal(doc, &object) != nil || object == nil {
			return
		}
		spliced, err := splice(string(doc), `"a":[1],"zz":"}"`)
		require.NoError(t, err)
		object["a"], object["zz"] = []any{1.0}, "}"
		var got map[string]any
		require.NoError(t, json.Unmarshal([]byte(spliced), &got))
		require.Equal(t, object, got)
	})
}

func FuzzParsePath(f *testing.F) {
	f.Add(`a.b[0].c`)
	f.Add(`"a.b"[1]\.`)
	f.Fuzz(func(t *testing.T, path string) {
		steps, err := ParsePath(path)
		if err != nil {
			return
		}
		again, err := ParsePath(formatPath(steps))
		require.NoError(t, err)
		require.Equal(t, steps, again)
	})
}

// TestRandomDocuments goes through documents of many shapes that have the wanted names often, which a fuzzer seldom hits upon.
func TestRandomDocuments(t *testing.T) {
	fields, paths := fuzzFields(t)
	s := fields.NewScanner()
	g := generator{random: rand.New(rand.NewPCG(7, 8))}
	for range 3_000 {
		checkScan(t, s, paths, g.document())
	}
}

type generator struct {
	random *rand.Rand
	out    []byte
}

func (g *generator) document() []byte {
	g.out = g.out[:0]
	g.space()
	g.object(4)
	g.space()
	if g.random.IntN(10) == 0 { // break it
		g.out[g.random.IntN(len(g.out))] = "{}[]\",:01\\ x\n"[g.random.IntN(13)]
	}
	return bytes.Clone(g.out)
}

func (g *generator) space() {
	for g.random.IntN(8) == 0 {
		g.out = append(g.out, " \n\t\r"[g.random.IntN(4)])
	}
}

func (g *generator) object(depth int) {
	g.out = append(g.out, '{')
	g.space()
	for i := range g.random.IntN(8) {
		if i > 0 {
			g.out = append(g.out, ',')
			g.space()
		}
		names := []string{`"a"`, `"b"`, `"c"`, `"a"`, `"b"`, `"\u0061"`, `"user_id"`, `"price_in_minor_units"`, `"event"`, `"other"`, `"x\"y"`, `""`, `"price_in_major_units"`}
		g.out = append(g.out, names[g.random.IntN(len(names))]...)
		g.space()
		g.out = append(g.out, ':')
		g.space()
		g.value(depth - 1)
		g.space()
	}
	g.out = append(g.out, '}')
}

func (g *generator) value(depth int) {
	switch n := g.random.IntN(8); {
	case n < 3 && depth > 0:
		g.object(depth)
	case n < 5 && depth > 0:
		g.out = append(g.out, '[')
		g.space()
		for i := range g.random.IntN(4) {
			if i > 0 {
				g.out = append(g.out, ',')
				g.space()
			}
			g.value(depth - 1)
			g.space()
		}
		g.out = append(g.out, ']')
	default:
		values := []string{`null`, `true`, `false`, `0`, `-12.5e-3`, `1700000000123`, `""`, `"text"`, `"a longer text, with { and ]"`, `"esc\n\u00e9\ud834\udd1e\""`, `"é€𝄞"`}
		g.out = append(g.out, values[g.random.IntN(len(values))]...)
	}
}
