package kafka

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/benthos-clickhouse/connect/delivery"
)

// testSession is a session without a client: what it would commit is answered by the test.
func testSession(change func(*config)) *session {
	cfg := &config{
		group: "g", count: 10, byteSize: 1 << 30, period: time.Second, recordsPerMessage: 1, inFlight: 2, maxBuffered: 1 << 40,
		maxMetadata: 4096, retryInitial: time.Millisecond, retryMax: time.Millisecond, sessionTimeout: time.Minute,
	}
	if change != nil {
		change(cfg)
	}
	res := service.MockResources()
	return newSession(cfg, res.Logger(), newMetrics(res.Metrics()))
}

func (s *session) testPartition(from int64) *partition {
	p := newPartition(s, "clicks", [16]byte{1}, 0)
	p.restore(from, intentLog{})
	s.parts[topicPart{"clicks", 0}] = p
	return p
}

func feed(p *partition, from, to int64) {
	var records []*kgo.Record
	for o := from; o < to; o++ {
		records = append(records, &kgo.Record{Topic: p.topic, Partition: p.num, Offset: o, Value: fmt.Appendf(nil, "v%d", o)})
	}
	p.add(records, time.Unix(100, 0))
}

func ranges(p *partition) (out []string) {
	for _, l := range p.leases {
		out = append(out, fmt.Sprintf("%d-%d", l.rng.From, l.rng.To))
	}
	return out
}

// commitNow does what the committer and a willing coordinator would.
func (s *session) commitNow(t *testing.T) map[topicPart]*proposal {
	t.Helper()
	proposals := s.propose()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range proposals {
		c.p.sent = false
		s.committedLocked(c)
	}
	return proposals
}

func (s *session) testPop(t *testing.T) attempt {
	t.Helper()
	a, ok := s.pop()
	require.True(t, ok, "no range is ready")
	return a
}

func TestRangesAreCutByCount(t *testing.T) {
	s := testSession(nil)
	p := s.testPartition(100)
	feed(p, 100, 125)
	require.Equal(t, []string{"100-110", "110-120"}, ranges(p))
	require.Equal(t, 5, p.open.n)
	require.Equal(t, int64(100), p.watermark())
}

func TestRangesAreCutByBytes(t *testing.T) {
	s := testSession(func(c *config) { c.byteSize = 3 * 2 })
	p := s.testPartition(0)
	feed(p, 0, 7)
	require.Equal(t, []string{"0-3", "3-6"}, ranges(p))
}

func TestRangesAreCutByPeriodWhenASlotIsFree(t *testing.T) {
	s := testSession(nil)
	p := s.testPartition(0)
	feed(p, 0, 3)
	p.cutDue(time.Unix(100, 0).Add(999 * time.Millisecond))
	require.Empty(t, p.leases)
	p.cutDue(time.Unix(101, 0))
	require.Equal(t, []string{"0-3"}, ranges(p))

	feed(p, 3, 13)
	feed(p, 13, 15)
	p.cutDue(time.Unix(999, 0))
	require.Equal(t, []string{"0-3", "3-13"}, ranges(p), "no slot is free, so the open range grows")
	p.cutNow()
	require.Equal(t, []string{"0-3", "3-13", "13-15"}, ranges(p), "memory is short")
}

func TestBoundariesCoverOffsetsWithoutRecords(t *testing.T) {
	s := testSession(func(c *config) { c.count = 2 })
	p := s.testPartition(0)
	for _, o := range []int64{5, 9, 10, 40} {
		feed(p, o, o+1)
	}
	require.Equal(t, []string{"0-10", "10-41"}, ranges(p))
}

func TestWatermarkFollowsTheLowestOpenRange(t *testing.T) {
	s := testSession(func(c *config) { c.inFlight = 3 })
	p := s.testPartition(0)
	feed(p, 0, 30)
	a, b, c := s.testPop(t), s.testPop(t), s.testPop(t)
	s.settle(b, nil)
	require.Equal(t, int64(0), p.watermark())
	s.settle(a, nil)
	require.Equal(t, int64(20), p.watermark())
	s.settle(c, nil)
	require.Equal(t, int64(30), p.watermark())
	require.Empty(t, p.leases)
	require.Zero(t, s.buffered)
}

func TestFailedRangeComesBackTheSame(t *testing.T) {
	s := testSession(nil)
	p := s.testPartition(0)
	feed(p, 0, 10)
	first := s.testPop(t)
	feed(p, 10, 15)
	s.settle(first, errors.New("no"))
	s.redeliver(first.lease)
	second := s.testPop(t)
	require.Equal(t, first.Range(), second.Range())
	require.Equal(t, 10, second.records.n)
	s.settle(first, nil)
	require.Equal(t, delivered, second.state, "a late answer to an earlier delivery changes nothing")
}

