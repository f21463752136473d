// Package leases stands for Kafka where an exactly-once output is tested without an input: it keeps the intents that survive the crash of a
// process, and hands out the leases that they are recorded through. It knows of no time and no other owners: that is tested with the input itself.
package leases

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/benthos-clickhouse/connect/delivery"
)

// Kafka is one partition of a topic, and what is recorded of its ranges.
type Kafka struct {
	Topic     string
	TopicID   [16]byte
	Partition int32

	mu      sync.Mutex
	intents map[string]delivery.Prepared
}

// New is a partition of which nothing is recorded.
func New(topic string, partition int32) *Kafka {
	return &Kafka{Topic: topic, TopicID: [16]byte{1}, Partition: partition, intents: map[string]delivery.Prepared{}}
}

// Intents is what is recorded of all ranges.
func (k *Kafka) Intents() []delivery.Prepared {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Collect(maps.Values(k.intents))
}

// Change changes what is recorded, as if it had been recorded under other circumstances.
func (k *Kafka) Change(change func(*delivery.Prepared)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for name, p := range k.intents {
		change(&p)
		k.intents[name] = p
	}
}

func (k *Kafka) intent(name string) (delivery.Prepared, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, ok := k.intents[name]
	return p, ok
}

func (k *Kafka) record(name string, p delivery.Prepared) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.intents[name] = p
}

// Lease is the first owner's right to a range.
func (k *Kafka) Lease(from, to int64) *Lease {
	r := delivery.Range{Group: "g", Topic: k.Topic, TopicID: k.TopicID, Partition: k.Partition, From: from, To: to}
	return &Lease{Kafka: k, r: r, written: map[string]bool{}}
}

// Lease is one owner's right to a range. A process that crashed is one whose lease is forgotten, and recovered.
type Lease struct {
	Kafka     *Kafka
	r         delivery.Range
	recovered bool

	mu      sync.Mutex
	lost    bool
	claimed bool
	written map[string]bool
	ending  []func()
	landed  time.Time
}

// Recover is the same range in the hands of the next owner.
func (l *Lease) Recover() *Lease {
	next := l.Kafka.Lease(l.r.From, l.r.To)
	next.recovered = true
	return next
}

// Again is the range when it is delivered to the same owner once more, since something else of its batch failed.
func (l *Lease) Again() *Lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.Kafka.Lease(l.r.From, l.r.To)
	next.recovered, next.landed = l.recovered, l.landed
	return next
}

// Lose takes the range away from its owner.
func (l *Lease) Lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = true
}

// Commit is what the input does once Kafka holds that the range is done.
func (l *Lease) Commit() {
	l.mu.Lock()
	ending := l.ending
	l.ending = nil
	l.mu.Unlock()
	for _, f := range ending {
		f()
	}
}

// Range implements delivery.Lease.
func (l *Lease) Range() delivery.Range { return l.r }

// Claim implements delivery.Lease.
func (l *Lease) Claim(sink string) (release func(error), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.claimed {
		return nil, delivery.ErrClaimed
	}
	if l.written[sink] {
		return nil, delivery.ErrAlreadyWritten
	}
	l.claimed = true
	return func(err error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.claimed = false
		l.written[sink] = l.written[sink] || err == nil
	}, nil
}

// Pinned implements delivery.Lease.
func (l *Lease) Pinned(sink string) (delivery.Prepared, bool) {
	p, ok := l.Kafka.intent(l.r.Name() + sink)
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.Recovered, p.Landed = l.recovered, l.landed; l.recovered {
		p.Landed = p.At
	}
	return p, ok
}

// Prepare implements delivery.Lease.
func (l *Lease) Prepare(_ context.Context, sink string, intent delivery.Intent) (delivery.Prepared, error) {
	if p, ok := l.Pinned(sink); ok {
		return p, nil
	}
	p := delivery.Prepared{Intent: intent, At: time.Now()}
	l.Kafka.record(l.r.Name()+sink, p)
	return p, nil
}

// LookUp implements delivery.Lease. It has nobody to wait for: no owner is still sending when the next one begins.
func (l *Lease) LookUp(_ context.Context, sink string, _ time.Duration) (delivery.Prepared, error) {
	p, _ := l.Pinned(sink)
	p.LookUp = true
	l.Kafka.record(l.r.Name()+sink, p)
	return p, nil
}

// MayHaveLanded implements delivery.Lease.
func (l *Lease) MayHaveLanded(_ string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.landed.IsZero() || at.Before(l.landed) {
		l.landed = at
	}
}

// OnCommitted implements delivery.Lease.
func (l *Lease) OnCommitted(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ending = append(l.ending, f)
}

// Alive implements delivery.Lease.
func (l *Lease) Alive() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost {
		return delivery.ErrLost
	}
	return nil
}
