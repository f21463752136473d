package jsonscan

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func compile(t testing.TB, opts Options, paths ...string) *Fields {
	t.Helper()
	steps := make([][]Step, len(paths))
	for i, p := range paths {
		var err error
		steps[i], err = ParsePath(p)
		require.NoError(t, err)
	}
	f, err := Compile(steps, opts)
	require.NoError(t, err)
	return f
}

// texts scans and returns what the spans hold.
func texts(t testing.TB, s *Scanner, doc string) []string {
	t.Helper()
	spans := make([]Span, s.f.paths)
	require.NoError(t, s.Scan([]byte(doc), spans), doc)
	out := make([]string, len(spans))
	for i, span := range spans {
		out[i] = string(span.Bytes([]byte(doc)))
	}
	return out
}

func TestScanFindsSpans(t *testing.T) {
	paths := []string{"a", "b", "c.d", "c", "e[1].f", "e[0]", "missing", "e.f", "a[0]", "b"}
	f := compile(t, Options{}, paths...)
	doc := `  {"a" : 12, "x":[{"y":[]},"]"], "b":"t\n", "c": {"q":{}, "d":null}, "e":[true ,{"f":"v"}, 3]  } ` + "\n"
	want := []string{"12", `t\n`, "null", `{"q":{}, "d":null}`, "v", "true", "", "", "", `t\n`}
	kinds := []Kind{Number, Escaped, Null, Object, String, True, Missing, Missing, Missing, Escaped}
	s := f.NewScanner()
	spans := make([]Span, len(paths))
	for range 3 { // the second and third time with predictions, and with spans that hold other values
		for i := range spans {
			spans[i] = Span{Start: 1, End: 3, Kind: Object}
		}
		require.NoError(t, s.Scan([]byte(doc), spans))
		for i := range paths {
			require.Equal(t, want[i], string(spans[i].Bytes([]byte(doc))), paths[i])
			require.Equal(t, kinds[i], spans[i].Kind, paths[i])
		}
	}
}

func TestDuplicatesLast(t *testing.T) {
	f := compile(t, Options{}, "a", "b.c", "b", "d[1]", "d[0].e")
	s := f.NewScanner()
	for doc, want := range map[string][]string{
		`{"a":1,"a":2}`:                                 {"2", "", "", "", ""},
		`{"a":1,"x":0,"x":1,"\u0061":2}`:                {"2", "", "", "", ""},
		`{"b":{"c":1},"b":{"c":2,"c":3}}`:               {"", "3", `{"c":2,"c":3}`, "", ""},
		`{"b":{"c":1},"b":{}}`:                          {"", "", `{}`, "", ""},
		`{"b":{"c":1},"b":null}`:                        {"", "", `null`, "", ""},
		`{"d":[{"e":5},6],"d":[{"e":7}]}`:               {"", "", "", "", "7"},
		`{"d":[{"e":5},6],"d":{"e":7}}`:                 {"", "", "", "", ""},
		`{"d":[{"e":5,"e":"six"},7,8],"b":1,"b":"two"}`: {"", "", "two", "7", "six"},
	} {
		for range 3 {
			require.Equal(t, want, texts(t, s, doc), doc)
		}
	}
}

func TestDuplicatesReject(t *testing.T) {
	f := compile(t, Options{Duplicates: Reject}, "a", "b.c", "d[0].e")
	s := f.NewScanner()
	spans := make([]Span, 3)
	for doc, name := range map[string]string{
		`{"a":1, "a":2}`:          "a",
		`{"a":1,"\u0061":2}`:      "a",
		`{"b":1,"b":{}}`:          "b",
		`{"b":{"c":1,"c":1}}`:     "c",
		`{"d":[{"e":1,"e":[]}]}`:  "e",
		`{"x":1,"a":1,"x":1}`:     "",
		`{"b":{"x":1,"x":1}}`:     "",
		`{"d":[{"e":1},{"e":1}]}`: "",
		`{"b":{"a":1},"a":1}`:     "",
	} {
		for range 3 {
			err := s.Scan([]byte(doc), spans)
			if name == "" {
				require.NoError(t, err, doc)
				continue
			}
			var duplicate *DuplicateError
			require.ErrorAs(t, err, &duplicate, doc)
			require.Equal(t, name, duplicate.Name)
			require.Equal(t, byte('"'), doc[duplicate.Offset])
			require.ErrorContains(t, err, fmt.Sprintf("%q", name))
		}
	}
}

