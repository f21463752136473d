package lookup

import (
	"errors"
	"sync"
	"time"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/source"
)

// doubts are the dimensions that may have another schema than the plan's. The server is asked in the background: by a batch it would have to
// be up, though batches can go on with what they have, and whoever brings the news must not be kept waiting.
type doubts struct {
	mu       sync.Mutex
	of       map[int]bool
	checking bool
}

// doubt has the schema of a dimension asked for.
func (j *Joiner) doubt(dimension int) {
	d := &j.doubts
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.of == nil {
		d.of = map[int]bool{}
	}
	d.of[dimension] = true
	if !d.checking {
		d.checking = true
		j.work.Go(j.settleDoubts)
	}
}

// take takes the dimensions in doubt; without one, the checking ends.
func (d *doubts) take() map[int]bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	taken := d.of
	d.of, d.checking = nil, len(taken) > 0
	return taken
}

// doubtPause bounds how often the server is asked, where doubts come with every other event.
const doubtPause = 200 * time.Millisecond

// settleDoubts asks until the server has answered for every dimension, or the joiner is closed.
func (j *Joiner) settleDoubts() {
	for attempt := 0; ; attempt++ {
		dimensions := j.doubts.take()
		if len(dimensions) == 0 {
			return
		}
		pause := doubtPause
		for dimension := range dimensions {
			if j.checkSchema(dimension) != nil {
				j.doubt(dimension)
				pause = max(pause, j.pause(attempt))
			}
		}
		if pause == doubtPause {
			attempt = 0
		}
		if sleep(j.life, pause) != nil {
			return
		}
	}
}

// checkSchema gives the plan up if a dimension's schema is no longer the server's. The error says that the server could not be asked.
func (j *Joiner) checkSchema(dimension int) error {
	if err := j.hold(j.life); err != nil { // a plan that is being made may have asked before the change
		return err
	}
	p := j.current.Load()
	j.letGo()
	if p == nil {
		return nil // the next one asks
	}
	schema, err := p.dims[dimension].source.Schema(j.life)
	var unfit *source.SchemaError
	if errors.As(err, &unfit) || (err == nil && schema.Digest != p.dims[dimension].schema.Digest) {
		j.replan(p)
		return nil
	}
	return err
}
