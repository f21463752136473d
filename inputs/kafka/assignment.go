package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What happens at a rebalance, in kgo's order: onRevoked or onLost for what goes, before the group is joined (eager) or after it was (cooperative;
// nobody else gets the partition until this member joins once more); onAssigned, also when nothing came; onFetched and position for what came. kgo runs
// none of the first three while records are being polled, and sends no commit between joining and being synced.

// fetched is a partition's committed offset as the coordinator answered it.
type fetched struct {
	offset   int64
	metadata string
}

func (s *session) onAssigned(_ context.Context, client *kgo.Client, _ map[string][]int32) {
	s.identify(client)
	s.pulse.letIn()
}

// identify notes who we are. A member that the group had expelled comes back under another id, and kgo goes on with the partitions that it gets
// again as if nothing had been: another member may have owned them meanwhile, so that what we hold of them is void.
func (s *session) identify(client *kgo.Client) {
	id, _ := client.GroupMetadata()
	s.mu.Lock()
	replaced := s.memberID != "" && s.memberID != id
	if s.memberID == "" {
		s.memberID = id
	}
	s.mu.Unlock()
	if replaced {
		s.fail(ErrMemberReplaced)
	}
}

// onRevoked lets the ranges under way come to their end and commits them, within the time that the group allows; what is not done by then
// is the next owner's to recover.
func (s *session) onRevoked(_ context.Context, client *kgo.Client, revoked map[string][]int32) {
	s.identify(client)
	limit := s.cfg.rebalanceTimeout - s.cfg.heartbeatInterval
	limit -= limit / 5 // the next join has to arrive within the timeout too
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	parts := s.drain(revoked)
	for {
		s.mu.Lock()
		busy := false
		for _, p := range parts {
			// After Close no answer comes any more: only the commits are waited for.
			busy = busy || p.gone == nil && (p.dirty || p.sent || p.outstanding() && !s.closing)
		}
		ended := s.idle
		s.mu.Unlock()
		if !busy {
			break
		}
		select {
		case <-ended:
			continue
		case <-s.failed:
		case <-deadline.C:
			s.log.Warnf("Ranges of %d partitions that are being revoked did not end within %v: their next owner finishes them", len(parts), limit)
		}
		break
	}
	s.release(parts, errRevoked)
}

var (
	errRevoked = errors.New("partition was revoked")
	errExpired = errors.New("group membership was lost")
	// errNoLeader is asked about again, by joining the group once more: the group has no offset to start at.
	errNoLeader = errors.New("partition has no leader")
)

// drain stops delivering from the partitions.
func (s *session) drain(revoked map[string][]int32) map[topicPart]*partition {
	s.mu.Lock()
	defer s.mu.Unlock()
	parts := s.ownedLocked(revoked)
	for _, p := range parts {
		p.draining = true
		p.discard()
	}
	s.balanceLocked()
	return parts
}

func (s *session) ownedLocked(which map[string][]int32) map[topicPart]*partition {
	parts := map[topicPart]*partition{}
	for topic, nums := range which {
		for _, num := range nums {
			if p := s.parts[topicPart{topic, num}]; p != nil {
				parts[topicPart{topic, num}] = p
			}
		}
	}
	return parts
}

func (s *session) release(parts map[topicPart]*partition, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for tp, p := range parts {
		p.lose(why)
		if s.parts[tp] == p {
			delete(s.parts, tp)
		}
		s.metrics.forget(tp)
	}
	s.balanceLocked()
}

// onLost runs when the group no longer counts us in: there is nothing left to commit under.
func (s *session) onLost(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
	s.mu.Lock()
	parts := s.ownedLocked(lost)
	s.mu.Unlock()
	s.release(parts, errExpired)
}

