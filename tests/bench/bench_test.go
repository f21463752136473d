package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/tests/connector"
	"github.com/benthos-clickhouse/connect/tests/demo"
	"github.com/benthos-clickhouse/connect/tests/proxy"
)

// The embedded servers and the stages run in other processes of this test's binary.
func TestMain(m *testing.M) {
	var err error
	switch {
	case len(os.Args) > 1 && os.Args[1] == "embedded":
		err = demo.ServeEmbedded()
	case len(os.Args) > 1 && os.Args[1] == "stage":
		err = ServeStage(context.Background(), os.Args[2:])
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}

// A run of everything at a size that says nothing about speed: the figures are there, and add up.
func TestBench(t *testing.T) {
	dir := t.TempDir()
	binary, err := connector.Build(t.Context(), "../..", dir)
	require.NoError(t, err)
	b, err := New(t.Context(), Options{
		Rows: 3000, Binary: binary, Root: "../..", Out: t.Output(), Profile: filepath.Join(dir, "profiles"),
		Only: []string{"one record a message", "MergeTree, exactly once"},
	})
	require.NoError(t, err)
	defer b.Close()
	r, err := b.Run(t.Context())
	require.NoError(t, err)
	require.Len(t, r.Results, 2)
	for _, res := range r.Results {
		require.Positive(t, res.NetMicros, res.Scenario)
		require.Greater(t, res.CPUMicros, res.NetMicros)
		require.Positive(t, res.PeakBytes)
		require.Positive(t, res.AllocsPerRow)
		require.InDelta(t, 515, res.BytesPerRow, 30)
	}
	for _, name := range []string{"send", BaselineNames[1]} {
		s, err := b.stage(t.Context(), name)
		require.NoError(t, err)
		require.Positive(t, s.CPUMicros)
		r.Stages = append(r.Stages, s)
	}
	heaps, err := filepath.Glob(filepath.Join(dir, "profiles", "*.allocs.pprof"))
	require.NoError(t, err)
	require.Len(t, heaps, 2)
	checkSaved(t, r)
	checkMemoryIsBounded(t, b)
}

// With ClickHouse behind a slow network the connector holds no more than docs/performance says it does, though several times as much waits
// in Kafka.
func checkMemoryIsBounded(t *testing.T, b *Bench) {
	t.Helper()
	const buffered, fetch, base = 24 << 20, 2 << 20, 130 << 20 // base is the program and what it needs to start
	s := Scenario{
		Name: "slow", Shape: Standard, RecordsPerMessage: 1000, Compression: "lz4", Partitions: 4, Shards: 2, Engine: "Null", Topic: "bench-slow",
		Input: fmt.Sprintf("    max_buffered_bytes: %d\n    range: { byte_size: %d }\n    fetch_max_bytes: %d\n    fetch_max_partition_bytes: %d\n", buffered, buffered/4, fetch, fetch/4),
	}
	var mapped []string
	var slow []*proxy.Proxy
	for _, node := range b.cluster.Servers {
		p := proxy.Run(t, node.Addr())
		p.Delay(10 * time.Millisecond) // for each chunk of some kilobytes
		slow = append(slow, p)
		mapped = append(mapped, fmt.Sprintf("%q: %q", node.Addr(), p.Addr()))
	}
	s.AddressMap = "{ " + strings.Join(mapped, ", ") + " }"
	b.opts.Rows, b.opts.Profile = 200_000, ""
	res, err := b.run(t.Context(), b.opts.Binary, s)
	require.NoError(t, err)
	for _, p := range slow {
		require.Greater(t, p.Sent(), int64(1<<20), "the blocks of each shard go the slow way")
	}
	const copies, unpacked = 1.4, 4 // of an event without a join; of a fetch, compressed and decompressed
	bound := 2 * (buffered*(1+copies) + 2*fetch*unpacked)
	require.Less(t, float64(res.PeakBytes), base+bound)
	require.Greater(t, 200_000*res.BytesPerRow, 3.0*buffered, "more must wait than may be held")
	t.Logf("peak %d MB, bound %.0f MB", res.PeakBytes>>20, (base+bound)/(1<<20))
}

func checkSaved(t *testing.T, r *Report) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, r.Save(dir))
	text, err := os.ReadFile(filepath.Join(dir, "results.json"))
	require.NoError(t, err)
	var again Report
	require.NoError(t, json.Unmarshal(text, &again))
	require.Equal(t, r.Results, again.Results)
	for _, name := range []string{"results.txt", "cpu_per_row.svg"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Contains(t, string(text), r.Results[0].Scenario)
	}
}

