package kafka_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"
)

// recorder is a metrics exporter that remembers the last value of each gauge and the sum of each counter, by name and labels.
type recorder struct {
	mu     sync.Mutex
	values map[string]float64
}

var recorded = &recorder{values: map[string]float64{}}

func init() {
	err := service.RegisterMetricsExporter("recording", service.NewConfigSpec(), func(*service.ParsedConfig, *service.Logger) (service.MetricsExporter, error) {
		return recorded, nil
	})
	if err != nil {
		panic(err)
	}
}

type cell struct {
	r    *recorder
	name string
}

func (c cell) add(v float64) {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	c.r.values[c.name] += v
}

func (c cell) Incr(n int64)          { c.add(float64(n)) }
func (c cell) IncrFloat64(n float64) { c.add(n) }
func (c cell) Timing(int64)          {}
func (c cell) Set(n int64)           { c.SetFloat64(float64(n)) }
func (c cell) SetFloat64(n float64) {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	c.r.values[c.name] = n
}

func (r *recorder) cell(name string, values []string) cell {
	return cell{r, strings.Join(append([]string{name}, values...), " ")}
}

func (r *recorder) NewCounterCtor(name string, _ ...string) service.MetricsExporterCounterCtor {
	return func(v ...string) service.MetricsExporterCounter { return r.cell(name, v) }
}

func (r *recorder) NewTimerCtor(name string, _ ...string) service.MetricsExporterTimerCtor {
	return func(v ...string) service.MetricsExporterTimer { return r.cell(name, v) }
}

func (r *recorder) NewGaugeCtor(name string, _ ...string) service.MetricsExporterGaugeCtor {
	return func(v ...string) service.MetricsExporterGauge { return r.cell(name, v) }
}

func (*recorder) Close(context.Context) error { return nil }

// value is that of the first metric that begins with the name and holds the labels.
func (r *recorder) value(name, labels string) float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, v := range r.values {
		if strings.HasPrefix(k, name+" ") && strings.Contains(k, labels) {
			return v
		}
	}
	return -1
}

func TestMetrics(t *testing.T) {
	s := beside(t, brokers["kfake"]).scene(t, "metrics", 1, 1)
	s.refuse = 1
	s.produce(t, 0, 500)
	startStream(t, s.pipeline("    range: { count: 100, period: 50ms }\n    ranges_in_flight: 2", "")+"metrics: { recording: {} }\n")
	require.Eventually(t, func() bool {
		return recorded.value("kafka_exactly_once_ranges_in_flight", s.topic+" 0") == 2 &&
			recorded.value("kafka_exactly_once_ranges_prepared", s.topic+" 0") == 2 &&
			recorded.value("kafka_exactly_once_lag", s.topic+" 0") == 500 &&
			recorded.value("kafka_exactly_once_buffered_bytes", "") > 500*10 &&
			recorded.value("kafka_exactly_once_ranges_redelivered_total", "") > 3
	}, patience, 5*time.Millisecond)
	s.set(func() { s.refuse = 0 })
	s.requireAll(t, s.want)
	require.Eventually(t, func() bool {
		return recorded.value("kafka_exactly_once_ranges_in_flight", s.topic+" 0") == 0 &&
			recorded.value("kafka_exactly_once_lag", s.topic+" 0") == 0 &&
			recorded.value("kafka_exactly_once_buffered_bytes", "") == 0
	}, patience, 5*time.Millisecond)
}