func TestRangesInFlightAreBounded(t *testing.T) {
	s := testSession(nil)
	p := s.testPartition(0)
	feed(p, 0, 40)
	a := s.testPop(t)
	s.testPop(t)
	_, ok := s.pop()
	require.False(t, ok)
	require.True(t, p.backlog())
	s.settle(a, nil)
	require.Equal(t, int64(20), s.testPop(t).Range().From)
}

func TestRecoveredRangesKeepBoundariesAndIntents(t *testing.T) {
	s := testSession(func(c *config) { c.inFlight = 9 })
	p := newPartition(s, "clicks", [16]byte{1}, 0)
	intent := loggedIntent{sink: "db.t", at: time.Unix(50, 0), digest: 77, layout: []byte("two shards")}
	p.restore(100, intentLog{watermark: 100, ranges: []loggedRange{
		{from: 105, to: 118, intents: []loggedIntent{intent}},
		{from: 118, to: 121, done: true},
		{from: 130, to: 133, intents: []loggedIntent{intent}},
	}})
	s.parts[topicPart{"clicks", 0}] = p
	require.Equal(t, int64(100), p.watermark())
	require.Len(t, p.log(100, nil).ranges, 3, "a commit before they are read again keeps them")

	feed(p, 100, 140)
	require.Equal(t, []string{"100-105", "105-118", "118-121", "121-130", "130-133"}, ranges(p))
	require.Equal(t, 7, p.open.n)
	var delivered []string
	for {
		a, ok := s.pop()
		if !ok {
			break
		}
		prepared, pinned := a.Pinned("db.t")
		delivered = append(delivered, fmt.Sprintf("%d-%d %d %v %v", a.rng.From, a.rng.To, a.records.n, pinned, prepared.Recovered))
		if pinned {
			require.Equal(t, uint64(77), prepared.Digest)
			require.Equal(t, "two shards", string(prepared.Layout))
			require.Equal(t, time.Unix(50, 0), prepared.At)
		}
		s.settle(a, nil)
	}
	require.ElementsMatch(t, []string{"100-105 5 false false", "105-118 13 true true", "121-130 9 false false", "130-133 3 true true"}, delivered)
	require.Equal(t, int64(133), p.watermark())
	require.Empty(t, p.leases)
}

func TestRecoveredRangeEndsAtItsBoundaryWithoutItsLastRecord(t *testing.T) {
	s := testSession(nil)
	p := newPartition(s, "clicks", [16]byte{1}, 0)
	p.restore(0, intentLog{ranges: []loggedRange{{from: 0, to: 5, intents: []loggedIntent{{sink: "db.t"}}}}})
	feed(p, 0, 3) // 3 and 4 are markers of a transaction, or were compacted away
	p.cutNow()
	require.Equal(t, planned, p.leases[0].state, "its boundary is fixed, so it waits for the record after it")
	feed(p, 7, 8)
	require.Equal(t, ready, p.leases[0].state)
	require.Equal(t, 3, p.leases[0].records.n)
	require.Equal(t, int64(5), p.from)
}

func mark(p *partition, offset int64) {
	r := &kgo.Record{Topic: p.topic, Partition: p.num, Offset: offset}
	r.Attrs = kgo.NewRecordAttrs(kgo.RecordAttrsOpts{Control: true})
	p.add([]*kgo.Record{r}, time.Unix(100, 0))
}

// Behind the marker of a transaction there may never be another record.
func TestMarkersOfTransactionsArePassed(t *testing.T) {
	s := testSession(nil)
	p := s.testPartition(0)
	feed(p, 0, 4)
	mark(p, 4)
	require.Equal(t, int64(0), p.watermark(), "records below are still open")
	p.cutNow()
	require.Equal(t, int64(0), p.watermark())
	s.settle(s.testPop(t), nil)
	require.Equal(t, int64(5), p.watermark())
	s.commitNow(t)
	mark(p, 9) // what stood below was aborted
	require.Equal(t, int64(10), p.watermark())
	require.Equal(t, int64(10), s.commitNow(t)[topicPart{"clicks", 0}].watermark)
	require.Empty(t, p.leases, "and no range was made of it")

	feed(p, 10, 12)
	mark(p, 12)
	s.drain(map[string][]int32{"clicks": {0}})
	p.compact()
	require.Equal(t, int64(10), p.watermark(), "records that were let go are the next owner's")
}

