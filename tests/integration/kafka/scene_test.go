package kafka_test

import (
	"maps"
	"testing"
)

// quick reads in small ranges, and notices soon what becomes of its group.
const quick = "    range: { count: 50, period: 50ms }\n    heartbeat_interval: 100ms"

// static is a member that is replaced at once by the next one of its name, where a dead dynamic one has to time out first.
const static = "    instance_id: one\n    session_timeout: 3s\n    heartbeat_interval: 300ms\n"

// beside lets the test run beside the others, against a broker: each has topics, groups and a warehouse of its own.
func beside(t *testing.T, start func(*testing.T) *broker) *broker {
	t.Helper()
	t.Parallel()
	return start(t)
}

// scene is a topic that is read into a warehouse, by the group that is called as the topic.
type scene struct {
	*broker
	*warehouse
	topic      string
	partitions int32
	want       map[string]bool // a row for each record that was produced
}

func (b *broker) scene(t *testing.T, topic string, partitions int32, seed uint64) *scene {
	t.Helper()
	b.createTopic(t, topic, partitions, nil)
	return &scene{broker: b, warehouse: newWarehouse(t, seed), topic: topic, partitions: partitions, want: map[string]bool{}}
}

// produce writes n records to each partition.
func (s *scene) produce(t *testing.T, from, n int) {
	t.Helper()
	maps.Copy(s.want, s.broker.produce(t, s.topic, s.partitions, from, n))
}

// pipeline reads the topic, with further fields of input and sink.
func (s *scene) pipeline(input, sink string) string {
	return settings{Broker: s.broker.addr, Topic: s.topic, Group: s.topic, Warehouse: s.warehouse.addr, Input: input, Sink: sink}.yaml()
}

// start runs the pipeline in this process until the test ends or stop is called.
func (s *scene) start(t *testing.T, input, sink string) (stop func()) {
	t.Helper()
	return startStream(t, s.pipeline(input, sink))
}

// requireRead waits until every record is a row and the group has committed all of them.
func (s *scene) requireRead(t *testing.T) {
	t.Helper()
	s.requireAll(t, s.want)
	s.requireCommitted(t, s.topic, s.topic)
}

// readAll runs the pipeline until every record is a row and committed.
func (s *scene) readAll(t *testing.T, input string) {
	t.Helper()
	stop := s.start(t, input, "")
	s.requireRead(t)
	stop()
}

// requireOnce waits as requireRead does, and asserts that no row is there twice.
func (s *scene) requireOnce(t *testing.T) {
	t.Helper()
	s.requireRead(t)
	s.requireExactly(t, s.want)
}
