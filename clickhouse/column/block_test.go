package column

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/stretchr/testify/require"
)

func TestAppendRowsIsAppendingEach(t *testing.T) {
	p := newPlan(t, Options{}, columns("a", "UInt8", "b", "LowCardinality(Nullable(String))", "c", "Array(String)", "d", "Map(String, Int8)",
		"e", "String", "f", "LowCardinality(String)", "g", "LowCardinality(UInt16)", "h", "JSON")...)
	docs := []string{
		`{"a":1,"b":"x","c":["y"],"e":"plain","f":"longer than sixteen bytes","g":7,"h":{"x":1}}`,
		`{"b":null,"c":[],"e":"an \"escaped\" one","f":"\u00e9"}`,
		`{"a":3,"b":"x","d":{"k":1},"e":17,"f":true,"g":"8"}`,
		`{"e":null}`,
		`{"a":"5","b":"","e":"last","f":"longer than sixteen bytes"}`,
	}
	each, together := p.NewBlock(0), p.NewBlock(0)
	first := p.NewReader()
	for _, doc := range docs {
		require.NoError(t, row(first, each, doc))
	}
	readers := []*Reader{first}
	for len(readers) < len(docs) {
		readers = append(readers, first.Sibling())
	}
	for i, doc := range docs {
		require.NoError(t, readers[i].ReadJSON([]byte(doc)))
	}
	require.NoError(t, together.AppendRows(readers))
	require.Equal(t, len(docs), together.Rows())
	require.Equal(t, wire(t, each), wire(t, together))
}

func TestAppendRowsTakesAllOrNone(t *testing.T) {
	p := newPlan(t, Options{}, columns("a", "UInt8", "b", "LowCardinality(String)", "c", "Array(UInt8)")...)
	b, r := p.NewBlock(0), p.NewReader()
	require.NoError(t, row(r, b, `{"a":1,"b":"first","c":[1]}`))
	before := wire(t, b)
	good, bad := r, r.Sibling()
	require.NoError(t, good.ReadJSON([]byte(`{"a":2,"b":"second","c":[2,3]}`)))
	require.NoError(t, bad.ReadJSON([]byte(`{"a":3,"b":"third","c":[4,"x"]}`)))
	err := b.AppendRows([]*Reader{good, bad})
	var rowErr *RowError
	require.ErrorAs(t, err, &rowErr)
	require.Equal(t, "c", rowErr.Column)
	require.Equal(t, before, wire(t, b))

	require.NoError(t, b.Append(good))
	require.Error(t, b.Append(bad))
	require.Equal(t, 2, b.Rows())
}

// TestWindows reads rows a window at a time, in both forms and some of them at fault, and holds the block against one that took each of the
// good ones by itself.
func TestWindows(t *testing.T) {
	all := everything(t)
	var fields []Field
	for i := range all.fields {
		if f := &all.fields[i]; !strings.Contains(f.name, ".") { // with those, no column is plain
			fields = append(fields, Field{Column: f.name, Type: f.typ.String()})
		}
	}
	p := newPlan(t, Options{UnknownFields: Report}, fields...)
	random := rand.New(rand.NewPCG(5, 6))
	one, want, have := p.NewReader(), p.NewBlock(0), p.NewBlock(0)
	readers := []*Reader{p.NewReader()}
	for len(readers) < 32 {
		readers = append(readers, readers[0].Sibling())
	}
	whole, pieces := 0, 0
	for range 600 {
		group := readers[:1+random.IntN(len(readers))]
		for i, r := range group {
			doc := `{"s_l":"` + strconv.Itoa(random.IntN(2000)) + `","s_la":["` + strconv.Itoa(random.IntN(1000)) + `"]}`
			if random.IntN(8) == 0 {
				doc = randomRow(p, random, 1)
			}
			if i%5 == 1 {
				require.NoError(t, r.ReadValue(decoded(t, doc)))
			} else {
				require.NoError(t, r.ReadJSON([]byte(doc)))
			}
		}
		err := have.AppendRows(group)
		if err == nil {
			whole++
		} else {
			pieces++
		}
		for _, r := range group {
			before := want.Rows()
			fits := want.Append(r) == nil
			require.Equal(t, fits, want.Rows() == before+1)
			if err != nil {
				require.Equal(t, fits, have.Append(r) == nil)
			}
		}
	}
	require.NoError(t, row(one, want, `{}`))
	require.NoError(t, row(one, have, `{}`))
	require.Greater(t, whole, 50)
	require.Greater(t, pieces, 50)
	require.Equal(t, wire(t, want), wire(t, have))
}

func TestAColumnKnowsItsTypeAgain(t *testing.T) {
	p := newPlan(t, Options{}, columns("a", "Int64", "l", "LowCardinality(String)", "t", "Tuple(a Int8, `b c` Point)")...)
	for i, in := range p.NewBlock(0).Input() {
		infer, ok := in.Data.(proto.Inferable)
		require.True(t, ok)
		require.NoError(t, infer.Infer(in.Data.Type()))
		require.NoError(t, infer.Infer("Nullable("+in.Data.Type()+")"), "it holds as much")
		var changed *TypeChangedError
		require.ErrorAs(t, infer.Infer("UInt8"), &changed)
		require.Equal(t, p.fields[i].name, changed.Column)
		require.Equal(t, "UInt8", changed.Now)
	}
}
