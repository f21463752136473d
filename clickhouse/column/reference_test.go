package column

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the generated files anew")

// TestReference holds docs/types.md against the table it is made of.
func TestReference(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, WriteReference(&b))
	path := filepath.Join("..", "..", "docs", "types.md")
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, b.Bytes(), 0o644))
	}
	have, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, b.String(), string(have), "docs/types.md is out of date: run make docs")
}