// onFetched keeps the committed offsets and their metadata for position, which kgo calls next.
func (s *session) onFetched(_ context.Context, client *kgo.Client, resp *kmsg.OffsetFetchResponse) error {
	s.offset = map[topicPart]fetched{}
	for _, g := range resp.Groups {
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode != 0 {
					continue
				}
				f := fetched{offset: p.Offset}
				if p.Metadata != nil {
					f.metadata = *p.Metadata
				}
				s.offset[topicPart{t.Topic, p.Partition}] = f
			}
		}
	}
	return nil
}

// position decides where each partition that came starts, and takes up what its earlier owner had prepared. A partition that cannot be
// consumed safely is left out, with the reason in the log, while the others go on.
func (s *session) position(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	<-s.joining
	topics := make([]string, 0, len(offsets))
	for t := range offsets {
		topics = append(topics, t)
	}
	b, err := s.bounds(ctx, topics)
	if err != nil {
		return nil, fmt.Errorf("finding where partitions start: %w", err)
	}
	out := map[string]map[int32]kgo.Offset{}
	s.mu.Lock()
	defer s.mu.Unlock()
	var resume map[string][]int32
	for topic, nums := range offsets {
		out[topic] = map[int32]kgo.Offset{}
		for num := range nums {
			tp := topicPart{topic, num}
			resume = addPart(resume, tp)
			if old := s.parts[tp]; old != nil {
				old.lose(errExpired)
				delete(s.parts, tp)
			}
			if _, ok := s.offset[tp]; !ok {
				return nil, fmt.Errorf("finding where %s/%d starts: the coordinator did not say what is committed", topic, num)
			}
			p, err := s.adopt(tp, b)
			if errors.Is(err, errNoLeader) {
				return nil, err
			}
			if err != nil {
				s.log.Errorf("%v", err)
				s.metrics.refused.Incr(1)
				continue
			}
			s.parts[tp] = p
			// A prepared range that has expired in part starts before the log does.
			out[topic][num] = kgo.NewOffset().At(max(p.from, b.start[tp]))
		}
	}
	// A partition that was paused when it went is still paused now.
	s.client.ResumeFetchPartitions(resume)
	return out, nil
}

// adopt makes the state of one partition from its committed offset. Where no leader tells the bounds of its log, that is taken at its word: if it lies
// outside, the first fetch says so, the session is replaced, and the bounds are asked for again.
func (s *session) adopt(tp topicPart, b bounds) (*partition, error) {
	p := newPartition(s, tp.topic, b.ids[tp.topic], tp.num)
	f := s.offset[tp]
	if f.offset < 0 {
		return p, s.begin(p, tp, b)
	}
	l, err := decodeIntents(f.metadata, f.offset)
	var damaged *MetadataError
	switch {
	case errors.As(err, &damaged):
		damaged.Topic, damaged.Partition = tp.topic, tp.num
		return nil, damaged
	case err == nil && !sameTopic(l.topicID, p.id):
		s.log.Warnf("Topic %q was created again: its offsets are not those of the group, starting anew", tp.topic)
		return p, s.begin(p, tp, b)
	}
	if end, led := b.end[tp]; led && l.end(f.offset) > end {
		return nil, &TruncatedError{Topic: tp.topic, Partition: tp.num, Read: l.end(f.offset), End: end}
	}
	if err != nil {
		l = intentLog{topicID: p.id, watermark: f.offset}
		if f.metadata != "" {
			s.log.Infof("Committed offset %d of %s/%d carries metadata of another client: no range above it counts as prepared", f.offset, tp.topic, tp.num)
		}
	}
	p.restore(f.offset, l)
	p.skipTo(b.start[tp])
	return p, nil
}

// sameTopic tells whether the ids may be of one topic. A broker that knows no ids gives none: that says nothing, and must not make a topic new when
// the brokers are upgraded.
func sameTopic(a, b [16]byte) bool { return a == b || a == [16]byte{} || b == [16]byte{} }

