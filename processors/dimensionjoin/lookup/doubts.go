package lookup

import (
	"errors"
	"sync"

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

// next takes a dimension that is in doubt; without one, the checking ends.
func (d *doubts) next() (dimension int, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for dimension = range d.of {
		delete(d.of, dimension)
		return dimension, true
	}
	d.checking = false
	return 0, false
}

// settleDoubts asks until the server has answered for every dimension, or the joiner is closed.
func (j *Joiner) settleDoubts() {
	for attempt := 0; ; {
		dimension, ok := j.doubts.next()
		if !ok {
			return
		}
		if j.checkSchema(dimension) == nil {
			attempt = 0
			continue
		}
		j.doubt(dimension)
		if sleep(j.life, j.pause(attempt)) != nil {
			return
		}
		attempt++
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
