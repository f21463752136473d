package kafka

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Keys of the requests that are watched: what proves to the group that this member lives, and what must not be answered twice.
const (
	keyOffsetCommit = 8
	keyHeartbeat    = 12
	keySyncGroup    = 14
)

// pulse watches the requests of one client. A heartbeat counts from when it was sent, by a clock that counts suspension: the coordinator has
// seen this member at that time or later.
type pulse struct {
	now       func() time.Duration
	limit     time.Duration // the session timeout
	sent      atomic.Int64
	answered  atomic.Int64 // when the last one that was answered had been sent
	last      atomic.Int64 // the same, unless it came after a silence: the answer may be that we are no longer a member
	ambiguous func(error)  // told of a commit that may have been received and was not answered
	expired   func(error)  // told of a heartbeat that came after a silence longer than limit

	commitsSent, commitsAnswered atomic.Int64
}

var (
	_ kgo.HookBrokerWrite = (*pulse)(nil)
	_ kgo.HookBrokerRead  = (*pulse)(nil)
	_ kgo.HookBrokerE2E   = (*pulse)(nil)
)

// OnBrokerWrite implements kgo.HookBrokerWrite.
func (p *pulse) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, written int, _, _ time.Duration, err error) {
	if key == keyOffsetCommit && written > 0 {
		p.commitsSent.Add(1)
	}
	if err == nil && (key == keyHeartbeat || key == keySyncGroup) {
		p.sent.Store(int64(p.now()))
	}
}

// OnBrokerRead implements kgo.HookBrokerRead.
func (p *pulse) OnBrokerRead(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if err == nil && key == keyOffsetCommit {
		p.commitsAnswered.Add(1)
	}
	if err == nil && (key == keyHeartbeat || key == keySyncGroup) {
		p.beat(key)
	}
}

// beat judges an answer, of which kgo tells nothing but that it came. Within the limit the group cannot have given us up before. After it, kgo may hear that it
// has, and takes its time (a revocation under way) to say so. Joining may take longer than the limit, too, while others finish their work: then
// onAssigned, or a heartbeat that follows, tells that we are in.
func (p *pulse) beat(key int16) {
	sent := p.sent.Load()
	silent := time.Duration(sent - p.answered.Swap(sent))
	switch {
	case silent <= p.limit:
		p.last.Store(sent)
	case key == keyHeartbeat:
		p.expired(fmt.Errorf("%w: %v", ErrHeartbeatsMissed, silent.Round(time.Millisecond)))
	}
}

// letIn says that the answers up to now were those to a member.
func (p *pulse) letIn() { p.last.Store(p.answered.Load()) }

// unanswered tells, while no commit is under way, whether one was sent whose answer never came. kgo sends such a commit again by itself, and may
// say so here (OnBrokerE2E) only after it has told the caller that the second one succeeded.
func (p *pulse) unanswered() bool { return p.commitsSent.Load() != p.commitsAnswered.Load() }

// OnBrokerE2E implements kgo.HookBrokerE2E.
func (p *pulse) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e2e kgo.BrokerE2E) {
	if key == keyOffsetCommit && e2e.BytesWritten > 0 && e2e.Err() != nil {
		p.ambiguous(e2e.Err())
	}
}

// silence is how long ago the last heartbeat was sent that proves us a member.
func (p *pulse) silence() time.Duration { return p.now() - time.Duration(p.last.Load()) }
