package clickhouse

import (
	"context"
	"sync"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
)

// quiet is the least time between two alerts about dead letters: one bad deployment of a producer is one alert a minute, not one
// for each batch.
const quiet = time.Minute

// waiting is how many alerts may wait for their output; more are dropped and logged, since the stream never waits for them.
const waiting = 64

// alerts tells a child output of what somebody should look at. A nil *alerts only swallows them.
type alerts struct {
	out   *service.OwnedOutput
	log   *service.Logger
	table string

	mu       sync.Mutex
	letters  int       // since the last alert about them
	lastSent time.Time // of an alert about dead letters
}

func (a *alerts) spooled(shard, rows int, path string, reason error) {
	if a == nil {
		return
	}
	a.send(map[string]any{
		"alert": "block_spooled", "table": a.table, "shard": shard, "rows": rows, "path": path, "reason": reason.Error(),
	})
}

func (a *alerts) rejected(rows int) {
	if a == nil {
		return
	}
	a.mu.Lock()
	a.letters += rows
	n, now := a.letters, time.Now()
	due := now.Sub(a.lastSent) >= quiet
	if due {
		a.letters, a.lastSent = 0, now
	}
	a.mu.Unlock()
	if due {
		a.send(map[string]any{"alert": "dead_letters", "table": a.table, "rows": n})
	}
}

// send hands the alert over if the child output takes it at once.
func (a *alerts) send(alert map[string]any) {
	m := service.NewMessage(nil)
	alert["time"] = time.Now().UTC().Format(time.RFC3339)
	m.SetStructuredMut(alert)
	err := a.out.WriteBatchNonBlocking(service.MessageBatch{m}, func(_ context.Context, err error) error {
		if err != nil {
			a.log.Errorf("Alert could not be delivered: %v", err)
		}
		return nil
	})
	if err != nil {
		a.log.Errorf("Alert could not be handed over: %v", err)
	}
}
