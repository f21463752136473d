package output

import (
	"context"
	"sync"
	"time"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/clickhouse/insert"
	"github.com/benthos-clickhouse/connect/delivery"
)

// ledger stands for Kafka: the intents that survive the crash of a process.
type ledger struct {
	mu      sync.Mutex
	intents map[string]delivery.Prepared
}

func newLedger() *ledger { return &ledger{intents: map[string]delivery.Prepared{}} }

// lease is one owner's right to a range. A process that crashed is one whose lease is forgotten, and recovered from the ledger.
type lease struct {
	ledger    *ledger
	r         delivery.Range
	recovered bool
	lost      bool
	age       time.Duration // how much older the intents claim to be

	mu      sync.Mutex
	claimed bool
	written map[string]bool
	ending  []func()
}

func (l *ledger) lease(from, to int64) *lease {
	return &lease{ledger: l, r: delivery.Range{Group: "g", Topic: "clicks", TopicID: [16]byte{1}, Partition: 3, From: from, To: to}, written: map[string]bool{}}
}

// recover is the same range in the hands of another owner.
func (l *lease) recover() *lease {
	n := l.ledger.lease(l.r.From, l.r.To)
	n.recovered = true
	return n
}

func (l *lease) Range() delivery.Range { return l.r }

func (l *lease) Claim(sink string) (func(error), error) {
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

func (l *lease) Pinned(sink string) (delivery.Prepared, bool) {
	l.ledger.mu.Lock()
	defer l.ledger.mu.Unlock()
	p, ok := l.ledger.intents[l.r.Name()+sink]
	p.Recovered = l.recovered
	p.At = p.At.Add(-l.age)
	return p, ok
}

func (l *lease) Prepare(_ context.Context, sink string, intent delivery.Intent) (delivery.Prepared, error) {
	if p, ok := l.Pinned(sink); ok {
		return p, nil
	}
	l.ledger.mu.Lock()
	defer l.ledger.mu.Unlock()
	p := delivery.Prepared{Intent: intent, At: time.Now()}
	l.ledger.intents[l.r.Name()+sink] = p
	return p, nil
}

func (l *lease) LookUp(_ context.Context, sink string, _ time.Duration) (delivery.Prepared, error) {
	l.ledger.mu.Lock()
	p := l.ledger.intents[l.r.Name()+sink]
	p.LookUp = true
	l.ledger.intents[l.r.Name()+sink] = p
	l.ledger.mu.Unlock()
	p, _ = l.Pinned(sink)
	return p, nil
}

func (l *lease) OnCommitted(f func()) { l.ending = append(l.ending, f) }

// commit is what the input does once Kafka holds that the range is done.
func (l *lease) commit() {
	for _, f := range l.ending {
		f()
	}
}

func (l *lease) Alive() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost {
		return delivery.ErrLost
	}
	return nil
}

// records is a Source whose documents have Kafka offsets, the first one's being that of the range.
type records struct {
	documents
	from int64
}

func (r records) Record(i int, rec *insert.Record) error {
	rec.JSON = []byte(r.documents[i])
	rec.Provenance = column.Provenance{Topic: "clicks", Partition: 3, Offset: r.from + int64(i), Valid: true}
	return nil
}

func rangeOf(from, to int) records { return records{events(from, to), int64(from)} }

// provenance are the columns that let landed rows be looked up.
var provenance = []insert.Column{
	{Name: "topic", Source: column.Meta("kafka_topic")},
	{Name: "partition", Source: column.Meta("kafka_partition")},
	{Name: "offset", Source: column.Meta("kafka_offset")},
}
