package kafka

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/benthos-clickhouse/connect/delivery"
)

// preparing starts a Prepare and returns once the committer has it.
func preparing(t *testing.T, a attempt, sink string, intent delivery.Intent) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := a.Prepare(t.Context(), sink, intent)
		done <- err
	}()
	require.Eventually(t, func() bool {
		s := a.p.s
		s.mu.Lock()
		defer s.mu.Unlock()
		return a.intents[sink] != nil
	}, 10*time.Second, time.Millisecond)
	return done
}

func requireLog(t *testing.T, p *partition, c *proposal) intentLog {
	t.Helper()
	l, err := decodeIntents(c.metadata, c.watermark)
	require.NoError(t, err)
	require.Equal(t, p.id, l.topicID)
	return l
}

func TestPrepareReturnsOnceTheIntentIsCommitted(t *testing.T) {
	s := testSession(nil)
	p := s.testPartition(0)
	feed(p, 0, 20)
	first, second := s.testPop(t), s.testPop(t)
	done := preparing(t, second, "db.t", delivery.Intent{Layout: []byte("L"), Digest: 5})
	select {
	case <-done:
		t.Fatal("nothing is committed yet")
	default:
	}
	l := requireLog(t, p, s.commitNow(t)[topicPart{"clicks", 0}])
	require.NoError(t, <-done)
	require.Equal(t, int64(0), l.watermark)
	require.Len(t, l.ranges, 1)
	require.Equal(t, int64(10), l.ranges[0].from)

	prepared, ok := second.Pinned("db.t")
	require.True(t, ok)
	require.False(t, prepared.Recovered)
	again, err := second.Prepare(t.Context(), "db.t", delivery.Intent{Layout: []byte("M")})
	require.NoError(t, err)
	require.Equal(t, "L", string(again.Layout), "the first layout is the one it keeps")

	s.settle(second, nil)
	l = requireLog(t, p, s.commitNow(t)[topicPart{"clicks", 0}])
	require.Equal(t, []loggedRange{{from: 10, to: 20, done: true}}, l.ranges, "done, but not below the watermark")
	s.settle(first, nil)
	l = requireLog(t, p, s.commitNow(t)[topicPart{"clicks", 0}])
	require.Equal(t, int64(20), l.watermark)
	require.Empty(t, l.ranges)
}

func TestPreparingWaitsWhileTheMetadataIsFull(t *testing.T) {
	s := testSession(func(c *config) { c.inFlight, c.maxMetadata = 8, 600 })
	p := s.testPartition(0)
	feed(p, 0, 40)
	wide := func(c string) delivery.Intent { return delivery.Intent{Layout: []byte(strings.Repeat(c, 150))} }
	lowest := s.testPop(t)
	a, b := s.testPop(t), s.testPop(t)
	da := preparing(t, a, "db.t", wide("a"))
	s.commitNow(t)
	require.NoError(t, <-da)
	db := preparing(t, b, "db.t", wide("b"))
	require.True(t, s.commitNow(t)[topicPart{"clicks", 0}].full)
	select {
	case err := <-db:
		t.Fatalf("there is no room: %v", err)
	default:
	}
	dl := preparing(t, lowest, "db.t", wide("l"))
	require.True(t, s.commitNow(t)[topicPart{"clicks", 0}].full)
	require.NoError(t, <-dl, "the lowest open range has a quarter to itself")
	s.settle(a, nil)
	s.settle(lowest, nil)
	proposal := s.commitNow(t)[topicPart{"clicks", 0}]
	require.False(t, proposal.full)
	l := requireLog(t, p, proposal)
	require.NoError(t, <-db, "room was made")
	require.Equal(t, int64(20), l.watermark)
}

func TestIntentThatNeverFits(t *testing.T) {
	s := testSession(func(c *config) { c.maxMetadata = 300 })
	feed(s.testPartition(0), 0, 10)
	a := s.testPop(t)
	done := preparing(t, a, "db.t", delivery.Intent{Layout: make([]byte, 400)})
	s.commitNow(t)
	require.ErrorIs(t, <-done, ErrMetadataTooLarge)
	_, ok := a.Pinned("db.t")
	require.False(t, ok)
}

