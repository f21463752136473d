package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/benthos-clickhouse/connect/delivery"
)

// session is the life of one client: one member of the group. It ends when the input closes, or when it can no longer prove what it owns; then
// the next one joins as another member and finds in Kafka what this one left.
type session struct {
	cfg     *config
	log     *service.Logger
	metrics *metrics
	client  *kgo.Client
	pulse   *pulse

	ctx     context.Context
	cancel  context.CancelFunc
	ended   sync.WaitGroup
	joining chan struct{}         // closed once client is set
	failed  chan struct{}         // closed with err set: the session must be replaced
	wake    chan struct{}         // something is ready to be delivered
	commit  chan struct{}         // something is to be committed
	roomy   chan struct{}         // reading may go on
	idle    chan struct{}         // replaced whenever an outstanding range or a commit has ended
	offset  map[topicPart]fetched // what OnOffsetsFetched saw, for the adjustment that follows it

	mu       sync.Mutex
	err      error
	memberID string
	parts    map[topicPart]*partition
	warned   map[topicPart]string // the last warning, until records come
	queue    []*lease
	buffered int64
	pressed  bool // max_buffered_bytes is reached
	closing  bool
}

type topicPart struct {
	topic string
	num   int32
}

func newSession(cfg *config, log *service.Logger, m *metrics) *session {
	s := &session{
		cfg: cfg, log: log, metrics: m,
		joining: make(chan struct{}), failed: make(chan struct{}), wake: make(chan struct{}, 1), commit: make(chan struct{}, 1), roomy: make(chan struct{}, 1), idle: make(chan struct{}),
		parts: map[topicPart]*partition{}, warned: map[topicPart]string{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.pulse = &pulse{now: sinceBoot, limit: cfg.sessionTimeout, expired: s.fail, ambiguous: func(err error) {
		s.fail(fmt.Errorf("%w: %w", ErrCommitAmbiguous, err))
	}}
	s.pulse.last.Store(int64(sinceBoot()))
	s.pulse.answered.Store(int64(sinceBoot()))
	return s
}

// start joins the group.
func (s *session) start(ctx context.Context) error {
	pools, door, answered := &pools{}, &doorkeeper{}, &atomic.Bool{}
	opts := append(s.cfg.clientOpts(),
		kgo.WithContext(s.ctx),
		kgo.WithLogger(clientLog{s.log, answered}),
		kgo.WithHooks(s.pulse, pools, door),
		kgo.WithPools(pools),
		kgo.WithDecompressor(newDecompressor(pools)),
		kgo.OnPartitionsAssigned(s.onAssigned),
		kgo.OnPartitionsRevoked(s.onRevoked),
		kgo.OnPartitionsLost(s.onLost),
		kgo.OnOffsetsFetched(s.onFetched),
		kgo.AdjustFetchOffsetsFn(s.position),
	)
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return fmt.Errorf("creating Kafka client: %w", err)
	}
	s.client = client
	close(s.joining) // the client joins by itself from the moment that it is made
	if err := client.Ping(ctx); err != nil {
		err = door.refusal(s.cfg, err)
		s.fail(err)
		client.CloseAllowingRebalance()
		return err
	}
	answered.Store(true)
	s.ended.Add(4)
	go s.poll()
	go s.commitLoop()
	go s.tick()
	go s.watchLag()
	return nil
}

// close leaves the group after the ranges under way have been answered, and waits for that as long as ctx allows.
func (s *session) close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if s.client != nil {
			s.client.CloseAllowingRebalance()
		}
		s.fail(errClosed)
		s.cancel()
		s.ended.Wait()
	}()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		s.fail(errClosed)
		s.cancel()
		return ctx.Err()
	}
}

var errClosed = errors.New("input was closed")

// fail ends the session: every lease dies at once, so that nothing more is sent or recorded under it.
func (s *session) fail(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.err = why
	for tp, p := range s.parts {
		p.lose(why)
		delete(s.parts, tp)
		s.metrics.forget(tp)
	}
	s.queue = nil
	close(s.failed)
	s.endedLocked()
}

// poll moves fetched records into their partitions. A rebalance waits for it, so records never reach a partition that was revoked.
func (s *session) poll() {
	defer s.ended.Done()
	defer s.client.AllowRebalance() // a poll that was cut short holds up leaving the group, too
	for s.awaitRoom() {
		fetches := s.client.PollFetches(s.ctx)
		if fetches.IsClientClosed() || s.ctx.Err() != nil {
			return
		}
		s.take(fetches, time.Now())
		recycle(fetches)
		s.client.AllowRebalance()
	}
}

