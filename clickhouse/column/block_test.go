package column

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAppendRowsIsAppendingEach(t *testing.T) {
	p := newPlan(t, Options{}, columns("a", "UInt8", "b", "LowCardinality(Nullable(String))", "c", "Array(String)", "d", "Map(String, Int8)")...)
	docs := []string{`{"a":1,"b":"x","c":["y"]}`, `{"b":null,"c":[]}`, `{"a":3,"b":"x","d":{"k":1}}`}
	each, together := p.NewBlock(0), p.NewBlock(0)
	first := p.NewReader()
	readers := []*Reader{first, first.Sibling(), first.Sibling()}
	for i, doc := range docs {
		require.NoError(t, row(first, each, doc))
		require.NoError(t, readers[len(docs)-1-i].ReadJSON([]byte(docs[len(docs)-1-i])))
	}
	for i, doc := range docs {
		require.NoError(t, readers[i].ReadJSON([]byte(doc)))
	}
	require.NoError(t, together.AppendRows(readers))
	require.Equal(t, 3, together.Rows())
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
