package kafka

import (
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
	sent      atomic.Int64
	last      atomic.Int64
	ambiguous func(error) // told of a commit that may have been received and was not answered

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
		p.last.Store(p.sent.Load())
	}
}

// unanswered tells, while no commit is under way, whether one was sent whose answer never came. kgo sends such a commit again by itself, and may
// say so here (OnBrokerE2E) only after it has told the caller that the second one succeeded.
func (p *pulse) unanswered() bool { return p.commitsSent.Load() != p.commitsAnswered.Load() }

// OnBrokerE2E implements kgo.HookBrokerE2E.
func (p *pulse) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e2e kgo.BrokerE2E) {
	if key == keyOffsetCommit && e2e.BytesWritten > 0 && e2e.Err() != nil {
		p.ambiguous(e2e.Err())
	}
}

// silence is how long ago the last answered heartbeat was sent.
func (p *pulse) silence() time.Duration { return p.now() - time.Duration(p.last.Load()) }