func TestBrokerWithALowerLimitIsObeyed(t *testing.T) {
	s := testSession(func(c *config) { c.inFlight = 8 })
	p := s.testPartition(0)
	feed(p, 0, 30)
	a, b := s.testPop(t), s.testPop(t)
	da := preparing(t, a, "db.t", delivery.Intent{Layout: []byte(strings.Repeat("a", 300))})
	db := preparing(t, b, "db.t", delivery.Intent{Layout: []byte(strings.Repeat("b", 300))})
	answer := func(limit int) {
		proposals := s.propose()
		req := kmsg.NewPtrOffsetCommitRequest()
		resp := kmsg.NewPtrOffsetCommitResponse()
		req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "clicks", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{}}}}
		var code int16
		if len(proposals[topicPart{"clicks", 0}].metadata) > limit {
			code = kerr.OffsetMetadataTooLarge.Code
		}
		resp.Topics = []kmsg.OffsetCommitResponseTopic{{Topic: "clicks", Partitions: []kmsg.OffsetCommitResponseTopicPartition{{ErrorCode: code}}}}
		require.NoError(t, s.fence(req, proposals))
		_ = s.answered(req, resp, proposals, nil)
	}
	answer(600)
	answer(600)
	require.NoError(t, <-da)
	require.Less(t, p.limit, 4096)
	s.settle(a, nil)
	answer(600)
	require.NoError(t, <-db)
}

func TestCommitLeavesOutWhatIsNoLongerOwned(t *testing.T) {
	s := testSession(nil)
	p := s.testPartition(0)
	s.memberID = "me"
	feed(p, 0, 10)
	s.settle(s.testPop(t), nil)
	proposals := s.propose()
	s.release(map[topicPart]*partition{{"clicks", 0}: p}, errRevoked)
	s.testPartition(0) // it came back, as another assignment
	req := kmsg.NewPtrOffsetCommitRequest()
	req.MemberID = "me"
	req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "clicks", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{}}}}
	require.ErrorIs(t, s.fence(req, proposals), errNothingOwned)
}

func TestCommitByAnotherMemberIsNotSent(t *testing.T) {
	s := testSession(nil)
	p := s.testPartition(0)
	s.memberID = "me"
	feed(p, 0, 10)
	a := s.testPop(t)
	s.settle(a, nil)
	req := kmsg.NewPtrOffsetCommitRequest()
	req.MemberID = "someone the group took in later"
	require.ErrorIs(t, s.fence(req, s.propose()), ErrMemberReplaced)
	<-s.failed
	require.ErrorIs(t, a.Alive(), ErrMemberReplaced)
}

func TestLookUpIsRecordedAndWaitsForSilence(t *testing.T) {
	s := testSession(func(c *config) { c.sessionTimeout = 50 * time.Millisecond })
	p := newPartition(s, "clicks", [16]byte{1}, 0)
	p.restore(0, intentLog{ranges: []loggedRange{{from: 0, to: 10, intents: []loggedIntent{{sink: "db.t", digest: 3}}}}})
	s.parts[topicPart{"clicks", 0}] = p
	feed(p, 0, 10)
	a := s.testPop(t)
	_, err := a.recordLookUp("db.other")
	require.ErrorContains(t, err, "no intent is recorded")

	type answer struct {
		delivery.Prepared
		err error
	}
	done := make(chan answer, 1)
	go func() {
		prepared, err := a.LookUp(context.Background(), "db.t", 10*time.Millisecond)
		done <- answer{prepared, err}
	}()
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return p.dirty
	}, 10*time.Second, time.Millisecond)
	s.pulse.last.Store(int64(s.pulse.now() + time.Hour)) // heartbeats go on
	l := requireLog(t, p, s.commitNow(t)[topicPart{"clicks", 0}])
	require.True(t, l.ranges[0].intents[0].lookUp)
	prepared := <-done
	require.NoError(t, prepared.err)
	require.True(t, prepared.LookUp)
	require.GreaterOrEqual(t, s.pulse.now()-p.since, 60*time.Millisecond)
	pinned, ok := a.Pinned("db.t")
	require.True(t, ok)
	require.True(t, pinned.LookUp)
}

