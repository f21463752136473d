package clickhouse

import (
	"strconv"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/benthos-clickhouse/connect/clickhouse/insert"
)

// metrics counts what the engine reports, and passes on what somebody should hear of.
type metrics struct {
	rows, bytes, blocks, retries, rejected, spooled *service.MetricCounter
	latency                                         *service.MetricTimer
	alerts                                          *alerts
}

func newMetrics(m *service.Metrics, a *alerts) *metrics {
	return &metrics{
		rows:     m.NewCounter("clickhouse_native_rows_total", "shard"),
		bytes:    m.NewCounter("clickhouse_native_bytes_total", "shard"),
		blocks:   m.NewCounter("clickhouse_native_blocks_total", "shard"),
		retries:  m.NewCounter("clickhouse_native_retries_total", "shard", "action"),
		rejected: m.NewCounter("clickhouse_native_rejected_rows_total"),
		spooled:  m.NewCounter("clickhouse_native_spooled_rows_total", "shard"),
		latency:  m.NewTimer("clickhouse_native_insert_latency_ns", "shard"),
		alerts:   a,
	}
}

func (m *metrics) Inserted(shard, rows, bytes int, took time.Duration) {
	label := strconv.Itoa(shard)
	m.rows.Incr(int64(rows), label)
	m.bytes.Incr(int64(bytes), label)
	m.blocks.Incr(1, label)
	m.latency.Timing(took.Nanoseconds(), label)
}

func (m *metrics) Retried(shard int, action insert.Action) {
	m.retries.Incr(1, strconv.Itoa(shard), action.String())
}

func (m *metrics) Rejected(rows int) {
	m.rejected.Incr(int64(rows))
	m.alerts.rejected(rows)
}

func (m *metrics) Spooled(shard, rows int, path string, reason error) {
	m.spooled.Incr(int64(rows), strconv.Itoa(shard))
	m.alerts.spooled(shard, rows, path, reason)
}
