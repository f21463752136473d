package kafka

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/benthos-clickhouse/connect/delivery"
)

// partition is one partition while this consumer owns it: it cuts records into ranges, keeps the ranges until they are committed, and knows
// what its next commit has to say. It belongs to one session and to one assignment; a partition that comes back is a new one.
// All fields below lost are guarded by the session's mutex.
type partition struct {
	s     *session
	topic string
	id    [16]byte
	num   int32
	since time.Duration // when it came, by the session's clock
	lost  chan struct{} // closed when the partition is gone

	gone     error // why it is gone
	draining bool  // being revoked: nothing new is delivered
	broken   bool  // its log changed in a way that only a new assignment can judge

	from      int64  // everything below has been cut, or was done before
	passed    int64  // one past the last marker of a transaction that was read
	open      packed // records from `from` on, not cut yet
	openSince time.Time
	ramp      uint // the next range is cut at 1/2^ramp of its limits
	highWater int64

	leases   []*lease // every range not yet below the watermark, ascending; planned ones included
	inFlight int      // ready, delivered and returned ones
	ended    []func() // what ranges that are done want called once a commit has said so
	anchored bool     // a commit of this owner, or of an earlier one, fixes where the partition starts
	dirty    bool     // state differs from the last commit
	sent     bool     // a commit is under way
	paused   bool
	limit    int // longest metadata that the brokers are known to take
}

func newPartition(s *session, topic string, id [16]byte, num int32) *partition {
	return &partition{s: s, topic: topic, id: id, num: num, since: s.pulse.now(), lost: make(chan struct{}), limit: s.cfg.maxMetadata, ramp: rampFrom}
}

func (p *partition) isLost() bool {
	select {
	case <-p.lost:
		return true
	default:
		return false
	}
}

// restore takes up what an earlier owner left behind: the watermark and the ranges above it. These keep the names that they were prepared under, also
// when the brokers did not tell the topic's id then, or do not tell it now (delivery.Range).
func (p *partition) restore(watermark int64, l intentLog) {
	p.from, p.anchored = watermark, true
	if len(l.ranges) > 0 || p.id == [16]byte{} {
		p.id = l.topicID
	}
	for _, r := range l.ranges {
		le := p.newLease(r.from, r.to)
		if r.done {
			le.state = done
		} else {
			le.state, le.intents = planned, r.prepared()
		}
		p.leases = append(p.leases, le)
	}
}

func (p *partition) newLease(from, to int64) *lease {
	return &lease{
		p: p,
		rng: delivery.Range{
			Group: p.s.cfg.group, Topic: p.topic, TopicID: p.id, Partition: p.num, From: from, To: to,
		},
		held: map[string]bool{}, written: map[string]bool{}, gaveUp: map[string]bool{},
	}
}

// planAhead is the first range at or above the open one whose boundaries an earlier owner has fixed, or nil.
func (p *partition) planAhead() *lease {
	for _, l := range p.leases {
		if l.rng.From >= p.from && (l.state == planned || l.state == done) {
			return l
		}
	}
	return nil
}

// add takes records in, in the order of their offsets, and cuts every range they complete. Offsets below `from` are dropped: they belong to
// ranges that have been cut.
func (p *partition) add(records []*kgo.Record, now time.Time) {
	plan := p.planAhead()
	for _, r := range records {
		if r.Offset < p.from || (p.open.n > 0 && r.Offset <= p.open.last) {
			continue
		}
		for plan != nil && r.Offset >= plan.rng.From {
			if p.from < plan.rng.From {
				p.cut(plan.rng.From) // the gap below a fixed range is a range of its own
			}
			if r.Offset < plan.rng.To {
				break
			}
			p.finishPlanned(plan)
			plan = p.planAhead()
		}
		if plan != nil && plan.state == done && r.Offset >= plan.rng.From {
			// Landed and acknowledged before: only the watermark was behind.
			if r.Offset == plan.rng.To-1 {
				p.finishPlanned(plan)
				plan = p.planAhead()
			}
			continue
		}
		marker := r.Attrs.IsControl()
		if marker {
			p.passed = r.Offset + 1
		} else {
			p.push(r, now)
		}
		switch inPlan := plan != nil && r.Offset >= plan.rng.From; {
		case inPlan && r.Offset == plan.rng.To-1:
			p.finishPlanned(plan)
			plan = p.planAhead()
		case !inPlan && !marker && p.full():
			p.cut(r.Offset + 1)
		}
	}
	p.pass()
}

// pass goes past markers of transactions, and what was aborted before them, when nothing below is left to do: there may never be another record to
// end a range behind them, and the group would lag by them until they count as records that expired unread.
func (p *partition) pass() {
	if p.open.n == 0 && len(p.leases) == 0 && p.passed > p.from {
		p.from = p.passed
		p.s.touchLocked(p)
	}
}

func (p *partition) push(r *kgo.Record, now time.Time) {
	if p.open.n == 0 {
		p.openSince, p.open.share = now, p.s.cfg.maxBuffered/int64(max(len(p.s.parts), 1))
	}
	held := p.open.held
	p.open.push(p.s.cfg, r)
	p.s.buffered += p.open.held - held
}

// The first ranges after an assignment are small, so that with a backlog, too, rows are in the table soon: a sixteenth, a quarter, then full ranges.
const (
	rampFrom       = 4
	rampStep       = 2
	rampMinRecords = 1000
	rampMinBytes   = 1 << 20
)