func TestRecoveredRangeEndsAtAMarker(t *testing.T) {
	s := testSession(nil)
	p := newPartition(s, "clicks", [16]byte{1}, 0)
	p.restore(0, intentLog{ranges: []loggedRange{{from: 0, to: 5, intents: []loggedIntent{{sink: "db.t"}}}}})
	s.parts[topicPart{"clicks", 0}] = p
	feed(p, 0, 3)
	mark(p, 5)
	require.Equal(t, ready, p.leases[0].state)
	require.Equal(t, 3, p.leases[0].records.n)
	s.settle(s.testPop(t), nil)
	require.Equal(t, int64(6), p.watermark())
}

func TestRecoveredRangeWithoutAnyRecord(t *testing.T) {
	s := testSession(nil)
	p := newPartition(s, "clicks", [16]byte{1}, 0)
	p.restore(0, intentLog{ranges: []loggedRange{{from: 0, to: 5, intents: []loggedIntent{{sink: "db.t"}}}}})
	feed(p, 9, 10)
	require.Equal(t, int64(5), p.watermark(), "nothing of it is left to insert")
}

func TestSkippingExpiredRecords(t *testing.T) {
	s := testSession(nil)
	p := newPartition(s, "clicks", [16]byte{1}, 0)
	in := []loggedIntent{{sink: "db.t"}}
	p.restore(0, intentLog{ranges: []loggedRange{{from: 10, to: 20, intents: in}, {from: 20, to: 30, intents: in}, {from: 40, to: 50, intents: in}}})
	p.skipTo(25)
	require.Equal(t, int64(20), p.from, "a range that expired in part keeps its boundaries")
	require.Equal(t, int64(20), p.watermark())
	feed(p, 25, 50)
	require.Equal(t, int64(20), s.testPop(t).Range().From)
}

func TestLeaseIsClaimedByOneWrite(t *testing.T) {
	s := testSession(nil)
	feed(s.testPartition(0), 0, 10)
	a := s.testPop(t)
	release, err := a.Claim("db.t")
	require.NoError(t, err)
	_, err = a.Claim("db.t")
	require.ErrorIs(t, err, delivery.ErrClaimed)
	other, err := a.Claim("db.u")
	require.NoError(t, err, "another sink may have the range too")
	other(nil)
	release(errors.New("not yet"))
	release, err = a.Claim("db.t")
	require.NoError(t, err, "a failed write may be repeated")
	release(nil)
	_, err = a.Claim("db.t")
	require.ErrorIs(t, err, delivery.ErrAlreadyWritten)

	s.settle(a, errors.New("the other sink failed"))
	_, err = a.Claim("db.t")
	require.ErrorIs(t, err, delivery.ErrClaimed, "the delivery is over")
	s.redeliver(a.lease)
	again := s.testPop(t)
	release, err = again.Claim("db.t")
	require.NoError(t, err, "the range is delivered to both sinks again")
	release(nil)
}

// What may have landed is known to later deliveries for as long as the partition is owned, and to the next owner by the intent's age.
func TestWhatMayHaveLandedIsKept(t *testing.T) {
	s := testSession(nil)
	p := s.testPartition(0)
	feed(p, 0, 10)
	a := s.testPop(t)
	a.MayHaveLanded("db.t", time.Unix(1, 0)) // nothing is prepared, so nothing was sent
	go func() {
		<-s.commit
		s.commitNow(t)
	}()
	prepared, err := a.Prepare(t.Context(), "db.t", delivery.Intent{})
	require.NoError(t, err)
	require.Zero(t, prepared.Landed)
	for _, at := range []int64{80, 70, 90} {
		a.MayHaveLanded("db.t", time.Unix(at, 0))
	}
	s.settle(a, errors.New("another output failed"))
	s.redeliver(a.lease)
	prepared, pinned := s.testPop(t).Pinned("db.t")
	require.True(t, pinned)
	require.Equal(t, time.Unix(70, 0), prepared.Landed)

	next := newPartition(s, "clicks", [16]byte{1}, 0)
	next.restore(0, p.log(0, nil))
	prepared = next.leases[0].intents["db.t"].Prepared
	require.Equal(t, prepared.At, prepared.Landed)
}

func TestClaimOutlivesItsDelivery(t *testing.T) {
	s := testSession(nil)
	feed(s.testPartition(0), 0, 10)
	a := s.testPop(t)
	release, err := a.Claim("db.t")
	require.NoError(t, err)
	s.settle(a, errors.New("timed out"))
	s.redeliver(a.lease)
	again := s.testPop(t)
	_, err = again.Claim("db.t")
	require.ErrorIs(t, err, delivery.ErrClaimed, "the first write still runs")
	release(errors.New("done at last"))
	_, err = again.Claim("db.t")
	require.NoError(t, err)
}

