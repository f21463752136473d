package kafka

import (
	"strconv"

	"github.com/redpanda-data/benthos/v4/public/service"
)

// metrics are what the engine cannot count for itself. Gauges of a partition go to zero when it is handed on.
type metrics struct {
	lag            *service.MetricGauge
	prepared       *service.MetricGauge
	inFlight       *service.MetricGauge
	buffered       *service.MetricGauge
	recovered      *service.MetricCounter
	redelivered    *service.MetricCounter
	commitFailures *service.MetricCounter
	metadataFull   *service.MetricCounter
	expired        *service.MetricCounter
	refused        *service.MetricCounter
}

func newMetrics(m *service.Metrics) *metrics {
	const prefix = "kafka_exactly_once_"
	return &metrics{
		lag:            m.NewGauge(prefix+"lag", "topic", "partition"),
		prepared:       m.NewGauge(prefix+"ranges_prepared", "topic", "partition"),
		inFlight:       m.NewGauge(prefix+"ranges_in_flight", "topic", "partition"),
		buffered:       m.NewGauge(prefix + "buffered_bytes"),
		recovered:      m.NewCounter(prefix + "ranges_recovered_total"),
		redelivered:    m.NewCounter(prefix + "ranges_redelivered_total"),
		commitFailures: m.NewCounter(prefix + "commit_failures_total"),
		metadataFull:   m.NewCounter(prefix + "metadata_full_total"),
		expired:        m.NewCounter(prefix + "records_expired_total"),
		refused:        m.NewCounter(prefix + "partitions_refused_total"),
	}
}

func (m *metrics) forget(tp topicPart) {
	label := partLabel(tp.num)
	m.lag.Set(0, tp.topic, label)
	m.prepared.Set(0, tp.topic, label)
	m.inFlight.Set(0, tp.topic, label)
}

func partLabel(num int32) string { return strconv.Itoa(int(num)) }

// gauge publishes where the partition stands.
func (p *partition) gauge() {
	m, label, prepared := p.s.metrics, partLabel(p.num), int64(0)
	for _, l := range p.leases {
		if l.state != done && len(l.intents) > 0 {
			prepared++
		}
	}
	m.lag.Set(max(p.highWater-p.watermark(), 0), p.topic, label)
	m.prepared.Set(prepared, p.topic, label)
	m.inFlight.Set(int64(p.inFlight), p.topic, label)
}
