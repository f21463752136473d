package kafka_test

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestLostCommitAnswers cuts the connection under offset commits: the group is joined again, and nothing is lost or doubled.
func TestLostCommitAnswers(t *testing.T) {
	s := beside(t, brokers["kfake"]).scene(t, "lost-answers", 2, 1)
	s.produce(t, 0, 500)
	var cut atomic.Int64
	s.fake.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
		s.fake.KeepControl()
		if n := cut.Add(1); n > 5 && n < 9 {
			return nil, errors.New("cut"), true
		}
		return nil, nil, false
	})
	s.start(t, quick, "")
	s.requireOnce(t)
	require.Greater(t, cut.Load(), int64(8))
	s.requireOneCut(t)
}

// TestFencedCommits answers commits as a coordinator does that has given the partitions away.
func TestFencedCommits(t *testing.T) {
	t.Parallel()
	for _, code := range []*kerr.Error{kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.RebalanceInProgress, kerr.CoordinatorLoadInProgress} {
		t.Run(code.Message, func(t *testing.T) {
			s := beside(t, brokers["kfake"]).scene(t, "fenced", 2, 1)
			s.produce(t, 0, 500)
			var seen atomic.Int64
			s.fake.ControlKey(int16(kmsg.OffsetCommit), func(r kmsg.Request) (kmsg.Response, error, bool) {
				s.fake.KeepControl()
				if n := seen.Add(1); n < 4 || n > 6 {
					return nil, nil, false
				}
				return refusal(r.(*kmsg.OffsetCommitRequest), code), nil, true
			})
			s.start(t, quick, "")
			s.requireOnce(t)
			s.requireOneCut(t)
		})
	}
}

// refusal answers a commit with a code for every partition.
func refusal(req *kmsg.OffsetCommitRequest, code *kerr.Error) kmsg.Response {
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
	return resp
}

// TestPoisonedRangeKeepsItsBoundaries refuses everything for a while: each attempt is one at the same ranges, though more records have come meanwhile.
func TestPoisonedRangeKeepsItsBoundaries(t *testing.T) {
	s := beside(t, brokers["kfake"]).scene(t, "poison", 1, 1)
	s.refuse = 1
	s.produce(t, 0, 70)
	s.start(t, quick, "")
	for i := range 5 {
		time.Sleep(100 * time.Millisecond)
		s.produce(t, 1000+i*10, 10)
	}
	s.set(func() { s.refuse = 0 })
	s.requireAll(t, s.want)
	s.requireExactly(t, s.want)
	s.requireOneCut(t)
}

// TestMetadataLimit has intents of 900 bytes, of which only a few fit; and a limit configured beyond that of the broker.
func TestMetadataLimit(t *testing.T) {
	t.Parallel()
	for kind, start := range brokers {
		t.Run(kind, func(t *testing.T) {
			b := beside(t, start)
			for name, limit := range map[string]int{"as the broker's": 4096, "beyond the broker's": 60000} {
				t.Run(name, func(t *testing.T) {
					s := b.scene(t, fmt.Sprint("metadata-", limit), 1, 1)
					s.produce(t, 0, 1000)
					// The layouts differ in length, so that they are not stored once.
					s.start(t, quick+fmt.Sprintf("\n    ranges_in_flight: 8\n    max_metadata_bytes: %d", limit), "    pad: 900\n    delay: 10ms")
					for i := range 20 {
						s.set(func() { s.shards = 1 + i%9 })
						time.Sleep(10 * time.Millisecond)
					}
					s.requireOnce(t)
				})
			}
		})
	}
}

// TestTopicCreatedAgain deletes the topic that is being read, and creates one of the same name with as many records.
func TestTopicCreatedAgain(t *testing.T) {
	t.Parallel()
	for kind, start := range brokers {
		t.Run(kind, func(t *testing.T) {
			s := beside(t, start).scene(t, "again", 1, 1)
			s.produce(t, 0, 100)
			s.readAll(t, quick)
			s.recreate(t)
			s.produce(t, 1000, 100)
			s.start(t, quick, "")
			s.requireAll(t, s.want)
			s.requireExactly(t, s.want)
		})
	}
}

// TestOffsetsSetByHand moves the group back: what it had read is read, and inserted, again. That is what was asked for.
func TestOffsetsSetByHand(t *testing.T) {
	t.Parallel()
	for kind, start := range brokers {
		t.Run(kind, func(t *testing.T) {
			s := beside(t, start).scene(t, "by-hand", 1, 1)
			s.produce(t, 0, 100)
			s.readAll(t, quick)
			s.commitByHand(t, kadm.Offset{Topic: s.topic, Partition: 0, At: 60, LeaderEpoch: -1, Metadata: "moved by an operator"})
			s.start(t, quick, "")
			s.requireCommitted(t, s.topic, s.topic)
			lost, double, strange := s.compare(s.want)
			require.Zero(t, lost)
			require.Equal(t, 40, double)
			require.Zero(t, strange)
		})
	}
}