func TestBudgetsSayWhatWasReached(t *testing.T) {
	r := &Report{Results: []*Result{
		{Scenario: "standard", NetMicros: 1.9, PeakBytes: 310e6, FirstInsert: 1},
		{Scenario: "no join", NetMicros: 1.5},
	}}
	met := map[string]bool{}
	for _, b := range r.Budgets() {
		met[b.What] = b.Met()
	}
	require.Equal(t, map[string]bool{
		"many records a message, three dimensions": true, "three cached dimensions": true, "peak memory": false, "start to first commit": true,
	}, met)
	var out bytes.Buffer
	require.NoError(t, r.WriteTable(&out))
	require.Contains(t, out.String(), "310.00 of 300.00 MB  NOT MET")
}

func TestCalibrationStandsBesideTheBudgets(t *testing.T) {
	r := &Report{Results: []*Result{{Scenario: "standard", NetMicros: 3, PeakBytes: 290e6, FirstInsert: 1}}}
	r.calibrate(map[string]*Stage{"encoding/json to a map": {CPUMicros: 15.4}, "Benthos AsStructured": {CPUMicros: 9}})
	require.Zero(t, r.MachineFactor, "not of two")
	r.calibrate(map[string]*Stage{"encoding/json to a map": {CPUMicros: 15.4}, "Benthos AsStructured": {CPUMicros: 9}, "fetch": {CPUMicros: 0.58}})
	require.InDelta(t, 2, r.MachineFactor, 1e-9)
	var out bytes.Buffer
	require.NoError(t, r.WriteTable(&out))
	require.Regexp(t, `encoding/json to a map +15.40 µs/row +7.70 on the machine of the budgets +2.00 ×`, out.String())
	require.Contains(t, out.String(), "machine factor: 2.00")
	require.Regexp(t, `many records a message, three dimensions +3.00 of 2.00 µs/row +NOT MET +1.50 calibrated`, out.String())
	require.Regexp(t, `peak memory +290.00 of 300.00 MB +met\n`, out.String())
}

func TestCompareIsPairByPair(t *testing.T) {
	c := &Comparison{Scenario: "standard", BaseRevision: "v1"}
	for _, pair := range [][2]float64{{2, 1}, {10, 6}, {4, 4}} {
		c.add(&Result{CPUMicros: pair[0]}, &Result{CPUMicros: pair[1]})
	}
	require.Equal(t, []float64{0.5, 0.6, 1}, c.Ratios)
	require.Equal(t, 0.6, c.Median())
	var out bytes.Buffer
	require.NoError(t, WriteComparisons(&out, []*Comparison{c}))
	require.Contains(t, out.String(), "0.600")
}

// Every shape is still JSON, and has the columns that its table has.
func TestShapes(t *testing.T) {
	docs := events()[:3]
	for _, s := range Scenarios() {
		var event map[string]any
		require.NoError(t, json.Unmarshal(newShaper(s.Shape).apply(bytes.Clone(docs[0])), &event), s.Name)
		want := map[Shape]int{Narrow: 5, Wide: 200, Nested: 21 - 9 + 3}[s.Shape]
		if want == 0 {
			want = 21
		}
		require.Len(t, event, want, s.Name)
	}
}

func TestSharesAreAddedUpByPackage(t *testing.T) {
	got := sharesOf([]byte(`File: connect
Showing nodes accounting for 10s, 100% of 10s total
      flat  flat%   sum%        cum   cum%
     3.00s 30.00% 30.00%      3.00s 30.00%  runtime.memmove
        2s 20.00% 50.00%         2s 20.00%  github.com/benthos-clickhouse/connect/clickhouse/column.(*Block).Append
        1s 10.00% 60.00%         1s 10.00%  github.com/benthos-clickhouse/connect/clickhouse/column.put[go.shape.a/b.c] (inline)
     3.99s 39.90% 99.90%      3.99s 39.90%  github.com/pierrec/lz4/v4/internal/lz4block.decodeBlock
     0.01s  0.10%   100%         5s 50.00%  main.main
`))
	require.Len(t, got, 3)
	for i, want := range []Share{
		{"github.com/pierrec/lz4/v4/internal/lz4block", 0.399}, {"clickhouse/column", 0.3}, {"runtime: copying memory", 0.3},
	} {
		require.Equal(t, want.Package, got[i].Package)
		require.InDelta(t, want.Part, got[i].Part, 1e-9)
	}
}
