package distribution

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// block is a fenced block of code in a Markdown document.
type block struct{ language, text string }

var fence = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```")

func blocks(t *testing.T, path string) (out []block) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
		out = append(out, block{m[1], m[2]})
	}
	return out
}

// Every pipeline in a document lints. Only references have fragments, which are the examples of single fields.
func TestPipelinesInDocumentsLint(t *testing.T) {
	var docs []string
	for _, pattern := range []string{"/README.md", "/docs/*.md", "/docs/reference/*.md"} {
		found, err := filepath.Glob(root + pattern)
		require.NoError(t, err)
		docs = append(docs, found...)
	}
	linted := 0
	file := filepath.Join(t.TempDir(), "block.yaml")
	for _, doc := range docs {
		for _, b := range blocks(t, doc) {
			if b.language != "yaml" {
				continue
			}
			if !regexp.MustCompile(`(?m)^(input|output|pipeline):`).MatchString(b.text) {
				require.Contains(t, doc, "/reference/", "this is not linted unless it begins at the top level:\n%s", b.text)
				continue
			}
			if strings.Contains(b.text, "# No default") { // a template with every field, not a pipeline
				continue
			}
			require.NoError(t, os.WriteFile(file, []byte(b.text), 0o600))
			out, ok := connect(t, []string{"MYSQL_DSN=reader@tcp(127.0.0.1:3306)/shop"}, "lint", "--skip-env-var-check", file)
			require.True(t, ok, "%s:\n%s\n%s", doc, b.text, out)
			linted++
		}
	}
	require.NotZero(t, linted)
}

// The commands of the README are the targets of the Makefile and the sub-commands of the binary; `make demo` and the pipeline
// itself run in package demo's tests, `make test` is what runs this.
func TestCommandsInReadme(t *testing.T) {
	dir := t.TempDir()
	for _, b := range blocks(t, root+"/README.md") {
		switch b.language {
		case "sh":
			for _, line := range strings.Split(strings.TrimSpace(b.text), "\n") {
				runLine(t, dir, line)
			}
		case "yaml":
			require.NoError(t, os.WriteFile(filepath.Join(dir, "clicks.yaml"), []byte(b.text), 0o600))
		}
	}
}

func runLine(t *testing.T, dir, line string) {
	t.Helper()
	args := strings.Fields(line)
	switch {
	case args[0] == "make":
		cmd := exec.CommandContext(t.Context(), "make", append([]string{"-n"}, args[1:]...)...)
		cmd.Dir = root
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s: %s", line, out)
	case args[0] == "./bin/connect" && args[1] == "lint":
		out, ok := connect(t, nil, "lint", filepath.Join(dir, args[2]))
		require.True(t, ok, "%s: %s", line, out)
	case args[0] == "./bin/connect" && args[1] == "run":
		require.FileExists(t, filepath.Join(dir, args[2]), "%s names a file that the README does not show", line)
	default:
		t.Fatalf("the README has a command that no test knows: %s", line)
	}
}

// The program that embeds the plugins takes the pipeline that stands beside it.
func TestGoProgramInReadmeTakesItsPipeline(t *testing.T) {
	// Inside the module, so that it builds against this checkout.
	dir, err := os.MkdirTemp(filepath.Join(root, "cmd"), "readme") //nolint:usetesting // has to be inside the module
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	files := map[string]string{"go": "main.go", "yaml": "clicks.yaml"}
	for _, b := range blocks(t, root+"/README.md") {
		if name, wanted := files[b.language]; wanted {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(b.text), 0o600))
		}
	}
	program := "./cmd/" + filepath.Base(dir)
	cmd := exec.CommandContext(t.Context(), "go", "run", program, "lint", program+"/clicks.yaml")
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}