func (s *scene) commitByHand(t *testing.T, at kadm.Offset) {
	t.Helper()
	var offsets kadm.Offsets
	offsets.Add(at)
	require.NoError(t, s.admin.CommitAllOffsets(t.Context(), s.topic, offsets))
}

// expire deletes the records of partition 0 below an offset.
func (s *scene) expire(t *testing.T, below int64) {
	t.Helper()
	var cut kadm.Offsets
	cut.Add(kadm.Offset{Topic: s.topic, Partition: 0, At: below})
	_, err := s.admin.DeleteRecords(t.Context(), cut)
	require.NoError(t, err)
}

// forget takes the rows of some records of partition 0 out of what is wanted.
func (s *scene) forget(t *testing.T, some func(offset int) bool) {
	t.Helper()
	for r := range s.want {
		var offset int
		_, err := fmt.Sscanf(r[len(s.topic)+3:], "%d=", &offset)
		require.NoError(t, err)
		if some(offset) {
			delete(s.want, r)
		}
	}
}

// TestExpiredRecords deletes records before they were read, some of them in a range that was prepared.
func TestExpiredRecords(t *testing.T) {
	t.Parallel()
	for kind, start := range brokers {
		t.Run(kind, func(t *testing.T) {
			s := beside(t, start).scene(t, "expired", 1, 1)
			s.produce(t, 0, 100)
			const input = static + "    range: { count: 40, period: 200ms }\n    ranges_in_flight: 1"
			<-startChild(t, s.pipeline(input, "    crash_at: prepared")).done
			s.expire(t, 50)
			s.forget(t, func(offset int) bool { return offset < 50 })
			s.produce(t, 1000, 20)
			s.start(t, input, "")
			s.requireOnce(t)
		})
	}
}

// TestRecordsExpireWhileReading deletes what a slow pipeline was about to fetch.
func TestRecordsExpireWhileReading(t *testing.T) {
	t.Parallel()
	for kind, start := range brokers {
		t.Run(kind, func(t *testing.T) {
			s := beside(t, start).scene(t, "expire-reading", 1, 1)
			s.refuse = 1
			s.produce(t, 0, 100)
			s.start(t, "    range: { count: 20, period: 50ms }\n    heartbeat_interval: 100ms\n    ranges_in_flight: 1", "")
			require.Eventually(t, func() bool { return s.tried() > 0 }, patience, time.Millisecond)
			s.broker.produce(t, s.topic, 1, 1000, 900)
			s.produce(t, 2000, 100)
			s.expire(t, 1000)
			s.set(func() { s.refuse = 0 })
			s.requireCommitted(t, s.topic, s.topic)
			s.forget(t, func(offset int) bool { return offset < 100 }) // read before they expired, or not
			s.requireAll(t, s.want)
			_, double, _ := s.compare(s.want)
			require.Zero(t, double)
			s.requireOneCut(t)
		})
	}
}

// TestMissingTopic is said to be waited for, once, and is read when it is there.
func TestMissingTopic(t *testing.T) {
	s := &scene{broker: beside(t, brokers["kfake"]), warehouse: newWarehouse(t, 1), topic: "missing", partitions: 1, want: map[string]bool{}}
	lines := &lines{}
	runLogged(t, s.pipeline(quick+"\n    metadata_max_age: 300ms", ""), lines)
	waiting := func() int {
		return strings.Count(strings.Join(lines.of(slog.LevelWarn), "\n"), `"missing" does not exist`)
	}
	require.Eventually(t, func() bool { return waiting() > 0 }, patience, 10*time.Millisecond)
	s.createTopic(t, s.topic, 1, nil)
	s.produce(t, 0, 10)
	s.requireOnce(t)
	require.Equal(t, 1, waiting())
}

// TestGroupThatRefusesThisMember tells what to do.
func TestGroupThatRefusesThisMember(t *testing.T) {
	b := beside(t, func(t *testing.T) *broker {
		t.Helper()
		return fakeBroker(t, kfake.GroupMinSessionTimeout(time.Second))
	})
	b.createTopic(t, "refusing", 1, nil)
	lines := &lines{}
	runLogged(t, settings{
		Broker: b.addr, Topic: "refusing", Group: "refusing", Warehouse: "127.0.0.1:1",
		Input: "    session_timeout: 900ms",
	}.yaml(), lines)
	require.Eventually(t, func() bool {
		return strings.Contains(strings.Join(lines.of(slog.LevelError), "\n"), "set session_timeout between the brokers' group.min.session.timeout.ms")
	}, patience, 10*time.Millisecond)
}

