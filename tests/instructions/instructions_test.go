package instructions

import (
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write figures.json again")

const figuresFile = "figures.json"

// The check of `make instructions`. A change that is worth its instructions renews the figures with `make instructions-update`
// and says in its commit what they buy.
func TestStagesTakeNoMoreInstructionsThanCommitted(t *testing.T) {
	counter, err := NewCounter(t.Context(), t.TempDir())
	require.NoError(t, err)
	measured, err := counter.CountAll(t.Context())
	require.NoError(t, err)
	for _, s := range Stages {
		t.Logf("%-8s %6.0f instructions per row", s.Name, measured.PerRow[s.Name])
	}
	if *update {
		require.NoError(t, measured.Write(figuresFile))
	}
	committed, err := Read(figuresFile)
	require.NoError(t, err)
	require.Empty(t, committed.Compare(measured), "committed figures are of %s on %s, these of %s on %s; `make instructions-update` renews them",
		committed.Go, committed.Platform, measured.Go, measured.Platform)
}

func TestCompare(t *testing.T) {
	figures := func(last float64) Figures {
		f := Figures{PerRow: map[string]float64{}}
		for _, s := range Stages {
			f.PerRow[s.Name] = 1000
		}
		f.PerRow[Stages[len(Stages)-1].Name] = last
		return f
	}
	for name, c := range map[string]struct {
		measured   Figures
		complaints int
	}{
		"equal":          {figures(1000), 0},
		"within":         {figures(1049), 0},
		"grown":          {figures(1051), 1},
		"shrunk":         {figures(10), 0},
		"not measured":   {Figures{}, len(Stages)},
		"one is missing": {figures(0), 1},
	} {
		t.Run(name, func(t *testing.T) {
			require.Len(t, figures(1000).Compare(c.measured), c.complaints)
		})
	}
}

func TestEveryStageRuns(t *testing.T) {
	for _, s := range Stages {
		require.NoError(t, Run(s.Name, 1), s.Name)
	}
	require.ErrorContains(t, Run("nothing", 1), "no stage")
}

func TestFiguresAreKeptAsJSON(t *testing.T) {
	path := t.TempDir() + "/figures.json"
	want := Figures{Go: "go1", Platform: "linux/amd64", PerRow: map[string]float64{"join": 12}}
	require.NoError(t, want.Write(path))
	got, err := Read(path)
	require.NoError(t, err)
	require.Equal(t, want, got)
	_, err = Read(path + ".not")
	require.ErrorIs(t, err, os.ErrNotExist)
}
