package kafka_test

import (
	"errors"
	"fmt"
	"maps"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const quick = "    range: { count: 50, period: 50ms }\n    heartbeat_interval: 100ms"

// TestLostCommitAnswers cuts the connection under offset commits: the group is joined again, and nothing is lost or doubled.
func TestLostCommitAnswers(t *testing.T) {
	b := fakeBroker(t)
	topic := "lost-answers"
	w := newWarehouse(t, 1)
	b.createTopic(t, topic, 2, nil)
	want := b.produce(t, topic, 2, 0, 500)
	var cut atomic.Int64
	b.fake.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.fake.KeepControl()
		if n := cut.Add(1); n > 5 && n < 9 {
			return nil, errors.New("cut"), true
		}
		return nil, nil, false
	})
	startStream(t, settings{Broker: b.addr, Topic: topic, Group: topic, Warehouse: w.addr, Input: quick}.yaml())
	w.requireAll(t, want)
	b.requireCommitted(t, topic, topic)
	require.Greater(t, cut.Load(), int64(8))
	w.requireExactly(t, want)
	w.requireOneCut(t)
}

// TestFencedCommits answers commits as a coordinator does that has given the partitions away.
func TestFencedCommits(t *testing.T) {
	for _, code := range []*kerr.Error{kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.RebalanceInProgress, kerr.CoordinatorLoadInProgress} {
		t.Run(code.Message, func(t *testing.T) {
			b := fakeBroker(t)
			topic := "fenced"
			w := newWarehouse(t, 1)
			b.createTopic(t, topic, 2, nil)
			want := b.produce(t, topic, 2, 0, 500)
			var seen atomic.Int64
			b.fake.ControlKey(int16(kmsg.OffsetCommit), func(r kmsg.Request) (kmsg.Response, error, bool) {
				b.fake.KeepControl()
				if n := seen.Add(1); n < 4 || n > 6 {
					return nil, nil, false
				}
				req := r.(*kmsg.OffsetCommitRequest)
				resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
				for _, rt := range req.Topics {
					st := kmsg.NewOffsetCommitResponseTopic()
					st.Topic, st.TopicID = rt.Topic, rt.TopicID
					for _, rp := range rt.Partitions {
						sp := kmsg.NewOffsetCommitResponseTopicPartition()
						sp.Partition, sp.ErrorCode = rp.Partition, code.Code
						st.Partitions = append(st.Partitions, sp)
					}
					resp.Topics = append(resp.Topics, st)
				}
				return resp, nil, true
			})
			startStream(t, settings{Broker: b.addr, Topic: topic, Group: topic, Warehouse: w.addr, Input: quick}.yaml())
			w.requireAll(t, want)
			b.requireCommitted(t, topic, topic)
			w.requireExactly(t, want)
			w.requireOneCut(t)
		})
	}
}

// TestPoisonedRangeKeepsItsBoundaries refuses everything for a while: each attempt is one at the same ranges, though more records have come meanwhile.
func TestPoisonedRangeKeepsItsBoundaries(t *testing.T) {
	b := fakeBroker(t)
	topic := "poison"
	w := newWarehouse(t, 1)
	w.refuse = 1
	b.createTopic(t, topic, 1, nil)
	want := b.produce(t, topic, 1, 0, 70)
	startStream(t, settings{Broker: b.addr, Topic: topic, Group: topic, Warehouse: w.addr, Input: quick}.yaml())
	for i := range 5 {
		time.Sleep(100 * time.Millisecond)
		maps.Copy(want, b.produce(t, topic, 1, 1000+i*10, 10))
	}
	w.set(func() { w.refuse = 0 })
	w.requireAll(t, want)
	w.requireExactly(t, want)
	w.requireOneCut(t)
}

// TestMetadataLimit has intents of 900 bytes, of which only a few fit; and a limit configured beyond that of the broker.
func TestMetadataLimit(t *testing.T) {
	for kind, start := range brokers {
		t.Run(kind, func(t *testing.T) {
			b := start(t)
			for name, limit := range map[string]int{"as the broker's": 4096, "beyond the broker's": 60000} {
				t.Run(name, func(t *testing.T) {
					topic := fmt.Sprint("metadata-", limit)
					w := newWarehouse(t, 1)
					b.createTopic(t, topic, 1, nil)
					want := b.produce(t, topic, 1, 0, 1000)
					startStream(t, settings{
						Broker: b.addr, Topic: topic, Group: topic, Warehouse: w.addr,
						Input: quick + fmt.Sprintf("\n    ranges_in_flight: 8\n    max_metadata_bytes: %d", limit),
						// The layouts differ in length, so that they are not stored once.
						Sink: "    pad: 900\n    delay: 10ms",
					}.yaml())
					for i := range 20 {
						w.set(func() { w.shards = 1 + i%9 })
						time.Sleep(10 * time.Millisecond)
					}
					w.requireAll(t, want)
					b.requireCommitted(t, topic, topic)
					w.requireExactly(t, want)
				})
			}
		})
	}
}