// awaitRoom holds up reading while memory is full. What the client has fetched ahead waits in it; pausing the partitions would throw that away.
func (s *session) awaitRoom() bool {
	for s.ctx.Err() == nil {
		s.mu.Lock()
		full := s.pressed && !s.fixedLocked()
		s.mu.Unlock()
		if !full {
			return true
		}
		select {
		case <-s.roomy:
		case <-s.ctx.Done():
		}
	}
	return false
}

// fixedLocked tells whether a range has to be read to an end that an earlier owner has fixed, whatever it takes.
func (s *session) fixedLocked() bool {
	for _, p := range s.parts {
		if p.fixed() {
			return true
		}
	}
	return false
}

func (s *session) take(fetches kgo.Fetches, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fetches.EachPartition(func(f kgo.FetchTopicPartition) {
		p := s.parts[topicPart{f.Topic, f.Partition}]
		if f.Err != nil {
			s.fetchFailedLocked(p, f.Topic, f.Partition, f.Err)
		} else {
			delete(s.warned, topicPart{f.Topic, f.Partition})
		}
		if p == nil || p.draining || p.broken {
			return
		}
		p.highWater = max(p.highWater, f.HighWatermark) // an answer with an error says -1
		p.add(f.Records, now)
		p.gauge()
	})
	s.balanceLocked()
}

// fetchFailedLocked judges an error that kgo did not deal with by itself. What tells of another log than the one that was read ends the
// session: assignment is the one place that decides where a partition starts.
func (s *session) fetchFailedLocked(p *partition, topic string, num int32, err error) {
	var loss *kgo.ErrDataLoss
	var group *kgo.ErrGroupSession
	switch {
	case errors.As(err, &group):
		if what := groupAdvice(group.Err); what != "" { // kgo has logged the error itself
			s.log.Errorf("Joining consumer group %q: %v; %s", s.cfg.group, group.Err, what)
		}
	case errors.As(err, &loss), errors.Is(err, kerr.OffsetOutOfRange), errors.Is(err, kerr.UnknownTopicID), errors.Is(err, kerr.InconsistentTopicID):
		if p != nil {
			p.broken = true
		}
		go s.fail(fmt.Errorf("%w: %s/%d: %w", ErrTopicChanged, topic, num, err))
	case errors.Is(err, context.Canceled), errors.Is(err, kgo.ErrClientClosed):
	case num < 0 && errors.Is(err, kerr.UnknownTopicOrPartition):
		s.warnOnceLocked(topicPart{topic, num}, fmt.Sprintf("Topic %q does not exist, or this client may not describe it: waiting for it", topic))
	case kerr.IsRetriable(err):
		s.log.Debugf("Reading %s/%d: %v", topic, num, err)
	default:
		s.warnOnceLocked(topicPart{topic, num}, fmt.Sprintf("Reading %s/%d: %v", topic, num, err))
	}
}

// warnOnceLocked leaves out what was the last thing to be said of the partition: kgo tries, and fails, again and again.
func (s *session) warnOnceLocked(tp topicPart, text string) {
	if s.warned[tp] != text {
		s.warned[tp] = text
		s.log.Warn(text)
	}
}

// tick cuts ranges whose period is over.
func (s *session) tick() {
	defer s.ended.Done()
	t := time.NewTicker(max(s.cfg.period/8, 5*time.Millisecond))
	defer t.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case now := <-t.C:
			s.mu.Lock()
			for _, p := range s.parts {
				p.cutDue(now)
			}
			s.balanceLocked()
			s.mu.Unlock()
		}
	}
}

// balanceLocked stops reading when memory is full, and goes on when there is room again. A partition that has a backlog is paused.
func (s *session) balanceLocked() {
	switch {
	case s.buffered >= s.cfg.maxBuffered:
		s.pressed = true
	case s.buffered <= s.cfg.maxBuffered-s.cfg.maxBuffered/4:
		s.pressed = false
	}
	if s.pressed {
		s.relieveLocked()
	}
	// Ranges that have to be read to a fixed end are read on alone.
	some := s.pressed && s.fixedLocked()
	if some || !s.pressed {
		signal(s.roomy)
	}
	var pause, resume map[string][]int32
	for tp, p := range s.parts {
		want := p.broken || p.backlog() || some && !p.fixed()
		switch {
		case want && !p.paused:
			pause = addPart(pause, tp)
		case !want && p.paused:
			resume = addPart(resume, tp)
		}
		p.paused = want
	}
	if pause != nil && s.client != nil {
		s.client.PauseFetchPartitions(pause)
	}
	if resume != nil && s.client != nil {
		s.client.ResumeFetchPartitions(resume)
	}
	s.metrics.buffered.Set(s.buffered)
}