// begin places a partition that the group has no offset for, and has the place committed before anything is delivered: a crash must not
// move it.
func (s *session) begin(p *partition, tp topicPart, b bounds) error {
	from := b.start
	switch at := s.cfg.start; {
	case at.committed:
		return &NoOffsetError{Topic: tp.topic, Partition: tp.num}
	case at.latest:
		from = b.latest
	case !at.time.IsZero():
		from = b.after
	}
	var led bool
	if p.from, led = from[tp]; !led {
		return fmt.Errorf("finding where %s/%d starts: %w", tp.topic, tp.num, errNoLeader)
	}
	s.touchLocked(p)
	return nil
}

// skipTo passes over records that have expired. A prepared range that lies among them wholly is given up; one that reaches beyond keeps its
// boundaries, and the output judges by the digest what is left of it.
func (p *partition) skipTo(start int64) {
	if p.from >= start {
		return
	}
	p.s.log.Errorf("Records of %s/%d between offsets %d and %d have expired before they were read", p.topic, p.num, p.from, start)
	p.s.metrics.expired.Incr(start - p.from)
	for _, l := range p.leases {
		if l.rng.To <= start {
			if l.state == planned {
				p.s.log.Errorf("Range %v was prepared, and all of its records have expired: whatever part of it had not landed is lost", l.rng)
			}
			l.state = done
		}
	}
	if plan := p.planFor(start); plan != nil {
		start = plan.rng.From
	}
	p.from = start
	p.s.touchLocked(p)
}

// planFor is the fixed range that the offset lies in, or nil.
func (p *partition) planFor(offset int64) *lease {
	for _, l := range p.leases {
		if l.rng.From <= offset && offset < l.rng.To {
			return l
		}
	}
	return nil
}

// bounds are what the brokers say about topics at one moment. Partitions without a leader are not among them.
type bounds struct {
	ids                       map[string][16]byte
	start, end, latest, after map[topicPart]int64
}

func (s *session) bounds(ctx context.Context, topics []string) (bounds, error) {
	b := bounds{ids: map[string][16]byte{}}
	admin := kadm.NewClient(s.client)
	details, err := admin.ListTopics(ctx, topics...)
	if err != nil {
		return b, err
	}
	for _, d := range details {
		if d.Err != nil {
			return b, fmt.Errorf("topic %q: %w", d.Topic, d.Err)
		}
		b.ids[d.Topic] = d.ID
	}
	ask := func(list func(context.Context, ...string) (kadm.ListedOffsets, error)) map[topicPart]int64 {
		if err != nil {
			return nil
		}
		ctx, cancel := context.WithTimeout(ctx, s.cfg.requestOverhead) // kgo would wait for leaders
		defer cancel()
		var found map[topicPart]int64
		found, err = listed(list(ctx, topics...))
		return found
	}
	b.start, b.end = ask(admin.ListStartOffsets), ask(admin.ListEndOffsets)
	b.latest = b.end
	if s.cfg.start.latest && s.cfg.isolation == kgo.ReadCommitted() {
		// What an open transaction has written already is still to come.
		b.latest = ask(admin.ListCommittedOffsets)
	}
	if at := s.cfg.start.time; !at.IsZero() {
		b.after = ask(func(ctx context.Context, topics ...string) (kadm.ListedOffsets, error) {
			return admin.ListOffsetsAfterMilli(ctx, at.UnixMilli(), topics...)
		})
	}
	return b, err
}

// listed takes the partitions that were answered for.
func listed(offsets kadm.ListedOffsets, err error) (map[topicPart]int64, error) {
	var some *kadm.ShardErrors
	if err != nil && (!errors.As(err, &some) || some.AllFailed) {
		return nil, err
	}
	out := map[topicPart]int64{}
	offsets.Each(func(o kadm.ListedOffset) {
		if o.Err == nil {
			out[topicPart{o.Topic, o.Partition}] = o.Offset
		}
	})
	return out, nil
}