// TestTopicCreatedAgain deletes the topic that is being read, and creates one of the same name with as many records.
func TestTopicCreatedAgain(t *testing.T) {
	for kind, start := range brokers {
		t.Run(kind, func(t *testing.T) {
			b := start(t)
			topic := "again"
			w := newWarehouse(t, 1)
			b.createTopic(t, topic, 1, nil)
			first := b.produce(t, topic, 1, 0, 100)
			stop := startStream(t, settings{Broker: b.addr, Topic: topic, Group: topic, Warehouse: w.addr, Input: quick}.yaml())
			w.requireAll(t, first)
			b.requireCommitted(t, topic, topic)
			stop()
			_, err := b.admin.DeleteTopics(t.Context(), topic)
			require.NoError(t, err)
			require.Eventually(t, func() bool {
				_, err := b.admin.CreateTopic(t.Context(), 1, 1, nil, topic)
				return err == nil
			}, 20*time.Second, 50*time.Millisecond)
			other := newBroker(t, b.addr) // its client has not seen the old topic
			second := other.produce(t, topic, 1, 1000, 100)
			startStream(t, settings{Broker: b.addr, Topic: topic, Group: topic, Warehouse: w.addr, Input: quick}.yaml())
			maps.Copy(second, first)
			w.requireAll(t, second)
			w.requireExactly(t, second)
		})
	}
}

// TestOffsetsSetByHand moves the group back: what it had read is read, and inserted, again. That is what was asked for.
func TestOffsetsSetByHand(t *testing.T) {
	for kind, start := range brokers {
		t.Run(kind, func(t *testing.T) {
			b := start(t)
			topic := "by-hand"
			w := newWarehouse(t, 1)
			b.createTopic(t, topic, 1, nil)
			want := b.produce(t, topic, 1, 0, 100)
			conf := settings{Broker: b.addr, Topic: topic, Group: topic, Warehouse: w.addr, Input: quick}.yaml()
			stop := startStream(t, conf)
			w.requireAll(t, want)
			b.requireCommitted(t, topic, topic)
			stop()
			var offsets kadm.Offsets
			offsets.Add(kadm.Offset{Topic: topic, Partition: 0, At: 60, LeaderEpoch: -1, Metadata: "moved by an operator"})
			require.NoError(t, b.admin.CommitAllOffsets(t.Context(), topic, offsets))
			startStream(t, conf)
			b.requireCommitted(t, topic, topic)
			lost, double, strange := w.compare(want)
			require.Zero(t, lost)
			require.Equal(t, 40, double)
			require.Zero(t, strange)
		})
	}
}

// TestExpiredRecords deletes records before they were read, some of them in a range that was prepared.
func TestExpiredRecords(t *testing.T) {
	for kind, start := range brokers {
		t.Run(kind, func(t *testing.T) {
			b := start(t)
			topic := "expired"
			w := newWarehouse(t, 1)
			b.createTopic(t, topic, 1, nil)
			b.produce(t, topic, 1, 0, 100)
			conf := func(sink string) string {
				return settings{
					Broker: b.addr, Topic: topic, Group: topic, Warehouse: w.addr, Sink: sink,
					Input: "    instance_id: one\n    session_timeout: 3s\n    heartbeat_interval: 300ms\n    range: { count: 40, period: 200ms }\n    ranges_in_flight: 1",
				}.yaml()
			}
			<-startChild(t, conf("    crash_at: prepared")).done
			var cut kadm.Offsets
			cut.Add(kadm.Offset{Topic: topic, Partition: 0, At: 50})
			_, err := b.admin.DeleteRecords(t.Context(), cut)
			require.NoError(t, err)
			want := b.produce(t, topic, 1, 1000, 20)
			for n := 50; n < 100; n++ {
				want[row(topic, 0, n, fmt.Appendf(nil, `{"p":0,"n":%d}`, n))] = true
			}
			startStream(t, conf(""))
			w.requireAll(t, want)
			b.requireCommitted(t, topic, topic)
			w.requireExactly(t, want)
		})
	}
}

// TestRecordsExpireWhileReading deletes what a slow pipeline was about to fetch.
func TestRecordsExpireWhileReading(t *testing.T) {
	for kind, start := range brokers {
		t.Run(kind, func(t *testing.T) {
			b := start(t)
			topic := "expire-reading"
			w := newWarehouse(t, 1)
			w.refuse = 1
			b.createTopic(t, topic, 1, nil)
			want := b.produce(t, topic, 1, 0, 100)
			startStream(t, settings{
				Broker: b.addr, Topic: topic, Group: topic, Warehouse: w.addr,
				Input: "    range: { count: 20, period: 50ms }\n    heartbeat_interval: 100ms\n    ranges_in_flight: 1",
			}.yaml())
			require.Eventually(t, func() bool { return w.tried() > 0 }, 20*time.Second, time.Millisecond)
			b.produce(t, topic, 1, 1000, 900)
			maps.Copy(want, b.produce(t, topic, 1, 2000, 100))
			var cut kadm.Offsets
			cut.Add(kadm.Offset{Topic: topic, Partition: 0, At: 1000})
			_, err := b.admin.DeleteRecords(t.Context(), cut)
			require.NoError(t, err)
			w.set(func() { w.refuse = 0 })
			b.requireCommitted(t, topic, topic)
			for r := range want {
				var offset int
				_, err := fmt.Sscanf(r[len(topic)+3:], "%d=", &offset)
				require.NoError(t, err)
				if offset < 100 {
					delete(want, r) // read before it expired, or not
				}
			}
			w.requireAll(t, want)
			_, double, _ := w.compare(want)
			require.Zero(t, double)
			w.requireOneCut(t)
		})
	}
}

