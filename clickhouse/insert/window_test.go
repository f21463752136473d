package insert

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/clickhouse/column"
)

// rowTarget is a target of two shards that takes documents as rows.
func rowTarget(t testing.TB) (*Writer, *target, *cluster.Layout) {
	t.Helper()
	plan, err := column.NewPlan([]column.Field{
		{Column: "tenant", Type: "UInt32"},
		{Column: "name", Type: "LowCardinality(String)"},
		{Column: "amount", Type: "Int32"},
		{Column: "length", Type: "UInt64", Default: column.Default{Kind: column.Server}},
	}, column.Options{})
	require.NoError(t, err)
	layout := &cluster.Layout{Shards: make([]cluster.Shard, 2), Table: &cluster.Table{}}
	to := &target{source: layout, layout: layout, plan: plan, keys: []int{0}, router: byTenant{}, parts: map[uint64]chan *part{}, spare: 8, windows: make(chan *window, 2)}
	w := &Writer{}
	w.opts.setDefaults()
	return w, to, layout
}

// Rows that are appended a window at a time stand where rows appended one by one would.
func TestWindowsKeepTheOrder(t *testing.T) {
	docs := make(debeziums, 3*windowRows+5)
	want, rejected := map[string][]int32{}, []int{}
	for i := range docs {
		docs[i] = fmt.Sprintf(`{"tenant":%d,"name":"n%d","amount":%d}`, i*i%7, i%3, i)
		part := fmt.Sprintf("%d without length", i*i%7%2)
		switch {
		case i%50 == 7: // converts in no column
			docs[i] = `{"tenant":"?"}`
			rejected = append(rejected, i)
			continue
		case i%50 == 11: // converts in all but the last column
			docs[i] = strings.Replace(docs[i], `"amount":`, `"amount":"much","was":`, 1)
			rejected = append(rejected, i)
			continue
		case i%5 == 0:
			docs[i] = strings.TrimSuffix(docs[i], "}") + `,"length":1}`
			part = fmt.Sprintf("%d with length", i*i%7%2)
		}
		want[part] = append(want[part], int32(i))
	}
	w, to, layout := rowTarget(t)
	for range 2 { // the second time with blocks and readers of the first
		j := &job{source: docs, layout: layout, naming: freshNaming("t")}
		c := cutOf(t, w, to, j)
		got := map[string][]int32{}
		for shard, parts := range c.byShard {
			for _, p := range parts {
				name := fmt.Sprintf("%d without length", shard)
				if p.omitted == 0 {
					name = fmt.Sprintf("%d with length", shard)
				}
				got[name] = append(got[name], p.rows...)
				require.Equal(t, len(p.rows), p.block.Rows())
				require.Equal(t, len(p.rows), p.block.Input()[0].Data.Rows())
			}
		}
		require.Equal(t, want, got)
		var indexes []int
		for _, r := range j.result.Rejected {
			indexes = append(indexes, r.Index)
		}
		require.Equal(t, rejected, indexes)
		c.release()
	}
}

func TestWindowsRespectTheSizeOfBlocks(t *testing.T) {
	docs := make(debeziums, 2*windowRows)
	for i := range docs {
		docs[i] = `{"tenant":1,"name":"a","amount":1,"length":1}`
	}
	w, to, layout := rowTarget(t)
	w.opts.MaxBlockRows = 100
	c := cutOf(t, w, to, &job{source: docs, layout: layout, naming: freshNaming("t")})
	var sizes []int
	for _, p := range c.byShard[1] {
		sizes = append(sizes, p.block.Rows())
	}
	require.Equal(t, []int{100, 100, 56}, sizes)

	whole := func() *job { return &job{source: docs, layout: layout, naming: rangeNaming("r", "t")} }
	_, err := w.cut(whole(), to)
	require.ErrorIs(t, err, ErrTooLarge)
	w.opts.MaxBlockRows = len(docs) - 1
	_, err = w.cut(whole(), to)
	require.ErrorIs(t, err, ErrTooLarge)
	w.opts.MaxBlockRows = len(docs)
	require.Equal(t, len(docs), cutOf(t, w, to, whole()).byShard[1][0].block.Rows(), "as many as a block may have")
}

// Rows may leave out any of the columns that the server fills in.
func TestBlocksAreNotKeptForEverySetOfColumns(t *testing.T) {
	_, to, _ := rowTarget(t)
	for omitted := range uint64(10 * maxPools) {
		p := to.takePart(omitted)
		require.Equal(t, omitted, p.omitted)
		to.givePart(p)
	}
	require.Len(t, to.parts, maxPools)
	kept := to.takePart(1)
	to.givePart(kept)
	require.Same(t, kept, to.takePart(1))
}

// The digest is compared with what another process made of the range.
func TestDigestDoesNotDependOnTheWindow(t *testing.T) {
	docs := make(debeziums, windowRows+3)
	for i := range docs {
		docs[i] = fmt.Sprintf(`{"tenant":%d}`, i)
	}
	docs[9] = `{"tenant":"?"}`
	w, to, layout := rowTarget(t)
	c := cutOf(t, w, to, &job{source: docs, layout: layout, naming: freshNaming("t")})
	one := &cutter{cut: &cut{}}
	for i := range docs {
		if i == 9 {
			one.digest(9, nowhere, 0)
			continue
		}
		one.digest(int64(i), i%2, 1)
	}
	require.Equal(t, one.cut.digest, c.digest)
}