// TestCommittedOffsetBeyondTheEnd leaves that partition alone, and reads the others.
func TestCommittedOffsetBeyondTheEnd(t *testing.T) {
	s := beside(t, brokers["kfake"]).scene(t, "beyond", 2, 1)
	s.produce(t, 0, 10)
	s.commitByHand(t, kadm.Offset{Topic: s.topic, Partition: 1, At: 500, LeaderEpoch: -1})
	s.start(t, quick, "")
	maps.DeleteFunc(s.want, func(r string, _ bool) bool { return strings.HasPrefix(r, s.topic+"/1/") })
	s.requireAll(t, s.want)
	time.Sleep(300 * time.Millisecond)
	s.requireExactly(t, s.want)
}

// TestPartitionWithoutALeader does not let one partition hold up the others, or itself once it is led again: its committed offset is taken at its word.
func TestPartitionWithoutALeader(t *testing.T) {
	s := beside(t, brokers["kfake"]).scene(t, "leaderless", 2, 1)
	s.produce(t, 0, 100)
	s.readAll(t, quick)
	s.fake.ControlKey(int16(kmsg.ListOffsets), func(r kmsg.Request) (kmsg.Response, error, bool) {
		s.fake.KeepControl()
		return offsetsWithout(r.(*kmsg.ListOffsetsRequest), 1), nil, true
	})
	s.produce(t, 100, 100)
	s.start(t, quick+"\n    request_timeout_overhead: 1s", "")
	s.requireAll(t, s.want)
	s.requireExactly(t, s.want)
}

// offsetsWithout answers with where the log starts and ends (or may), except for the partition.
func offsetsWithout(req *kmsg.ListOffsetsRequest, leaderless int32) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
	for _, rt := range req.Topics {
		st := kmsg.NewListOffsetsResponseTopic()
		st.Topic = rt.Topic
		for _, rp := range rt.Partitions {
			sp := kmsg.NewListOffsetsResponseTopicPartition()
			sp.Partition = rp.Partition
			switch {
			case rp.Partition == leaderless:
				sp.ErrorCode = kerr.LeaderNotAvailable.Code
			case rp.Timestamp == -1:
				sp.Offset = 1000
			default:
				sp.Offset = 0
			}
			st.Partitions = append(st.Partitions, sp)
		}
		resp.Topics = append(resp.Topics, st)
	}
	return resp
}

// TestTransactions reads committed records only, and passes over the rest.
func TestTransactions(t *testing.T) {
	t.Parallel()
	for kind, start := range brokers {
		t.Run(kind, func(t *testing.T) {
			s := beside(t, start).scene(t, "transactions", 1, 1)
			client, err := kgo.NewClient(kgo.SeedBrokers(s.broker.addr), kgo.TransactionalID("tx"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
			require.NoError(t, err)
			defer client.Close()
			for i := range 6 {
				require.NoError(t, client.BeginTransaction())
				var records []*kgo.Record
				for n := range 20 {
					records = append(records, &kgo.Record{Topic: s.topic, Value: fmt.Appendf(nil, "%d-%d", i, n)})
				}
				require.NoError(t, client.ProduceSync(t.Context(), records...).FirstErr())
				require.NoError(t, client.EndTransaction(t.Context(), kgo.TransactionEndTry(i%2 == 0)))
				for _, r := range records {
					if i%2 == 0 {
						s.want[row(s.topic, 0, int(r.Offset), r.Value)] = true
					}
				}
			}
			s.start(t, quick, "")
			s.requireOnce(t) // and the marker at the end is passed, so that nothing seems to be left
		})
	}
}

// TestPartitionsAdded reads what a topic gets while it is read, from its first record.
func TestPartitionsAdded(t *testing.T) {
	t.Parallel()
	for kind, start := range brokers {
		t.Run(kind, func(t *testing.T) {
			s := beside(t, start).scene(t, "partitions-added", 1, 1)
			s.produce(t, 0, 100)
			s.start(t, quick+"\n    metadata_max_age: 300ms", "")
			s.requireRead(t)
			_, err := s.admin.UpdatePartitions(t.Context(), 3, s.topic)
			require.NoError(t, err)
			require.Eventually(t, func() bool {
				topics, err := s.admin.ListTopics(t.Context(), s.topic)
				return err == nil && len(topics[s.topic].Partitions) == 3
			}, 20*time.Second, 10*time.Millisecond)
			s.partitions = 3
			producer := *s
			producer.broker = newBroker(t, s.broker.addr) // which knows of them
			producer.produce(t, 100, 100)
			s.requireOnce(t)
		})
	}
}

// TestStartOffsets starts groups without offsets at each kind of place.
func TestStartOffsets(t *testing.T) {
	b := beside(t, brokers["kfake"])
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
	b := beside(t, brokers["kfake"])
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
