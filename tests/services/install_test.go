package services_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/tests/services"
)

// What cannot be installed is named, with what to do by hand.
func TestWhatIsMissingIsNamed(t *testing.T) {
	for _, tc := range []struct {
		opts services.Options
		want []string
	}{
		{services.Options{ClickHouse: true}, []string{"npm package @chdb/lib-linux", "npm is not on the PATH", "by hand", "CLICKHOUSE_BIN"}},
		{services.Options{Kafka: true}, []string{"Apache Kafka", "java is not on the PATH", "apt-get install", "KAFKA_ADDR"}},
		{services.Options{MySQL: true}, []string{"MySQL (package", "there is no apt-get", "by hand", "MYSQLD_BIN"}},
	} {
		t.Setenv("PATH", t.TempDir())
		t.Setenv("BENTHOS_CLICKHOUSE_CACHE", t.TempDir())
		tc.opts.Log = t.Output()
		err := services.Install(t.Context(), tc.opts)
		var missing *services.InstallError
		require.ErrorAs(t, err, &missing)
		for _, want := range tc.want {
			require.ErrorContains(t, err, want)
		}
	}
}

// fakeNPM packs a library that is a few bytes, once slowly and never twice.
const fakeNPM = `#!/bin/sh
mkdir "$COUNT" || { echo "a second download" >&2; exit 1; }
sleep 0.2
mkdir package && echo library > package/libchdb.so && tar -czf "$4/x.tgz" package && rm -r package
`

func TestConcurrentInstallsDownloadOnce(t *testing.T) {
	bin := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "npm"), []byte(fakeNPM), 0o755))
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("COUNT", filepath.Join(t.TempDir(), "downloaded"))
	cache := t.TempDir()
	t.Setenv("BENTHOS_CLICKHOUSE_CACHE", cache)
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() {
			errs[i] = services.Install(t.Context(), services.Options{ClickHouse: true, Log: t.Output()})
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	libraries, err := filepath.Glob(filepath.Join(cache, "clickhouse-*", "*"))
	require.NoError(t, err)
	require.Len(t, libraries, 1, "the archive is not kept")
	text, err := os.ReadFile(libraries[0])
	require.NoError(t, err)
	require.Equal(t, "library\n", string(text))
}