func TestUnknown(t *testing.T) {
	f := compile(t, Options{TrackUnknown: true}, "a", "b.c")
	s := f.NewScanner()
	for range 3 {
		for doc, want := range map[string][]string{
			`{"a":1,"b":{"x":1}}`:                                nil,
			"{ \"x\" : 1 ,\n\"yy\":2}":                           {"x", "yy"},
			`{"x":1,"a":1,"y":{"z":1},"x":1,"":1}`:               {"x", "y", "x", ""},
			`{"` + strings.Repeat("n", 200) + `":1,"a":2,"x":3}`: {strings.Repeat("n", 200), "x"},
			`{"q\"uote":1,"\u0061":1}`:                           {`q\"uote`},
		} {
			texts(t, s, doc)
			var got []string
			for _, span := range s.Unknown() {
				got = append(got, string(span.Bytes([]byte(doc))))
			}
			require.Equal(t, want, got, doc)
		}
	}
	texts(t, s, `{"q\"uote":1}`)
	require.Equal(t, Escaped, s.Unknown()[0].Kind)
	s = compile(t, Options{}, "a").NewScanner()
	texts(t, s, `{"x":1}`)
	require.Empty(t, s.Unknown())
}

func TestStopEarly(t *testing.T) {
	f := compile(t, Options{StopEarly: true}, "a", "b.c", "b")
	s := f.NewScanner()
	for range 3 {
		require.Equal(t, []string{"1", "2", `{"c":2}`}, texts(t, s, `{"a":1,"b":{"c":2},"a":3, not looked at`))
		require.Equal(t, []string{"3", "2", `{"c":2}`}, texts(t, s, `{"a":1,"a":3,"b":{"c":2}`))
		require.Equal(t, []string{"3", "2", `{"c":2}`}, texts(t, s, `{"b":{"c":1},"b":{},"b":{"c":2},"a":3`))
		require.Equal(t, []string{"1", "", `{"d":2}`}, texts(t, s, `{"a":1,"b":{"d":2},"a":1}`))
		require.Error(t, s.Scan([]byte(`{"a":1,"b":{"c":2`), make([]Span, 3)))
		require.Error(t, s.Scan([]byte(`{"a":1,"b":{"d":2},`), make([]Span, 3)))
	}
}

func TestNotAnObject(t *testing.T) {
	s := compile(t, Options{}, "a").NewScanner()
	spans := make([]Span, 1)
	for _, doc := range []string{`[]`, ` 1 `, `"{}"`, `null`, `true`, `[{"a":1}]`} {
		require.ErrorIs(t, s.Scan([]byte(doc), spans), ErrNotObject, doc)
	}
	for _, doc := range []string{``, ` `, `[`, `x`, `nul`, `1 2`} {
		var syntax *SyntaxError
		require.ErrorAs(t, s.Scan([]byte(doc), spans), &syntax, doc)
	}
}

func TestErrorOffset(t *testing.T) {
	s := compile(t, Options{}, "a").NewScanner()
	for doc, offset := range map[string]int{
		`{"a":1,}`: 7, `{"a":01}`: 6, `{"a":"`: 6, `{"a":"x\q"}`: 7, "{\"a\":\"\t\"}": 6, `{"a":tru}`: 5, `{} x`: 3, `{"a":1]`: 6, `{"u":[1}`: 7, `{"a" 1}`: 5,
	} {
		var syntax *SyntaxError
		require.ErrorAs(t, s.Scan([]byte(doc), make([]Span, 1)), &syntax, doc)
		require.Equal(t, offset, syntax.Offset, "%s: %v", doc, syntax)
	}
}

// TestNameOrders puts members in every kind of order before the scanner, with names that need more than one word and names that
// differ in one place, and leaves some out.
func TestNameOrders(t *testing.T) {
	var all, paths []string
	for i := range 60 {
		all = append(all, fmt.Sprintf("%s_%d_%s", strings.Repeat("p", i%25), i, strings.Repeat("s", i%7)))
	}
	all = append(all, "a", "b", "aa", "ab", "abcdef", "abcdeg", "abcdefg", "abcdefh", "prefix_x_suffix_16", "prefix_y_suffix_16",
		"more_than_sixteen_bytes_1_of_it", "more_than_sixteen_bytes_2_of_it", "é", "name with space", strings.Repeat("long", 100))
	for i, name := range all {
		if i%3 > 0 {
			paths = append(paths, `"`+name+`"`)
		}
	}
	s := compile(t, Options{TrackUnknown: true}, paths...).NewScanner()
	random := rand.New(rand.NewPCG(1, 2))
	order := append([]string(nil), all...)
	for round := range 500 {
		if round%3 == 0 {
			random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		}
		doc, want := "{", map[string]string{}
		for i, name := range order {
			if random.IntN(10) == 0 {
				continue
			}
			if len(doc) > 1 {
				doc += ","
			}
			value := fmt.Sprint(i, ".", round)
			value = strings.ReplaceAll(value, " ", "")
			doc += `"` + name + `":` + value
			want[`"`+name+`"`] = value
		}
		got := texts(t, s, doc+"}")
		for i, path := range paths {
			require.Equal(t, want[path], got[i], path)
			delete(want, path)
		}
		require.Len(t, s.Unknown(), len(want))
	}
}