func TestLostPartitionEndsItsLeases(t *testing.T) {
	s := testSession(nil)
	p := s.testPartition(0)
	feed(p, 0, 25)
	a := s.testPop(t)
	require.NoError(t, a.Alive())
	s.release(map[topicPart]*partition{{"clicks", 0}: p}, errRevoked)
	require.ErrorIs(t, a.Alive(), delivery.ErrLost)
	_, err := a.Claim("db.t")
	require.ErrorIs(t, err, delivery.ErrLost)
	_, err = a.Prepare(t.Context(), "db.t", delivery.Intent{})
	require.ErrorIs(t, err, delivery.ErrLost)
	_, ok := s.pop()
	require.False(t, ok)
	s.settle(a, nil)
	require.Zero(t, s.buffered)
}

// beating is a session whose clock the test sets.
func beating() (s *session, now *time.Duration, beat func(key int16)) {
	s = testSession(nil)
	start := time.Hour
	now = &start
	s.pulse.now = func() time.Duration { return *now }
	s.pulse.answered.Store(int64(*now))
	s.pulse.last.Store(int64(*now))
	return s, now, func(key int16) {
		s.pulse.OnBrokerWrite(kgo.BrokerMetadata{}, key, 10, 0, 0, nil)
		s.pulse.OnBrokerRead(kgo.BrokerMetadata{}, key, 10, 0, 0, nil)
	}
}

func TestLeaseDiesWithoutHeartbeats(t *testing.T) {
	s, now, beat := beating()
	feed(s.testPartition(0), 0, 10)
	a := s.testPop(t)
	s.pulse.OnBrokerWrite(kgo.BrokerMetadata{}, keyHeartbeat, 10, 0, 0, nil)
	*now += time.Minute
	s.pulse.OnBrokerRead(kgo.BrokerMetadata{}, keyHeartbeat, 10, 0, 0, nil)
	require.NoError(t, a.Alive())
	*now += time.Second
	require.ErrorIs(t, a.Alive(), delivery.ErrLost, "it counts from when the heartbeat was sent")
	s.pulse.OnBrokerWrite(kgo.BrokerMetadata{}, keyHeartbeat, 10, 0, 0, nil)
	require.ErrorIs(t, a.Alive(), delivery.ErrLost, "it was not answered yet")
	beat(keyHeartbeat)
	require.ErrorIs(t, a.Alive(), ErrHeartbeatsMissed, "the answer may be that we are expelled")
	beat(keyHeartbeat)
	require.ErrorIs(t, a.Alive(), ErrHeartbeatsMissed, "another consumer may have had the partition meanwhile")
}

func TestJoiningMayTakeLongerThanTheSessionTimeout(t *testing.T) {
	s, now, beat := beating()
	feed(s.testPartition(0), 0, 10)
	a := s.testPop(t)
	*now += 2 * time.Minute
	beat(keySyncGroup)
	require.ErrorIs(t, a.Alive(), delivery.ErrLost, "the group may have refused us")
	*now += time.Second
	beat(keyHeartbeat)
	require.NoError(t, a.Alive(), "kgo sends no heartbeat unless it was let in")

	*now += 2 * time.Minute
	beat(keySyncGroup)
	require.ErrorIs(t, a.Alive(), delivery.ErrLost)
	s.pulse.letIn()
	require.NoError(t, a.Alive(), "kgo assigns nothing unless it was let in")
}

func TestAcknowledgementOfAGivenUpWriteIsNoneOfTheRange(t *testing.T) {
	s := testSession(nil)
	p := s.testPartition(0)
	feed(p, 0, 10)
	a := s.testPop(t)
	release, err := a.Claim("db.t")
	require.NoError(t, err)
	release(fmt.Errorf("inserting: %w", delivery.ErrLost))
	s.settle(a, nil)
	require.Equal(t, int64(0), p.watermark(), "nothing was written")
	require.Eventually(t, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.queue) == 1 }, time.Second, time.Millisecond)

	again := s.testPop(t)
	release, err = again.Claim("db.t")
	require.NoError(t, err)
	release(nil)
	s.settle(again, nil)
	require.Equal(t, int64(10), p.watermark())
}

