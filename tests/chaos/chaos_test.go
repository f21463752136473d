package chaos_test

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/tests/chaos"
	"github.com/benthos-clickhouse/connect/tests/connector"
)

// seed of the short run. CHAOS_SEED runs another one.
func seed(t *testing.T) uint64 {
	t.Helper()
	text, ok := os.LookupEnv("CHAOS_SEED")
	if !ok {
		return 1
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, "CHAOS_SEED")
	return n
}

// TestEveryKindOfFaultOnce is `make chaos` in small: the whole product, every kind of fault once, and each event there once at the end.
func TestEveryKindOfFaultOnce(t *testing.T) {
	binary, err := connector.Build(t.Context(), "../..", t.TempDir())
	require.NoError(t, err)
	report, err := chaos.Run(t.Context(), chaos.Options{
		Seed: seed(t), Events: 60_000, Faults: len(chaos.Kinds()), EachFirst: true, Every: 800 * time.Millisecond, Limit: 6 * time.Minute,
		Variant: chaos.FanOut, Binary: binary, Out: t.Output(),
	})
	require.NoError(t, err)
	report.Print(t.Output())
	require.Zero(t, report.Losses)
	require.Zero(t, report.Duplicates)
	require.True(t, report.Passed())
}
