package dimension

import (
	"context"
	"strings"
	"sync"
	"testing"

	_ "github.com/redpanda-data/benthos/v4/public/components/pure" // the tracer and logger that resources need
	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin"
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
