package sharding

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write docs/sharding.md again")

const referencePage = "../../docs/sharding.md"

func TestReferenceIsCurrent(t *testing.T) {
	var page bytes.Buffer
	require.NoError(t, WriteReference(&page))
	if *update {
		require.NoError(t, os.WriteFile(referencePage, page.Bytes(), 0o644))
	}
	committed, err := os.ReadFile(referencePage)
	require.NoError(t, err)
	require.Equal(t, string(committed), page.String(), "docs/sharding.md is out of date: run make docs")
}

func TestFunctionsAreListedOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Functions() {
		for _, name := range append(f.Aliases, f.Name) {
			require.False(t, seen[name], name)
			seen[name] = true
			require.NotNil(t, lookupFunction(name))
		}
		require.NotEmpty(t, f.Summary)
	}
}
