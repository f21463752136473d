package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// commitLoop is the only place that commits: one commit at a time, for every partition that has something to say, so that intents of many ranges
// share a request.
func (s *session) commitLoop() {
	defer s.ended.Done()
	failures := 0
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.commit:
		}
		err := s.commitOnce()
		if err == nil {
			failures = 0
			continue
		}
		failures++
		s.metrics.commitFailures.Incr(1)
		s.log.Warnf("Committing offsets: %v", err)
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(min(time.Duration(failures)*100*time.Millisecond, 2*time.Second)):
			signal(s.commit)
		}
	}
}

// proposal is what one commit says about one partition.
type proposal struct {
	p         *partition
	watermark int64
	metadata  string
	intents   []*intent
	ended     []func()
	full      bool // intents have to wait for room
}

func (s *session) commitOnce() error {
	proposals := s.propose()
	if len(proposals) == 0 {
		return nil
	}
	offsets := map[string]map[int32]kgo.EpochOffset{}
	for tp, c := range proposals {
		if offsets[tp.topic] == nil {
			offsets[tp.topic] = map[int32]kgo.EpochOffset{}
		}
		offsets[tp.topic][tp.num] = kgo.EpochOffset{Epoch: -1, Offset: c.watermark}
	}
	ctx := kgo.PreCommitFnContext(s.ctx, func(req *kmsg.OffsetCommitRequest) error { return s.fence(req, proposals) })
	answer := make(chan error, 1)
	s.client.CommitOffsets(ctx, offsets, func(_ *kgo.Client, req *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		answer <- s.answered(req, resp, proposals, err)
	})
	return <-answer
}

// propose writes down what each partition with news has to say.
func (s *session) propose() map[topicPart]*proposal {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[topicPart]*proposal{}
	for tp, p := range s.parts {
		if p.dirty {
			p.dirty, p.sent = false, true
			out[tp] = p.propose()
		}
	}
	return out
}

// propose encodes the partition's state with as many new intents as fit, lowest range first. The lowest open range may use all of the
// metadata and the others three quarters, so that it always gets through: only its end makes room for the watermark to move.
func (p *partition) propose() *proposal {
	c := &proposal{p: p, watermark: p.watermark(), ended: p.ended}
	included := map[*intent]bool{}
	encode := func() string { return p.log(c.watermark, included).encode() }
	c.metadata = encode()
	lowest := true
	for _, l := range p.leases {
		if l.state == done {
			continue
		}
		for _, in := range l.intents {
			if in.recorded() || in.err != nil {
				continue
			}
			included[in] = true
			room := p.limit
			if !lowest {
				room -= p.limit / 4
			}
			metadata := encode()
			if len(metadata) > room && !in.fixed() {
				delete(included, in)
				if lowest && p.onlyOpen(l) {
					in.err = fmt.Errorf("%w: %d bytes needed, %d allowed", ErrMetadataTooLarge, len(metadata), p.limit)
					close(in.durable)
				} else {
					c.full = true
				}
				continue
			}
			c.metadata = metadata
			c.intents = append(c.intents, in)
		}
		lowest = false
	}
	return c
}

// log is the partition's intent log at this moment: what is durable and what is included now.
func (p *partition) log(watermark int64, included map[*intent]bool) intentLog {
	out := intentLog{topicID: p.id, watermark: watermark}
	for _, l := range p.leases {
		if l.rng.To <= watermark {
			continue
		}
		r := loggedRange{from: l.rng.From, to: l.rng.To, done: l.state == done}
		if !r.done {
			r.intents = logged(l.intents, func(in *intent) bool { return included[in] || in.fixed() })
		}
		if r.done || len(r.intents) > 0 {
			out.ranges = append(out.ranges, r)
		}
	}
	return out
}

// onlyOpen tells whether no other range holds room in the metadata that it will give back.
func (p *partition) onlyOpen(l *lease) bool {
	for _, other := range p.leases {
		if other == l || other.state == done {
			continue
		}
		for _, in := range other.intents {
			if in.fixed() {
				return false
			}
		}
	}
	return true
}

