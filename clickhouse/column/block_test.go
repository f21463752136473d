package column

import (
	"testing"

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