// full tells whether the open range has reached its size.
func (p *partition) full() bool {
	c := p.s.cfg
	return p.open.n >= max(c.count>>p.ramp, min(c.count, rampMinRecords)) || p.open.bytes >= max(c.byteSize>>p.ramp, min(c.byteSize, rampMinBytes))
}

// cut ends the open range before offset to. Without records there is nothing to deliver, and the watermark passes over it.
func (p *partition) cut(to int64) {
	if p.open.n > 0 {
		l := p.newLease(p.from, to)
		p.fill(l)
		p.insert(l)
		p.ramp -= min(p.ramp, rampStep)
	}
	p.from = to
}

// finishPlanned ends the range that an earlier owner fixed. Its records may be fewer than they were: what compaction or retention took
// is gone, and the digest in the intent tells the output.
func (p *partition) finishPlanned(l *lease) {
	p.from = l.rng.To
	if l.state == done {
		p.compact()
		p.s.touchLocked(p)
		return
	}
	if p.open.n == 0 {
		p.s.log.Errorf("Range %v was prepared, and all of its records have expired: whatever part of it had not landed is lost", l.rng)
		p.s.metrics.expired.Incr(l.rng.To - l.rng.From)
		l.state = done
		p.s.touchLocked(p)
		return
	}
	p.fill(l)
	p.s.metrics.recovered.Incr(1)
	p.enqueue(l)
}

func (p *partition) fill(l *lease) {
	l.records = p.open
	p.open = p.open.next()
}

// insert puts a new range in its place and queues it.
func (p *partition) insert(l *lease) {
	at := len(p.leases)
	for at > 0 && p.leases[at-1].rng.From > l.rng.From {
		at--
	}
	p.leases = append(p.leases, nil)
	copy(p.leases[at+1:], p.leases[at:])
	p.leases[at] = l
	p.enqueue(l)
}

func (p *partition) enqueue(l *lease) {
	l.state = waiting
	p.dispatch()
}

// cutDue ends an open range whose period is over, when it could be delivered at once; otherwise it may as well grow.
func (p *partition) cutDue(now time.Time) {
	if p.inFlight < p.s.cfg.inFlight && p.open.n > 0 && now.Sub(p.openSince) >= p.s.cfg.period {
		p.cutNow()
	}
}

// cutNow ends the open range, if it may be ended.
func (p *partition) cutNow() {
	if p.cuttable() {
		p.cut(p.open.last + 1)
	}
}

// cuttable tells whether there are records to end a range with. One whose end is fixed is left to reach it.
func (p *partition) cuttable() bool {
	return p.open.n > 0 && p.gone == nil && !p.draining && !p.fixed()
}

// fixed tells whether the open range has its end from an earlier owner.
func (p *partition) fixed() bool {
	plan := p.planAhead()
	return plan != nil && plan.rng.From <= p.from
}

// dispatch moves waiting ranges into the session's queue, as many as may be in flight, lowest first.
func (p *partition) dispatch() {
	if p.draining || p.gone != nil || !p.anchored {
		return
	}
	for _, l := range p.leases {
		if p.inFlight >= p.s.cfg.inFlight {
			return
		}
		if l.state == waiting {
			p.inFlight++
			p.s.offerLocked(l)
		}
	}
}

// backlog tells whether ranges wait for a slot: then there is no use in reading on.
func (p *partition) backlog() bool {
	for _, l := range p.leases {
		if l.state == waiting {
			return true
		}
	}
	return false
}

// outstanding tells whether the pipeline holds ranges that it will still answer for.
func (p *partition) outstanding() bool {
	for _, l := range p.leases {
		if l.state == delivered {
			return true
		}
	}
	return false
}

// finish records that a range was acknowledged.
func (p *partition) finish(l *lease) {
	l.drop()
	l.state = done
	p.ended = append(p.ended, l.ending...)
	p.inFlight--
	p.compact()
	p.s.touchLocked(p)
	p.dispatch()
}

// compact lets go of done ranges below the watermark, and makes neighbours above it one: while a range fails, others may be done by the thousand.
func (p *partition) compact() {
	kept := p.leases[:0]
	for _, l := range p.leases {
		if n := len(kept); l.state == done && l.rng.To <= p.from {
			if n == 0 {
				continue
			}
			if last := kept[n-1]; last.state == done && last.rng.To == l.rng.From {
				both := last.rng
				both.To = l.rng.To
				kept[n-1] = &lease{p: p, rng: both, state: done}
				continue
			}
		}
		kept = append(kept, l)
	}
	clear(p.leases[len(kept):])
	p.leases = kept
	p.pass()
}

// watermark is the offset below which nothing is left to do.
func (p *partition) watermark() int64 {
	for _, l := range p.leases {
		if l.state != done {
			return min(l.rng.From, p.from)
		}
		if l.rng.From > p.from {
			break
		}
	}
	return p.from
}

// lose ends the partition: its leases die with it, and records that the pipeline does not hold are let go.
func (p *partition) lose(why error) {
	if p.gone != nil {
		return
	}
	p.gone = why
	close(p.lost)
	p.discard()
}

// discard lets go of every record that has not been delivered.
func (p *partition) discard() {
	p.s.buffered -= p.open.held
	p.open, p.passed = packed{}, 0 // what is let go was not passed
	for _, l := range p.leases {
		if l.state == waiting || l.state == ready || l.state == returned {
			l.drop()
		}
	}
}
