package dimensionjoin

import (
	"sync"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/lookup"
)

// exporter turns the join's own counts, which only grow, into the engine's metrics.
type exporter struct {
	mu     sync.Mutex
	next   time.Time // no export before it, but by itself
	stop   chan struct{}
	joiner *lookup.Joiner
	names  []string
	counts []counter
	loads  *service.MetricTimer
	loaded []lookup.Snapshot // what has been exported of each dimension
	gauges []gauge
}

type counter struct {
	metric *service.MetricCounter
	value  func(s *lookup.Snapshot) int64
}

type gauge struct {
	metric *service.MetricGauge
	value  func(u *lookup.Usage) int64
}

// exportEvery is how often metrics are updated, whether batches come through, wait for the server, or there are none.
const exportEvery = 200 * time.Millisecond

func newExporter(m *service.Metrics, joiner *lookup.Joiner, names []string) *exporter {
	e := &exporter{joiner: joiner, names: names, loaded: make([]lookup.Snapshot, len(names)), stop: make(chan struct{})}
	count := func(name string, value func(s *lookup.Snapshot) int64) {
		e.counts = append(e.counts, counter{m.NewCounter("dimension_join_"+name+"_total", "dimension"), value})
	}
	count("hits", func(s *lookup.Snapshot) int64 { return s.Hits })
	count("negative_hits", func(s *lookup.Snapshot) int64 { return s.NegativeHits })
	count("misses", func(s *lookup.Snapshot) int64 { return s.Misses })
	count("unmatched", func(s *lookup.Snapshot) int64 { return s.Unmatched })
	count("stale_served", func(s *lookup.Snapshot) int64 { return s.StaleServed })
	count("loads", func(s *lookup.Snapshot) int64 { return s.Loads })
	count("loaded_keys", func(s *lookup.Snapshot) int64 { return s.LoadedKeys })
	count("load_errors", func(s *lookup.Snapshot) int64 { return s.LoadErrors })
	count("inexact_rows", func(s *lookup.Snapshot) int64 { return s.Inexact })
	count("invalidations", func(s *lookup.Snapshot) int64 { return s.Invalidations })
	count("flushes", func(s *lookup.Snapshot) int64 { return s.Flushes })
	count("retried_keys", func(s *lookup.Snapshot) int64 { return s.RetriedKeys })
	count("event_errors", func(s *lookup.Snapshot) int64 { return s.EventErrors })
	e.loads = m.NewTimer("dimension_join_load_latency_ns", "dimension")
	measure := func(name string, value func(u *lookup.Usage) int64) {
		e.gauges = append(e.gauges, gauge{m.NewGauge("dimension_join_"+name, "dimension"), value})
	}
	measure("entries", func(u *lookup.Usage) int64 { return u.Entries })
	measure("bytes", func(u *lookup.Usage) int64 { return u.Bytes })
	measure("binlog_lag_ms", func(u *lookup.Usage) int64 { return u.BinlogLag.Milliseconds() })
	return e
}

// run exports until close, without which the metrics would stand still while batches wait for the server.
func (e *exporter) run() {
	tick := time.NewTicker(exportEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			e.export(true)
		case <-e.stop:
			return
		}
	}
}

// close exports what is left.
func (e *exporter) close() {
	close(e.stop)
	e.export(true)
}

// export brings the metrics up to date, unless that was done just now.
func (e *exporter) export(force bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	if !force && now.Before(e.next) {
		return
	}
	e.next = now.Add(exportEvery)
	for d, name := range e.names {
		s, u := e.joiner.Snapshot(d), e.joiner.Usage(d)
		old := &e.loaded[d]
		for _, c := range e.counts {
			if delta := c.value(&s) - c.value(old); delta != 0 {
				c.metric.Incr(delta, name)
			}
		}
		if n := s.Loads - old.Loads; n > 0 {
			e.loads.Timing((s.LoadNanos-old.LoadNanos)/n, name)
		}
		for _, g := range e.gauges {
			g.metric.Set(g.value(&u), name)
		}
		*old = s
	}
}