func TestIntentNobodyWaitsForIsWithdrawn(t *testing.T) {
	s := testSession(nil)
	p := s.testPartition(0)
	feed(p, 0, 10)
	a := s.testPop(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := a.Prepare(ctx, "db.t", delivery.Intent{Layout: []byte("old")})
	require.ErrorIs(t, err, context.Canceled)
	_, ok := a.Pinned("db.t")
	require.False(t, ok)
	done := preparing(t, a, "db.t", delivery.Intent{Layout: []byte("new")})
	s.commitNow(t)
	require.NoError(t, <-done)
	pinned, _ := a.Pinned("db.t")
	require.Equal(t, "new", string(pinned.Layout))
}

func TestNothingIsCommittedAfterAnUnansweredCommit(t *testing.T) {
	s := testSession(nil)
	p := s.testPartition(0)
	s.memberID = "me"
	feed(p, 0, 10)
	s.settle(s.testPop(t), nil)
	req := kmsg.NewPtrOffsetCommitRequest()
	req.MemberID = "me"
	topics := []kmsg.OffsetCommitRequestTopic{{Topic: "clicks", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{}}}}
	sent := func() { s.pulse.OnBrokerWrite(kgo.BrokerMetadata{}, keyOffsetCommit, 100, 0, 0, nil) }
	answered := func() { s.pulse.OnBrokerRead(kgo.BrokerMetadata{}, keyOffsetCommit, 100, 0, 0, nil) }

	sent()
	answered()
	req.Topics = slices.Clone(topics)
	require.NoError(t, s.fence(req, s.propose()))
	sent() // kgo sends it again when the connection dies, and that one is answered
	sent()
	answered()
	req.Topics = slices.Clone(topics)
	require.ErrorIs(t, s.fence(req, s.propose()), ErrCommitAmbiguous)
	<-s.failed
}

// Nothing may be told before Kafka holds it, of an attempt that failed, or of a partition that is lost.
func TestTheEndOfARangeIsToldOnceItIsCommitted(t *testing.T) {
	s := testSession(nil)
	p := s.testPartition(0)
	feed(p, 0, 20)
	told := make(chan string, 4)
	say := func(what string) func() { return func() { told <- what } }
	first, second := s.testPop(t), s.testPop(t)
	second.OnCommitted(say("failed attempt"))
	s.settle(second, errors.New("no"))
	s.redeliver(second.lease)
	second = s.testPop(t)
	second.OnCommitted(say("second"))
	s.settle(second, nil)
	first.OnCommitted(say("first"))
	require.Empty(t, told)
	s.commitNow(t)
	require.Equal(t, "second", <-told)
	s.settle(first, nil)
	s.commitNow(t)
	require.Equal(t, "first", <-told)
	second.OnCommitted(say("too late"))

	feed(p, 20, 30)
	third := s.testPop(t)
	third.OnCommitted(say("lost"))
	s.settle(third, nil)
	s.fail(errClosed)
	s.commitNow(t)
	require.Empty(t, told)
}

func TestAPartitionThatIsRefusedDoesNotKeepOthersFromBeingCommitted(t *testing.T) {
	const others = 8
	s := testSession(nil)
	req := kmsg.NewPtrOffsetCommitRequest()
	resp := kmsg.NewPtrOffsetCommitResponse()
	req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "clicks"}}
	resp.Topics = []kmsg.OffsetCommitResponseTopic{{Topic: "clicks"}}
	var parts []*partition
	for num := range int32(others + 2) {
		p := newPartition(s, "clicks", [16]byte{1}, num)
		p.restore(0, intentLog{})
		s.parts[topicPart{"clicks", num}] = p
		parts = append(parts, p)
		s.touchLocked(p)
		var code int16
		if num >= others {
			code = kerr.InvalidCommitOffsetSize.Code
		}
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, kmsg.OffsetCommitRequestTopicPartition{Partition: num})
		resp.Topics[0].Partitions = append(resp.Topics[0].Partitions, kmsg.OffsetCommitResponseTopicPartition{Partition: num, ErrorCode: code})
	}
	proposals := s.propose()
	require.NoError(t, s.fence(req, proposals))
	err := s.answered(req, resp, proposals, nil)
	require.ErrorIs(t, err, kerr.InvalidCommitOffsetSize)
	require.ErrorContains(t, err, "and 1 more")
	for i, p := range parts {
		require.Equal(t, i >= others, p.dirty, "partition %d", i)
	}
}