// TestCommittedOffsetBeyondTheEnd leaves that partition alone, and reads the others.
func TestCommittedOffsetBeyondTheEnd(t *testing.T) {
	b := fakeBroker(t)
	topic := "beyond"
	w := newWarehouse(t, 1)
	b.createTopic(t, topic, 2, nil)
	want := b.produce(t, topic, 2, 0, 10)
	var offsets kadm.Offsets
	offsets.Add(kadm.Offset{Topic: topic, Partition: 1, At: 500, LeaderEpoch: -1})
	require.NoError(t, b.admin.CommitAllOffsets(t.Context(), topic, offsets))
	startStream(t, settings{Broker: b.addr, Topic: topic, Group: topic, Warehouse: w.addr, Input: quick}.yaml())
	for r := range want {
		if r[:len(topic)+3] == topic+"/1/" {
			delete(want, r)
		}
	}
	w.requireAll(t, want)
	time.Sleep(300 * time.Millisecond)
	w.requireExactly(t, want)
}

// TestTransactions reads committed records only, and passes over the rest.
func TestTransactions(t *testing.T) {
	for kind, start := range brokers {
		t.Run(kind, func(t *testing.T) {
			b := start(t)
			topic := "transactions"
			w := newWarehouse(t, 1)
			b.createTopic(t, topic, 1, nil)
			client, err := kgo.NewClient(kgo.SeedBrokers(b.addr), kgo.TransactionalID("tx"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
			require.NoError(t, err)
			defer client.Close()
			want := map[string]bool{}
			for i := range 6 {
				require.NoError(t, client.BeginTransaction())
				var records []*kgo.Record
				for n := range 20 {
					records = append(records, &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "%d-%d", i, n)})
				}
				require.NoError(t, client.ProduceSync(t.Context(), records...).FirstErr())
				require.NoError(t, client.EndTransaction(t.Context(), kgo.TransactionEndTry(i%2 == 0)))
				for _, r := range records {
					if i%2 == 0 {
						want[row(topic, 0, int(r.Offset), r.Value)] = true
					}
				}
			}
			startStream(t, settings{Broker: b.addr, Topic: topic, Group: topic, Warehouse: w.addr, Input: quick}.yaml())
			w.requireAll(t, want)
			w.requireExactly(t, want)
		})
	}
}

// TestStartOffsets starts groups without offsets at each kind of place.
func TestStartOffsets(t *testing.T) {
	b := fakeBroker(t)
	topic := "starts"
	b.createTopic(t, topic, 1, nil)
	early := b.produce(t, topic, 1, 0, 10)
	time.Sleep(1100 * time.Millisecond)
	at := time.Now().UTC().Format(time.RFC3339)
	late := b.produce(t, topic, 1, 100, 10)
	both := maps.Clone(early)
	maps.Copy(both, late)
	for start, want := range map[string]map[string]bool{"earliest": both, at: late, "latest": {}, "committed": {}} {
		t.Run(start, func(t *testing.T) {
			w := newWarehouse(t, 1)
			group := "start-" + start
			startStream(t, settings{Broker: b.addr, Topic: topic, Group: group, Warehouse: w.addr, Input: quick + "\n    start_offset: " + start}.yaml())
			w.requireAll(t, want)
			time.Sleep(300 * time.Millisecond)
			w.requireExactly(t, want)
		})
	}
}

// TestTopicPatterns reads topics by regular expression, one of which is created later.
func TestTopicPatterns(t *testing.T) {
	b := fakeBroker(t)
	w := newWarehouse(t, 1)
	b.createTopic(t, "logs-a", 1, nil)
	b.createTopic(t, "other", 1, nil)
	want := b.produce(t, "logs-a", 1, 0, 10)
	b.produce(t, "other", 1, 0, 10)
	startStream(t, settings{
		Broker: b.addr, Topic: "^logs-.*$", Group: "patterns", Warehouse: w.addr,
		Input: quick + "\n    regexp_topics: true\n    metadata_max_age: 300ms",
	}.yaml())
	w.requireAll(t, want)
	b.createTopic(t, "logs-b", 1, nil)
	maps.Copy(want, b.produce(t, "logs-b", 1, 0, 10))
	w.requireAll(t, want)
	w.requireExactly(t, want)
}
