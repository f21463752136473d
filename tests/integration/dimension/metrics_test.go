package dimension

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/redpanda-data/benthos/v4/public/components/pure" // the tracer and logger that resources need
	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin"
	"github.com/benthos-clickhouse/connect/tests/proxy"
)

// recorder is a metrics exporter that keeps what it is told, summed over labels.
type recorder struct {
	mu     sync.Mutex
	values map[string]int64
	labels map[string][]string
}

func newRecorder() *recorder {
	return &recorder{values: map[string]int64{}, labels: map[string][]string{}}
}

func (r *recorder) gauge(name string) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.values[name]
}

type recorded struct {
	r    *recorder
	name string
}

func (m recorded) Incr(n int64) {
	m.r.mu.Lock()
	defer m.r.mu.Unlock()
	m.r.values[m.name] += n
}

func (m recorded) Set(n int64) {
	m.r.mu.Lock()
	defer m.r.mu.Unlock()
	m.r.values[m.name] = n
}

func (m recorded) Timing(n int64) { m.Incr(n) }

func (r *recorder) metric(name string, labels []string) recorded {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.labels[name] = append(r.labels[name], labels...)
	return recorded{r, name}
}

func (r *recorder) NewCounterCtor(name string, _ ...string) service.MetricsExporterCounterCtor {
	return func(labels ...string) service.MetricsExporterCounter { return r.metric(name, labels) }
}

func (r *recorder) NewTimerCtor(name string, _ ...string) service.MetricsExporterTimerCtor {
	return func(labels ...string) service.MetricsExporterTimer { return r.metric(name, labels) }
}

func (r *recorder) NewGaugeCtor(name string, _ ...string) service.MetricsExporterGaugeCtor {
	return func(labels ...string) service.MetricsExporterGauge { return r.metric(name, labels) }
}

func (r *recorder) Close(context.Context) error { return nil }

// joinRecorded is join with metrics that the test can read.
func joinRecorded(t testing.TB, r *recorder, yaml string) service.BatchProcessor {
	t.Helper()
	env := service.NewEnvironment()
	require.NoError(t, env.RegisterMetricsExporter("recorder", service.NewConfigSpec(),
		func(*service.ParsedConfig, *service.Logger) (service.MetricsExporter, error) { return r, nil }))
	builder := env.NewResourceBuilder()
	require.NoError(t, builder.SetMetricsYAML(`recorder: {}`))
	resources, stop, err := builder.BuildSuspended()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, stop(context.Background())) })
	conf, err := dimensionjoin.Spec().ParseYAML(strings.ReplaceAll(yaml, "$DSN", server.DSN()), env)
	require.NoError(t, err)
	p, err := dimensionjoin.New(conf, resources)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close(context.Background())) })
	return p
}

func TestMetrics(t *testing.T) {
	server.Exec(t, `CREATE OR REPLACE TABLE met (k VARCHAR(10) PRIMARY KEY, v INT) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci; INSERT INTO met VALUES ('a', 1), ('B', 2)`)
	r := newRecorder()
	p := joinRecorded(t, r, `
dsn: "$DSN"
dimensions: [ { name: met, table: met, key: { k: this.k } } ]
`)
	run(t, p, `{"k":"a"}`, `{"k":"b"}`, `{"k":"a"}`, `{"k":"none"}`)
	run(t, p, `{"k":"a"}`, `{"k":"none"}`, `{"k":[]}`)
	require.NoError(t, p.Close(context.Background()))
	for name, want := range map[string]int64{
		"hits_total": 1, "negative_hits_total": 1, "misses_total": 4, "unmatched_total": 3, "loads_total": 1, "loaded_keys_total": 3,
		"inexact_rows_total": 1, "event_errors_total": 1, "load_errors_total": 0,
	} {
		require.Equal(t, want, r.gauge("dimension_join_"+name), name)
	}
	require.Positive(t, r.gauge("dimension_join_load_latency_ns"))
	require.Contains(t, r.labels["dimension_join_hits_total"], "met")
}

// Metrics go on while batches wait for the server, and while there are none: that is when somebody looks at them.
func TestMetricsOfAnOutage(t *testing.T) {
	server.Exec(t, `CREATE OR REPLACE TABLE met_out (k INT PRIMARY KEY, v INT); INSERT INTO met_out VALUES (1, 1)`)
	between := proxy.Run(t, server.Addr())
	r := newRecorder()
	p := joinRecorded(t, r, fmt.Sprintf(`
dsn: %q
dimensions: [ { name: met, table: met_out, key: { k: this.k }, retry_missing: { attempts: 2, delay: 1ms } } ]
cache: { ttl: 50ms, refresh_after: 0s, missing_ttl: 50ms, max_stale: 1h, jitter: 0 }
invalidation: { binlog: { enabled: true } }
backoff: { initial_interval: 10ms, max_interval: 50ms }
`, through(t, server, between.Addr())))
	moves := func(name string, from int64) {
		t.Helper()
		require.Eventually(t, func() bool { return r.gauge("dimension_join_"+name) > from }, 20*time.Second, 10*time.Millisecond, name)
	}
	run(t, p, `{"k":1}`, `{"k":2}`)
	for _, name := range []string{"misses_total", "entries", "bytes"} {
		moves(name, 1)
	}
	moves("retried_keys_total", 1)
	require.Eventually(t, func() bool {
		run(t, p, `{"k":1}`)
		server.Exec(t, `UPDATE met_out SET v = v + 1`)
		return r.gauge("dimension_join_invalidations_total") > 0
	}, 20*time.Second, 20*time.Millisecond)
	flushes := r.gauge("dimension_join_flushes_total")
	server.Exec(t, `ALTER TABLE met_out COMMENT 'something may be different'`)
	moves("flushes_total", flushes)
	require.Zero(t, r.gauge("dimension_join_load_errors_total"))

	between.Set(proxy.Refuse)
	between.Cut()
	moves("binlog_lag_ms", 100)
	time.Sleep(60 * time.Millisecond) // past the ttl
	run(t, p, `{"k":1}`)
	moves("stale_served_total", 0)
	before := r.gauge("dimension_join_load_errors_total")
	waiting := later(t, p, `{"k":3}`)
	moves("load_errors_total", before+2)
	require.Empty(t, waiting)
	between.Set(proxy.Pass)
	require.Equal(t, []string{`{"k":3,"v":null}`}, <-waiting)
}