// fence runs when kgo has chosen the generation to commit under, which cannot change before the answer. What was proposed for a partition that is
// no longer ours is taken out: under the new generation Kafka would accept it. A commit by another member than the one that was assigned the partitions is
// not sent at all, and neither is one after a commit that may still arrive.
func (s *session) fence(req *kmsg.OffsetCommitRequest, proposals map[topicPart]*proposal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	if s.pulse.unanswered() {
		go s.fail(ErrCommitAmbiguous)
		return ErrCommitAmbiguous
	}
	if req.MemberID != s.memberID {
		go s.fail(ErrMemberReplaced)
		return ErrMemberReplaced
	}
	topics := req.Topics[:0]
	for _, t := range req.Topics {
		parts := t.Partitions[:0]
		for _, rp := range t.Partitions {
			tp := topicPart{t.Topic, rp.Partition}
			c := proposals[tp]
			if c == nil || s.parts[tp] != c.p {
				continue
			}
			rp.Metadata = &c.metadata
			for _, in := range c.intents {
				in.sent = true
			}
			parts = append(parts, rp)
		}
		if t.Partitions = parts; len(parts) > 0 {
			topics = append(topics, t)
		}
	}
	req.Topics = topics
	if len(topics) == 0 {
		return errNothingOwned
	}
	return nil
}

var errNothingOwned = errors.New("partitions to commit are no longer owned")

// answered applies the coordinator's answer.
func (s *session) answered(req *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, proposals map[topicPart]*proposal, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.endedLocked()
	codes := commitCodes(req, resp)
	var refused []error
	for tp, c := range proposals {
		c.p.sent = false
		if s.parts[tp] != c.p {
			continue
		}
		code, known := codes[tp]
		switch {
		case err != nil:
			c.p.dirty = true
		case !known:
			c.p.dirty = true
			refused = append(refused, fmt.Errorf("committing %s/%d at %d: the coordinator's answer leaves it out", c.p.topic, c.p.num, c.watermark))
		case code == nil:
			s.committedLocked(c)
		default:
			c.p.dirty = true
			refused = append(refused, s.refusedLocked(c, code))
		}
	}
	switch n := len(refused); {
	case n == 1:
		return refused[0]
	case n > 1: // most codes are those of the group, and every partition has them
		return fmt.Errorf("%w (and %d more partitions)", refused[0], n-1)
	}
	if errors.Is(err, errNothingOwned) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (s *session) committedLocked(c *proposal) {
	c.p.ended = c.p.ended[len(c.ended):]
	for _, f := range c.ended {
		go f()
	}
	for _, in := range c.intents {
		if !in.recorded() && in.err == nil {
			close(in.durable)
		}
	}
	if c.full {
		s.metrics.metadataFull.Incr(1) // the next range that ends makes the partition dirty, and the intents are proposed again
	}
	if !c.p.anchored {
		c.p.anchored = true
		c.p.dispatch()
	}
	c.p.gauge()
}

// refusedLocked judges the coordinator's error for one partition.
func (s *session) refusedLocked(c *proposal, code error) error {
	if errors.Is(code, kerr.OffsetMetadataTooLarge) {
		// The broker's offset.metadata.max.bytes is less than we were told. Nothing of this commit is durable, so what was new in it goes back in line.
		c.p.limit = len(c.metadata) * 3 / 4
		for _, in := range c.intents {
			if !in.recorded() {
				in.sent = false
			}
		}
	}
	err := fmt.Errorf("committing %s/%d at %d: %w", c.p.topic, c.p.num, c.watermark, code)
	if errors.Is(code, kerr.UnknownTopicID) {
		go s.fail(fmt.Errorf("%w: %w", ErrTopicChanged, err))
	}
	return err
}

// commitCodes gives each partition's result. From version 10 on an answer names topics by id only.
func commitCodes(req *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse) map[topicPart]error {
	out := map[topicPart]error{}
	if resp == nil {
		return out
	}
	names := map[[16]byte]string{}
	for _, t := range req.Topics {
		names[t.TopicID] = t.Topic
	}
	for _, t := range resp.Topics {
		name := t.Topic
		if name == "" {
			name = names[t.TopicID]
		}
		for _, rp := range t.Partitions {
			out[topicPart{name, rp.Partition}] = kerr.ErrorForCode(rp.ErrorCode)
		}
	}
	return out
}
