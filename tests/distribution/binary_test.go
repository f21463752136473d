// Package distribution tests the binary, the image and the documents as a user meets them.
package distribution

import (
	"bytes"
	"context"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const root = "../.."

var binary = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "make", "build")
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), err
	}
	return filepath.Abs(filepath.Join(root, "bin", "connect"))
})

// connect runs the binary and returns what it printed, and whether it succeeded.
func connect(t *testing.T, env []string, args ...string) (string, bool) {
	t.Helper()
	path, err := binary()
	require.NoError(t, err, path)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	return out.String(), err == nil
}

func TestBinaryIsStatic(t *testing.T) {
	path, err := binary()
	require.NoError(t, err, path)
	f, err := elf.Open(path)
	require.NoError(t, err)
	defer f.Close()
	for _, p := range f.Progs {
		require.NotEqual(t, elf.PT_INTERP, p.Type, "the binary asks for a dynamic loader")
	}
}

func TestCommands(t *testing.T) {
	for _, tc := range []struct {
		args     []string
		contains []string
	}{
		{[]string{"--version"}, []string{"Version:"}},
		{[]string{"--help"}, []string{"run", "lint", "clickhouse", "dimension"}},
		{[]string{"list", "inputs"}, []string{"kafka_exactly_once", "redpanda", "redis_streams"}},
		{[]string{"list", "outputs"}, []string{"clickhouse_native", "redpanda", "redis_hash"}},
		{[]string{"list", "processors"}, []string{"dimension_join"}},
		{[]string{"list", "metrics"}, []string{"prometheus"}},
		{[]string{"create", "kafka_exactly_once/dimension_join/clickhouse_native"}, []string{"consumer_group:", "dimensions:", "addresses:", "dead_letter"}},
	} {
		t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
			out, ok := connect(t, nil, tc.args...)
			require.True(t, ok, out)
			for _, want := range tc.contains {
				require.Contains(t, out, want)
			}
		})
	}
}

func TestConfigsLintAndPassTheirTests(t *testing.T) {
	files, err := filepath.Glob(root + "/config/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			out, ok := connect(t, []string{"MYSQL_DSN=reader@tcp(127.0.0.1:3306)/shop"}, "lint", file)
			require.True(t, ok, out)
		})
	}
	out, ok := connect(t, []string{"MYSQL_DSN=reader@tcp(127.0.0.1:3306)/shop"}, "test", root+"/config/...")
	require.True(t, ok, out)
}

func TestLintNamesTheFieldAtFault(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bad.yaml")
	for _, tc := range []struct{ yaml, contains string }{
		{"output: { clickhouse_native: { addresses: [ a:9000 ], table: t, codec: lz4 } }", "codec"},
		{"output: { clickhouse_native: { addresses: [ a:9000 ], table: t, compression: brotli } }", "brotli"},
		{"input: { kafka_exactly_once: { seed_brokers: [ a:9092 ], topics: [ t ], consumer_group: g, rnage: {} } }", "rnage"},
	} {
		require.NoError(t, os.WriteFile(file, []byte(tc.yaml), 0o600))
		out, ok := connect(t, nil, "lint", file)
		require.False(t, ok, "%s\n%s", tc.yaml, out)
		require.Contains(t, out, tc.contains)
	}
}