// relieveLocked cuts open ranges, the largest first, until half of what may be held is on its way: less would leave the pipeline idle, and more would
// make many small blocks of what could become a few large ones.
func (s *session) relieveLocked() {
	open := int64(0)
	var parts []*partition
	for _, p := range s.parts {
		open += p.open.held
		if p.cuttable() {
			parts = append(parts, p)
		}
	}
	slices.SortFunc(parts, func(a, b *partition) int { return cmp.Compare(b.open.held, a.open.held) })
	for _, p := range parts {
		if s.buffered-open >= s.cfg.maxBuffered/2 {
			return
		}
		open -= p.open.held
		p.cutNow()
	}
}

func addPart(m map[string][]int32, tp topicPart) map[string][]int32 {
	if m == nil {
		m = map[string][]int32{}
	}
	m[tp.topic] = append(m[tp.topic], tp.num)
	return m
}

// offerLocked queues a range for delivery.
func (s *session) offerLocked(l *lease) {
	l.state = ready
	s.queue = append(s.queue, l)
	signal(s.wake)
}

// touchLocked says that a partition has something to commit.
func (s *session) touchLocked(p *partition) {
	p.dirty = true
	signal(s.commit)
}

// endedLocked wakes whoever waits for ranges or commits to end.
func (s *session) endedLocked() {
	close(s.idle)
	s.idle = make(chan struct{})
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// watchLag asks for the ends of partitions now and then: one that is paused would not hear of them.
func (s *session) watchLag() {
	defer s.ended.Done()
	t := time.NewTicker(lagInterval)
	defer t.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-t.C:
		}
		topics := map[string]bool{}
		s.mu.Lock()
		for tp := range s.parts {
			topics[tp.topic] = true
		}
		s.mu.Unlock()
		if len(topics) == 0 {
			continue
		}
		ends, err := listed(kadm.NewClient(s.client).ListEndOffsets(s.ctx, slices.Collect(maps.Keys(topics))...))
		if err != nil {
			s.log.Debugf("Finding the ends of partitions: %v", err)
			continue
		}
		s.mu.Lock()
		for tp, p := range s.parts {
			p.highWater = max(p.highWater, ends[tp])
			p.gauge()
		}
		s.mu.Unlock()
	}
}

const lagInterval = 5 * time.Second

// next waits for a range to deliver. It answers with service.ErrNotConnected once the session has ended.
func (s *session) next(ctx context.Context) (attempt, error) {
	for {
		if a, ok := s.pop(); ok {
			return a, nil
		}
		select {
		case <-s.wake:
		case <-s.failed:
			return attempt{}, service.ErrNotConnected
		case <-ctx.Done():
			return attempt{}, ctx.Err()
		}
	}
}

func (s *session) pop() (attempt, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 {
		l := s.queue[0]
		s.queue[0] = nil
		s.queue = s.queue[1:]
		if l.state != ready || l.p.gone != nil || l.p.draining {
			continue
		}
		l.state = delivered
		l.attempts++
		clear(l.written)
		clear(l.gaveUp)
		l.ending = nil
		return attempt{l, l.attempts, l.p.highWater}, true
	}
	return attempt{}, false
}

// settle takes the pipeline's answer to a delivery.
func (s *session) settle(a attempt, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, p := a.lease, a.p
	if l.state != delivered || a.n != l.attempts {
		return // answered before
	}
	defer s.endedLocked()
	if err == nil && l.givenUp() {
		// The pipeline is done with it, and its rows may not be in: a heartbeat was late, and the partition is still ours.
		err = delivery.ErrLost
	}
	switch {
	case p.gone != nil:
		l.drop()
		l.state = done
	case err == nil:
		p.finish(l)
	case p.draining:
		l.drop()
		l.state = returned
	default:
		l.state = returned
		s.metrics.redelivered.Incr(1)
		wait := s.cfg.backoff(l.attempts)
		s.log.Debugf("Range %v failed, delivering it again in %v: %v", l.rng, wait, err)
		time.AfterFunc(wait, func() { s.redeliver(l) })
	}
	s.balanceLocked()
}

func (s *session) redeliver(l *lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.state == returned && l.p.gone == nil && !l.p.draining {
		s.offerLocked(l)
	}
}
