package demo

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The embedded servers run in another process of this test's binary.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "embedded" {
		if err := ServeEmbedded(); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestDemo(t *testing.T) {
	var out bytes.Buffer
	report, err := Run(t.Context(), Options{Rows: 60_000, Seed: 2, Root: "../..", Out: &out})
	require.NoError(t, err, "%s", out.String())
	require.Empty(t, report.Differences)
	require.EqualValues(t, 60_000, report.PerShard[0]+report.PerShard[1]+6, "all but the malformed")
	require.Len(t, report.Cache, 3)
	for dimension, c := range report.Cache {
		require.Positive(t, c.Hits, "the cache of %s", dimension)
		// All events that are JSON objects were looked up: the truncated ones and the arrays, two of each, are not.
		require.EqualValues(t, 60_000-4, c.Hits+c.Misses, "look-ups of %s", dimension)
	}
	require.NoError(t, report.WriteTable(&out))
	require.Contains(t, out.String(), "All ")
}

// A shard's node is killed in the middle of the run and started again: every event is there at the end, and once.
func TestDemoWithAShardKilled(t *testing.T) {
	var out bytes.Buffer
	report, err := Run(t.Context(), Options{Rows: 300_000, Seed: 3, Root: "../..", Out: &out, KillShard: 3 * time.Second})
	require.NoError(t, err, "%s", out.String())
	require.Contains(t, out.String(), "Killing")
	require.Empty(t, report.Differences)
}

// The checks have to be able to fail.
func TestReportShowsDifferences(t *testing.T) {
	r := &Report{Rows: 1, Seconds: 1}
	r.differ("shard %d: %s", 2, "rows is 3, want 4")
	var out bytes.Buffer
	require.NoError(t, r.WriteTable(&out))
	require.Contains(t, out.String(), "1 DIFFERENCES")
	require.Contains(t, out.String(), "shard 2: rows is 3, want 4")
	require.NotContains(t, out.String(), "All ")
}
