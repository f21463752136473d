package insert

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/change"
	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/clickhouse/sharding"
)

// byTenant sends rows to the shard that their tenant names.
type byTenant struct{}

func (byTenant) Columns() []string { return []string{"tenant"} }

func (byTenant) Shard(vals []column.Value, _ sharding.Record) (int, error) {
	return int(vals[0].U % 2), nil
}

// debeziums is a Source of records with Kafka offsets.
type debeziums []string

func (d debeziums) Len() int { return len(d) }

func (d debeziums) Record(i int, rec *Record) error {
	rec.JSON = []byte(d[i])
	rec.Provenance = column.Provenance{Topic: "t", Offset: int64(i), Valid: true}
	return nil
}

// changeTarget is a target of two shards whose tables are ordered by tenant and id.
func changeTarget(t testing.TB, mode change.Mode) (*Writer, *target, *cluster.Layout) {
	t.Helper()
	fields := []column.Field{
		{Column: "tenant", Type: "UInt32"},
		{Column: "id", Type: "UInt64"},
		{Column: "name", Type: "LowCardinality(String)"},
		{Column: "amount", Type: "Nullable(Int32)"},
		{Column: "version", Type: "UInt64", Source: column.Meta(metaOffset)},
		{Column: "flag", Type: "Int8", Source: column.Meta(metaRemoves)},
		{Column: "length", Type: "UInt64", Default: column.Default{Kind: column.Server}},
	}
	plan, err := column.NewPlan(fields, column.Options{})
	require.NoError(t, err)
	layout := &cluster.Layout{Shards: make([]cluster.Shard, 2), Table: &cluster.Table{}}
	to := &target{source: layout, layout: layout, plan: plan, keys: []int{0}, router: byTenant{}, parts: map[uint64]chan *part{}, spare: 8, windows: make(chan *window, 2)}
	to.changes = &changes{mode: mode, version: metaOffset, spare: make(chan *expander, 2), opts: change.Options{Mode: mode, Keys: []string{"tenant", "id"}}}
	w := &Writer{}
	w.opts.setDefaults()
	return w, to, layout
}

func cutOf(t testing.TB, w *Writer, to *target, j *job) *cut {
	t.Helper()
	c, err := w.cut(j, to)
	require.NoError(t, err)
	return c
}

// shape writes which records are in which shard's blocks.
func shape(c *cut) string {
	var b strings.Builder
	for shard, parts := range c.byShard {
		for _, p := range parts {
			fmt.Fprintf(&b, "%d:%v/%d ", shard, p.rows, p.block.Rows())
		}
	}
	return strings.TrimSpace(b.String())
}

func updated(before, after string) string {
	return `{"op":"u","before":{` + before + `},"after":{` + after + `}}`
}

func TestRowsOfARecordAreCutTogether(t *testing.T) {
	moves := updated(`"tenant":0,"id":1`, `"tenant":1,"id":1`)
	stays := updated(`"tenant":0,"id":2`, `"tenant":0,"id":2,"name":"x"`)
	for name, test := range map[string]struct {
		records               debeziums
		replacing, collapsing string
		rejected              int
	}{
		"stays":             {debeziums{stays}, "0:[0]/1", "0:[0 0]/2", 0},
		"moves":             {debeziums{stays, moves}, "0:[0 1]/2 1:[1]/1", "0:[0 0 1]/3 1:[1]/1", 0},
		"second row fails":  {debeziums{stays, updated(`"tenant":0,"id":1`, `"tenant":1,"id":"x"`), stays}, "0:[0 2]/2", "0:[0 0 2 2]/4", 1},
		"first row fails":   {debeziums{updated(`"tenant":0,"id":"x"`, `"tenant":1,"id":1`), stays}, "0:[1]/1", "0:[1 1]/2", 1},
		"deleted and nulls": {debeziums{`{"op":"d","before":{"tenant":1,"id":1}}`, ``, `{"op":"t"}`}, "1:[0]/1", "1:[0]/1", 1},
		"other columns":     {debeziums{updated(`"tenant":0,"id":1,"length":3`, `"tenant":2,"id":1`)}, "0:[0]/1 0:[0]/1", "0:[0]/1 0:[0]/1", 0},
	} {
		for mode, want := range map[change.Mode]string{change.Replacing: test.replacing, change.Collapsing: test.collapsing} {
			t.Run(name+"/"+string(mode), func(t *testing.T) {
				w, to, layout := changeTarget(t, mode)
				var digests [2]uint64
				for i := range digests { // blocks are used again
					j := &job{source: test.records, layout: layout}
					c := cutOf(t, w, to, j)
					require.Equal(t, want, shape(c))
					require.Len(t, j.result.Rejected, test.rejected)
					digests[i] = c.digest
					c.release()
				}
				require.Equal(t, digests[0], digests[1])
			})
		}
	}
}

func TestARecordIsSettledWithItsLastRow(t *testing.T) {
	w, to, layout := changeTarget(t, change.Collapsing)
	j := &job{layout: layout, source: debeziums{
		updated(`"tenant":0,"id":2`, `"tenant":0,"id":2,"name":"x"`),
		updated(`"tenant":0,"id":1`, `"tenant":1,"id":1`),
	}}
	c := cutOf(t, w, to, j)
	j.acknowledge(c.byShard[0][0])
	require.Equal(t, []bool{true, false}, j.settled)
	require.Equal(t, 3, j.result.Inserted)
	j.cuts++

	again := cutOf(t, w, to, j)
	require.Equal(t, "1:[1]/1", shape(again), "only the row that is not in")
	rebuilt, err := j.rebuild(to, again.byShard[1][0], []int32{1}, "again")
	require.NoError(t, err)
	require.Equal(t, 1, rebuilt.block.Rows())
	j.spooled(rebuilt, "")
	j.acknowledge(again.byShard[1][0])
	require.Equal(t, []bool{true, true}, j.settled)
	require.Equal(t, 3, j.result.Inserted)
	require.Equal(t, 1, j.result.Spooled)
}

func TestASmallBlockEndsBehindARecord(t *testing.T) {
	w, to, layout := changeTarget(t, change.Collapsing)
	w.opts.MaxBlockRows = 3
	stays := updated(`"tenant":0,"id":2`, `"tenant":0,"id":2,"name":"x"`)
	c := cutOf(t, w, to, &job{layout: layout, source: debeziums{stays, stays, stays}})
	require.Equal(t, "0:[0 0 1 1]/4 0:[2 2]/2", shape(c))
}

func BenchmarkCutChanges(b *testing.B) {
	const rows = 1000
	records := make(debeziums, rows)
	for i := range records {
		image := fmt.Sprintf(`"tenant":%d,"id":%d,"name":"name %d","amount":%d,"length":1`, i%20, i, i%7, i)
		records[i] = updated(image, image)
	}
	for _, mode := range []change.Mode{change.Replacing, change.Collapsing} {
		b.Run(string(mode), func(b *testing.B) {
			w, to, layout := changeTarget(b, mode)
			b.ReportAllocs()
			for b.Loop() {
				cutOf(b, w, to, &job{source: records, layout: layout}).release()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/record")
		})
	}
}
