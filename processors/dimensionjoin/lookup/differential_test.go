package lookup

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// randomDocument writes an object with white space, escapes, nesting and braces in strings wherever JSON allows them; some of
// its members are keys, some have the names that rows add.
func randomDocument(r *rand.Rand) string {
	var b strings.Builder
	space := func() { b.WriteString([]string{"", "", "", " ", "\n\t", "  "}[r.IntN(6)]) }
	space()
	b.WriteByte('{')
	space()
	names := []string{`"sku"`, `"s\u006bu"`, `"geo"`, `"a_name"`, `"a\u005fname"`, `"a_code"`, `"nest"`, `"x}"`, `"y{\""`, `"z"`, `"deep"`, `"\\"`, `""`}
	for i, n := 0, r.IntN(7); i < n; i++ {
		if i > 0 {
			b.WriteByte(',')
			space()
		}
		name := names[r.IntN(len(names))]
		b.WriteString(name)
		space()
		b.WriteByte(':')
		space()
		switch {
		case strings.Contains(name, "k") && r.IntN(3) > 0:
			b.WriteString([]string{`"one"`, `"t\u0077o"`, `"three"`, `"none"`, `""`}[r.IntN(5)])
		case name == `"geo"` && r.IntN(3) > 0:
			b.WriteString([]string{`1`, `"2"`, `3.0`, `-4`, `99999999999`, `true`, `1e0`}[r.IntN(7)])
		case name == `"deep"` && r.IntN(3) > 0:
			fmt.Fprintf(&b, `{"list":[{"id":%q},{}], "id" : "one"}`, []string{"one", "none"}[r.IntN(2)])
		default:
			randomValue(r, &b, 3)
		}
		space()
	}
	b.WriteByte('}')
	space()
	return b.String()
}

func randomValue(r *rand.Rand, b *strings.Builder, depth int) {
	n := 9
	if depth == 0 {
		n = 6
	}
	switch r.IntN(n) {
	case 0:
		b.WriteString([]string{`0`, `-1.5e10`, `12345678901234567890`, `1.0`}[r.IntN(4)])
	case 1, 2:
		b.WriteString([]string{`""`, `"}"`, `"{\"a\":1}"`, `"\\\""`, `"é\u00e9\ud83d\ude00"`, `" , "`}[r.IntN(6)])
	case 3:
		b.WriteString(`null`)
	case 4:
		b.WriteString(`true`)
	case 5:
		b.WriteString(`false`)
	case 6:
		b.WriteString(`[ `)
		randomValue(r, b, depth-1)
		b.WriteString(` ,`)
		randomValue(r, b, depth-1)
		b.WriteString(`]`)
	case 7:
		b.WriteString(`{ "q" : `)
		randomValue(r, b, depth-1)
		b.WriteString(`}`)
	default:
		b.WriteString([]string{`{}`, `[]`, `{ }`, `[{}]`}[r.IntN(4)])
	}
}

func differentialJoiner(t testing.TB, conflict Conflict) *Joiner {
	t.Helper()
	a := dim("a", "sku", "name", "code")
	b := dim("b", "geo", "city", "info")
	b.Source.Target = "nest"
	b.Source.Columns[0].Member, b.Source.Columns[1].Member = "city", "info"
	c := dim("c", "a_code", "title") // its key is a column of a
	d := dim("d", "deep.list[0].id", "v")
	d.OnMissing = FailOnMissing
	j, sources := newJoiner(t, Config{Dimensions: []Dimension{a, b, c, d}, OnConflict: conflict}, lazily, map[string]string{"b": "INT"})
	sources["a"].put("one", `"One }"`, `"c1"`)
	sources["a"].put("two", `null`, `"c\u0032"`)
	sources["a"].put("", `""`, `"none"`)
	sources["b"].put("1", `"B{erlin"`, `{"pop":[3.5,{"x":null}],"a":true}`)
	sources["b"].put("2", `"\"Q\""`, `[]`)
	sources["b"].put("-4", `null`, `12345678901234567890`)
	sources["c"].put("c1", `"C one"`)
	sources["c"].put("c2", `"C two"`)
	sources["d"].put("one", `1.50`)
	return j
}

func decodeDocument(t testing.TB, doc []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	var v map[string]any
	require.NoError(t, d.Decode(&v), "%s", doc)
	return v
}

// The raw splice and the structured path give the same documents, on documents of every shape.
func TestRawEqualsStructured(t *testing.T) {
	for _, conflict := range []Conflict{Overwrite, Keep} {
		t.Run(string(conflict), func(t *testing.T) {
			j := differentialJoiner(t, conflict)
			seed := rand.Uint64()
			r := rand.New(rand.NewPCG(seed, 1))
			failed, clashed := 0, 0
			for range 200 {
				raw := make([]Event, 50)
				structured := make([]Event, len(raw))
				for i := range raw {
					raw[i].Doc = []byte(randomDocument(r))
					structured[i].Object = decodeDocument(t, raw[i].Doc)
				}
				arrays, err := j.Join(t.Context(), raw)
				require.NoError(t, err)
				_, err = j.Join(t.Context(), structured)
				require.NoError(t, err)
				for i := range raw {
					doc := raw[i].Doc
					if raw[i].Err != nil {
						failed++
						require.EqualError(t, structured[i].Err, raw[i].Err.Error(), "seed %d: %s", seed, doc)
						require.Equal(t, decodeDocument(t, doc), structured[i].Object, "left as it was; seed %d: %s", seed, doc)
						continue
					}
					require.NoError(t, structured[i].Err, "seed %d: %s", seed, doc)
					got := arrays[0][raw[i].Start:raw[i].End]
					require.True(t, json.Valid(got), "seed %d: %s became %s", seed, doc, got)
					require.Equal(t, structured[i].Object, decodeDocument(t, got), "seed %d: %s became %s", seed, doc, got)
					if conflict == Keep {
						clashed++ // the event's own duplicates stay
					} else if bytes.Contains(doc, []byte(`a_name`)) {
						clashed++
						require.Equal(t, 1, strings.Count(string(got), `"a_name"`), "no member is there twice: %s", got)
					}
				}
			}
			require.Positive(t, failed)
			require.Positive(t, clashed)
		})
	}
}

func TestNotObjects(t *testing.T) {
	j := differentialJoiner(t, Overwrite)
	for _, doc := range []string{``, ` `, `null`, `[]`, `[{"sku":"one"}]`, `"{}"`, `1`, `{`, `{}}`, `{"sku":"one"`, `{"a":1,}`, `{} {}`, "{\"a\":\"\n\"}"} {
		require.Contains(t, joined(t, j, doc)[0], "error: joining dimensions: ", doc)
	}
}