func TestAmbiguousCommitEndsTheSession(t *testing.T) {
	s := testSession(nil)
	feed(s.testPartition(0), 0, 10)
	a := s.testPop(t)
	s.pulse.OnBrokerE2E(kgo.BrokerMetadata{}, keyOffsetCommit, kgo.BrokerE2E{WriteErr: errors.New("refused")})
	require.NoError(t, a.Alive(), "nothing was written")
	s.pulse.OnBrokerE2E(kgo.BrokerMetadata{}, keyOffsetCommit, kgo.BrokerE2E{BytesWritten: 100, ReadErr: errors.New("reset")})
	require.ErrorIs(t, a.Alive(), delivery.ErrLost)
	require.ErrorIs(t, a.Alive(), ErrCommitAmbiguous)
	_, err := s.next(t.Context())
	require.ErrorIs(t, err, service.ErrNotConnected)
}

func TestAnswerWithAnErrorLeavesTheLag(t *testing.T) {
	s := testSession(nil)
	p := s.testPartition(0)
	answer := func(f kgo.FetchPartition) {
		s.take(kgo.Fetches{{Topics: []kgo.FetchTopic{{Topic: "clicks", Partitions: []kgo.FetchPartition{f}}}}}, time.Unix(100, 0))
	}
	answer(kgo.FetchPartition{HighWatermark: 70})
	answer(kgo.FetchPartition{HighWatermark: -1, Err: kerr.NotLeaderForPartition})
	require.Equal(t, int64(70), p.highWater)
}

func TestTopicIDsThatBrokersBeginToTell(t *testing.T) {
	none, one, other := [16]byte{}, [16]byte{1}, [16]byte{2}
	prepared := []loggedRange{{from: 100, to: 110, intents: []loggedIntent{{sink: "db.t", at: time.Unix(50, 0)}}}}
	for name, c := range map[string]struct {
		then, now [16]byte
		ranges    []loggedRange
		from      int64
		named     [16]byte
	}{
		"the same":                      {one, one, prepared, 100, one},
		"created again":                 {one, other, prepared, 0, other},
		"told now":                      {none, one, nil, 100, one},
		"told now, names from before":   {none, one, prepared, 100, none},
		"not told now":                  {one, none, prepared, 100, one},
		"not told now, nothing is left": {one, none, nil, 100, one},
	} {
		t.Run(name, func(t *testing.T) {
			s := testSession(nil)
			tp := topicPart{"clicks", 0}
			s.offset = map[topicPart]fetched{tp: {100, intentLog{topicID: c.then, watermark: 100, ranges: c.ranges}.encode()}}
			p, err := s.adopt(tp, bounds{ids: map[string][16]byte{"clicks": c.now}, start: map[topicPart]int64{tp: 0}, end: map[topicPart]int64{tp: 500}})
			require.NoError(t, err)
			require.Equal(t, c.from, p.from)
			require.Equal(t, c.named, p.id)
			for _, l := range p.leases {
				require.Equal(t, c.named, l.rng.TopicID)
			}
		})
	}
}

// What stood above the end of a truncated log has been read, and may have been inserted: other records will stand there.
func TestATruncatedLogIsNotReadOn(t *testing.T) {
	prepared := []loggedRange{{from: 100, to: 110, done: true}, {from: 110, to: 120, intents: []loggedIntent{{sink: "db.t", at: time.Unix(50, 0)}}}}
	for name, c := range map[string]struct {
		ranges []loggedRange
		end    int64
		refuse bool
	}{
		"nothing above":               {nil, 100, false},
		"below what was committed":    {nil, 99, true},
		"behind what was prepared":    {prepared, 120, false},
		"within what was prepared":    {prepared, 119, true},
		"before all that was written": {prepared, 100, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := testSession(nil)
			tp := topicPart{"clicks", 0}
			s.offset = map[topicPart]fetched{tp: {100, intentLog{topicID: [16]byte{1}, watermark: 100, ranges: c.ranges}.encode()}}
			_, err := s.adopt(tp, bounds{ids: map[string][16]byte{"clicks": {1}}, start: map[topicPart]int64{tp: 0}, end: map[topicPart]int64{tp: c.end}})
			if !c.refuse {
				require.NoError(t, err)
				return
			}
			var truncated *TruncatedError
			require.ErrorAs(t, err, &truncated)
			require.ErrorContains(t, err, "set by hand")
		})
	}
}

func TestRangesThatAreDoneTakeNoMoreMemoryAboveOneThatFails(t *testing.T) {
	s := testSession(nil)
	p := s.testPartition(0)
	feed(p, 0, 10)
	s.testPop(t) // never acknowledged
	for from := int64(10); from < 1000; from += 10 {
		feed(p, from, from+10)
		s.settle(s.testPop(t), nil)
	}
	require.Equal(t, []string{"0-10", "10-1000"}, ranges(p))
	require.Equal(t, int64(0), p.watermark())
	require.Equal(t, []loggedRange{{from: 10, to: 1000, done: true}}, p.log(0, nil).ranges)
}
