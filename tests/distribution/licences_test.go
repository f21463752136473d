package distribution

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Redpanda Connect's repository has packages under two licences; only the Apache-2.0 ones may be linked.
func TestNoPackageUnderTheCommunityLicence(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", `{{if .Module}}{{if eq .Module.Path "github.com/redpanda-data/connect/v4"}}{{.Dir}}{{end}}{{end}}`, "./cmd/connect")
	cmd.Dir = root
	out, err := cmd.Output()
	require.NoError(t, err)
	dirs := strings.Fields(string(out))
	require.NotEmpty(t, dirs)
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		require.NoError(t, err)
		for _, file := range files {
			require.NotContains(t, head(t, file), "Redpanda Community License", "%s", file)
		}
	}
}

func head(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	var b strings.Builder
	for lines := bufio.NewScanner(f); lines.Scan() && b.Len() < 2000; {
		b.WriteString(lines.Text() + "\n")
	}
	return b.String()
}