// TestNamesThatNeverComeAgain must neither grow the scanner nor spoil it.
func TestNamesThatNeverComeAgain(t *testing.T) {
	s := compile(t, Options{}, "a", "b.c").NewScanner()
	for i := range 5_000 {
		doc := fmt.Sprintf(`{"u%d":1,"a":%d,"v%d":2,"b":{"w%d":3,"c":%d,"x%d":4},"y%d":5,"y%d":6}`, i, i, i, i, i, i, i, i+1)
		require.Equal(t, []string{fmt.Sprint(i), fmt.Sprint(i)}, texts(t, s, doc))
	}
	for _, n := range s.names {
		require.LessOrEqual(t, len(n.entries), 4+maxLearned)
	}
}

func TestNamesWithSpecials(t *testing.T) {
	// The name, put between quotes as it is, would read as other members of a document.
	name := `a":1,"b`
	f, err := Compile([][]Step{{{Name: name}}, {{Name: "b"}}, {{Name: "tab\t"}}}, Options{})
	require.NoError(t, err)
	s := f.NewScanner()
	for range 3 {
		require.Equal(t, []string{"", "2", ""}, texts(t, s, `{"a":1,"b":2}`))
		require.Equal(t, []string{"3", "", "4"}, texts(t, s, `{"a\":1,\"b":3,"tab\t":4}`))
	}
}

func TestScannerIsReusableAfterErrors(t *testing.T) {
	s := compile(t, Options{}, "a", "b.c").NewScanner()
	spans := make([]Span, 2)
	for range 3 {
		require.Error(t, s.Scan([]byte(`{"b":{"c":1,"a":[[[{`), spans))
		require.Equal(t, []string{"1", ""}, texts(t, s, `{"b":{"d":[[{}]]},"a":1}`))
	}
}

func TestCompileErrors(t *testing.T) {
	for errContains, path := range map[string][]Step{
		"is empty":                {},
		"begins with an index":    {{Index: 1}},
		"has a negative index":    {{Name: "a"}, {Index: -1}},
		"is deeper than MaxDepth": {{Name: "a"}, {Name: "b"}, {Name: "c"}},
	} {
		_, err := Compile([][]Step{path}, Options{MaxDepth: 2})
		require.ErrorContains(t, err, errContains)
	}
	_, err := Compile(nil, Options{MaxDepth: -1})
	require.Error(t, err)
	_, err = Compile(nil, Options{MaxDepth: math.MaxInt32})
	require.NoError(t, err)
}

func TestManyPaths(t *testing.T) {
	paths := make([]string, 2000)
	doc, want := "{", make([]string, len(paths))
	for i := range paths {
		paths[i] = fmt.Sprintf("column_%d", i)
		want[i] = fmt.Sprint(i)
		doc += fmt.Sprintf(`"column_%d":%d,`, len(paths)-1-i, len(paths)-1-i)
	}
	s := compile(t, Options{}, paths...).NewScanner()
	for range 2 {
		require.Equal(t, want, texts(t, s, doc[:len(doc)-1]+"}"))
	}
}

func TestAllocations(t *testing.T) {
	f := compile(t, Options{TrackUnknown: true}, "a", "b.c", "d[1].e", "esc")
	s := f.NewScanner()
	spans := make([]Span, 4)
	docs := [][]byte{
		[]byte(`{"a":1,"b":{"c":"x"},"d":[1,{"e":2}],"u":[[1,2,{"x":"y"}],"z"],"\u0065sc":"\n"}`),
		[]byte(`{"u":1,"d":[1,{"e":2}],"a":1,"never\tlearned":1,"b":null,"a":2}`),
	}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		for _, doc := range docs {
			if s.Scan(doc, spans) != nil {
				t.Fail()
			}
		}
	}))
}

func TestFieldsAreShared(t *testing.T) {
	f := compile(t, Options{}, "a", "b.c")
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			s, spans := f.NewScanner(), make([]Span, 2)
			for i := range 200 {
				doc := fmt.Appendf(nil, `{"u%d":0,"b":{"c":%d},"a":%d}`, i, worker, i)
				if s.Scan(doc, spans) != nil || string(spans[0].Bytes(doc)) != fmt.Sprint(i) || string(spans[1].Bytes(doc)) != fmt.Sprint(worker) {
					t.Errorf("wrong spans %v of %s", spans, doc)
				}
			}
		})
	}
	group.Wait()
}
