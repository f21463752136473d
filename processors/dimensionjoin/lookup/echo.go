package lookup

import (
	"sync"
	"time"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/cache"
)

// echoes are the pauses after which a change is applied again. A server writes a transaction to its binlog, and sends it to
// whoever follows, before the storage engine has committed it: a row that is read again at once may still be the old one. The
// engine follows within milliseconds; with semi-synchronous replication it waits for a replica, 10 s at most by default.
var echoes = [...]time.Duration{200 * time.Millisecond, 2 * time.Second, 15 * time.Second}

// echoBound is how many keys wait for an echo at most; beyond it, everything of the dimension is made due instead.
const echoBound = 1 << 17

// echoTick is how often echoes are looked for.
const echoTick = 50 * time.Millisecond

// change is a key that has to be made due again.
type change struct {
	at   time.Time
	view *cache.View
	key  string
}

// echoQueue are the changes that wait for one of the echoes: of keys, in their order, and of whole dimensions.
type echoQueue struct {
	keys []change
	all  map[*cache.View]span
}

// span holds the changes of a whole dimension together: it is made due when the first of them is, and once more for the last.
type span struct{ first, last time.Time }

// echo applies changes again.
type echo struct {
	mu      sync.Mutex
	queues  [len(echoes)]echoQueue
	started bool
}

// echo schedules the echoes of a change.
func (j *Joiner) echo(view *cache.View, key string, all bool) {
	e := &j.echoes
	now := time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.started {
		e.started = true
		j.work.Go(j.resound)
	}
	for i, pause := range echoes {
		e.queues[i].add(change{now.Add(pause), view, key}, all)
	}
}

func (q *echoQueue) add(c change, all bool) {
	if !all && len(q.keys) < echoBound {
		q.keys = append(q.keys, c)
		return
	}
	if q.all == nil {
		q.all = map[*cache.View]span{}
	}
	s, waiting := q.all[c.view]
	if !waiting {
		s.first = c.at
	}
	s.last = c.at
	q.all[c.view] = s
}

// resound applies the echoes that are due, until the joiner is closed.
func (j *Joiner) resound() {
	for sleep(j.life, echoTick) == nil {
		for i := range echoes {
			keys, all := j.echoes.take(i, time.Now())
			for _, c := range keys {
				c.view.Invalidate(c.key)
			}
			for _, view := range all {
				view.Flush()
			}
		}
	}
}

func (e *echo) take(i int, now time.Time) (keys []change, all []*cache.View) {
	e.mu.Lock()
	defer e.mu.Unlock()
	q := &e.queues[i]
	for view, s := range q.all {
		if s.first.After(now) {
			continue
		}
		all = append(all, view)
		if s.last.After(now) {
			q.all[view] = span{s.last, s.last}
		} else {
			delete(q.all, view)
		}
	}
	n := 0
	for n < len(q.keys) && !q.keys[n].at.After(now) {
		n++
	}
	keys = q.keys[:n:n]
	if n == len(q.keys) {
		q.keys = nil
	} else {
		q.keys = q.keys[n:]
	}
	return keys, all
}
