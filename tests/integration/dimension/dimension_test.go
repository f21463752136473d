// Package dimension tests dimension_join against real MariaDB and MySQL servers with a row binlog.
package dimension

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin"
	"github.com/benthos-clickhouse/connect/tests/services"
)

// server is MariaDB's, mysqlServer MySQL's.
var server, mysqlServer *services.MySQL

// TestMain starts one server of each kind for all tests that do not need their own.
func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	var clusters [2]*services.Cluster
	var errs [2]error
	var wg sync.WaitGroup
	for i, opts := range []services.Options{{MariaDB: true}, {MySQL: true}} {
		wg.Go(func() { clusters[i], errs[i] = services.Start(context.Background(), opts) })
	}
	wg.Wait()
	for _, c := range clusters {
		if c != nil {
			defer c.Stop()
		}
	}
	if err := errors.Join(errs[:]...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	server, mysqlServer = clusters[0].MySQL, clusters[1].MySQL
	return m.Run()
}

// onBoth runs a test against either server.
func onBoth(t *testing.T, test func(t *testing.T, server *services.MySQL)) {
	t.Helper()
	t.Run("MariaDB", func(t *testing.T) { test(t, server) })
	t.Run("MySQL", func(t *testing.T) { test(t, mysqlServer) })
}

// join makes a dimension_join from the YAML under its name; $DSN stands for the shared server.
func join(t testing.TB, yaml string) service.BatchProcessor {
	t.Helper()
	return joinWith(t, server.DSN(), yaml)
}

func joinWith(t testing.TB, dsn, yaml string) service.BatchProcessor {
	t.Helper()
	conf, err := dimensionjoin.Spec().ParseYAML(strings.ReplaceAll(yaml, "$DSN", dsn), service.NewEnvironment())
	require.NoError(t, err)
	p, err := dimensionjoin.New(conf, service.MockResources())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close(context.Background())) })
	return p
}

// run joins documents and returns the contents of the messages that came out.
func run(t testing.TB, p service.BatchProcessor, docs ...string) []string {
	t.Helper()
	out, err := tryRun(t.Context(), p, docs...)
	require.NoError(t, err)
	return out
}

// tryRun is run for goroutines that may not end the test.
func tryRun(ctx context.Context, p service.BatchProcessor, docs ...string) (out []string, err error) {
	batch, err := tryProcess(ctx, p, docs...)
	for _, msg := range batch {
		b, err := msg.AsBytes()
		if err != nil {
			return nil, err
		}
		out = append(out, string(b))
	}
	return out, err
}

func process(t testing.TB, p service.BatchProcessor, docs ...string) service.MessageBatch {
	t.Helper()
	batch, err := tryProcess(t.Context(), p, docs...)
	require.NoError(t, err)
	return batch
}

func tryProcess(ctx context.Context, p service.BatchProcessor, docs ...string) (service.MessageBatch, error) {
	batch := make(service.MessageBatch, len(docs))
	for i, d := range docs {
		batch[i] = service.NewMessage([]byte(d))
	}
	batches, err := p.ProcessBatch(ctx, batch)
	if err != nil || len(batches) == 0 {
		return nil, err
	}
	if len(batches) != 1 {
		return nil, fmt.Errorf("one batch went in, %d came out", len(batches))
	}
	return batches[0], nil
}
