package column

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTruncate takes rows out of a block again and puts others in: the block is the one that never had them.
func TestTruncate(t *testing.T) {
	p := everything(t)
	docs := make([]string, 0, 1000)
	for _, f := range p.fields {
		for _, value := range samples {
			docs = append(docs, `{"`+f.name+`":`+value+`}`)
		}
	}
	r, b, want := p.NewReader(), p.NewBlock(0), p.NewBlock(0)
	for i, doc := range docs {
		if row(r, b, doc) != nil {
			continue
		}
		before := b.Rows() - 1
		if i%3 == 0 {
			require.NoError(t, row(r, want, doc))
			continue
		}
		_ = row(r, b, docs[(i*7)%len(docs)]) // a second row of the same record
		b.Truncate(before)
		require.Equal(t, before, b.Rows())
	}
	require.Greater(t, want.Rows(), 300)
	require.Equal(t, wire(t, want), wire(t, b))
	b.Truncate(0)
	require.Zero(t, b.Rows())
}
