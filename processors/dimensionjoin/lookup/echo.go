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

// change is a key, or a whole dimension, that has to be made due again.
type change struct {
	at   time.Time
	view *cache.View
	key  string
	all  bool
}

// echo applies changes again.
type echo struct {
	mu      sync.Mutex
	queues  [len(echoes)][]change
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
		c := change{now.Add(pause), view, key, all}
		if len(e.queues[i]) >= echoBound {
			c.key, c.all = "", true
		}
		if n := len(e.queues[i]); n > 0 && c.all {
			if last := &e.queues[i][n-1]; last.all && last.view == view {
				last.at = c.at // one is enough
				continue
			}
		}
		e.queues[i] = append(e.queues[i], c)
	}
}

// resound applies the echoes that are due, until the joiner is closed.
func (j *Joiner) resound() {
	for sleep(j.life, echoTick) == nil {
		for i := range echoes {
			for _, c := range j.echoes.take(i, time.Now()) {
				if c.all {
					c.view.Flush()
				} else {
					c.view.Invalidate(c.key)
				}
			}
		}
	}
}

func (e *echo) take(i int, now time.Time) []change {
	e.mu.Lock()
	defer e.mu.Unlock()
	q := e.queues[i]
	n := 0
	for n < len(q) && !q[n].at.After(now) {
		n++
	}
	if n == len(q) {
		e.queues[i] = nil
	} else {
		e.queues[i] = q[n:]
	}
	return q[:n:n]
}
