package output

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"
)

// recorder is a metrics exporter that adds up.
type recorder struct {
	mu sync.Mutex
	by map[string]int64
}

// add keeps the labels that are ours; the engine adds others.
func (r *recorder) add(name string, keys, values []string, n int64) {
	for i, key := range keys {
		if key == "shard" || key == "action" {
			name += " " + key + "=" + values[i]
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.by[name] += n
}

func (r *recorder) get(key string) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.by[key]
}

type recorded struct {
	r            *recorder
	name         string
	keys, values []string
}

func (c recorded) Incr(n int64)   { c.r.add(c.name, c.keys, c.values, n) }
func (c recorded) Timing(n int64) { c.r.add(c.name, c.keys, c.values, 1) }
func (c recorded) Set(n int64)    {}

func (r *recorder) NewCounterCtor(name string, keys ...string) service.MetricsExporterCounterCtor {
	return func(values ...string) service.MetricsExporterCounter { return recorded{r, name, keys, values} }
}

func (r *recorder) NewTimerCtor(name string, keys ...string) service.MetricsExporterTimerCtor {
	return func(values ...string) service.MetricsExporterTimer { return recorded{r, name, keys, values} }
}

func (r *recorder) NewGaugeCtor(name string, keys ...string) service.MetricsExporterGaugeCtor {
	return func(values ...string) service.MetricsExporterGauge { return recorded{r, name, keys, values} }
}

func (r *recorder) Close(context.Context) error { return nil }

func TestStreamMetrics(t *testing.T) {
	db := tables(t)
	r := &recorder{by: map[string]int64{}}
	env := service.GlobalEnvironment().Clone()
	require.NoError(t, env.RegisterMetricsExporter("recorder", service.NewConfigSpec(), func(*service.ParsedConfig, *service.Logger) (service.MetricsExporter, error) {
		return r, nil
	}))
	b := env.NewStreamBuilder()
	b.SetLogger(slog.New(slog.DiscardHandler))
	require.NoError(t, b.SetMetricsYAML("recorder: {}"))
	send, err := b.AddBatchProducerFunc()
	require.NoError(t, err)
	require.NoError(t, b.AddOutputYAML("clickhouse_native:\n"+common(db)+"  dead_letter: { drop: {} }\n"))
	s, err := b.Build()
	require.NoError(t, err)
	go func() { _ = s.Run(context.WithoutCancel(t.Context())) }()
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })

	docs := events(0, 100)
	docs[9] = `{"id":9,"user_id":9,"price":-1}`
	require.NoError(t, send(t.Context(), batch(docs)))
	landed := ids(t, db, "events_local")
	for shard, rows := range landed {
		label := fmt.Sprintf(" shard=%d", shard+1)
		require.EqualValues(t, len(rows), r.get("clickhouse_native_rows_total"+label), label)
		require.EqualValues(t, 1, r.get("clickhouse_native_blocks_total"+label))
		require.EqualValues(t, 1, r.get("clickhouse_native_insert_latency_ns"+label))
		require.Positive(t, r.get("clickhouse_native_bytes_total"+label))
	}
	require.EqualValues(t, 1, r.get("clickhouse_native_rejected_rows_total"))
	require.EqualValues(t, 1, r.get("clickhouse_native_retries_total shard=1 action=isolate_row")+r.get("clickhouse_native_retries_total shard=2 action=isolate_row"))
}
