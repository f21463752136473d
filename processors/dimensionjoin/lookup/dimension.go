package lookup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/cache"
	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/source"
)

// Source reads a dimension; *source.Source does.
type Source interface {
	Schema(ctx context.Context) (*source.Schema, error)
	Load(ctx context.Context, schema *source.Schema, keys []string) (map[string]*source.Result, error)
	Scan(ctx context.Context, schema *source.Schema, emit func(key string, result *source.Result) error) error
	Changes(ctx context.Context, schema *source.Schema, column, since string, emit func(key string)) (next string, err error)
}

// dimension is one dimension for as long as the joiner lives.
type dimension struct {
	Dimension
	source Source
	stats  *Stats
	zone   *time.Location
	since  string // what Full.UpdatedAt has been followed to
}

// load reads keys, and keeps count.
func (p *planDim) load(ctx context.Context, keys []string) (map[string]*source.Result, error) {
	start := time.Now()
	results, err := p.source.Load(ctx, p.schema, keys)
	p.stats.Loads.Add(1)
	p.stats.LoadedKeys.Add(int64(len(keys)))
	p.stats.LoadNanos.Add(int64(time.Since(start)))
	if err != nil {
		p.stats.LoadErrors.Add(1)
	}
	return results, err
}

// describe completes a dimension with its schema and its part of the store.
func (j *Joiner) describe(ctx context.Context, d *dimension) (planDim, error) {
	schema, err := d.source.Schema(ctx)
	if err != nil {
		return planDim{}, err
	}
	p := planDim{dimension: d, schema: schema, missing: schema.Null}
	p.identity = fmt.Sprintf("%s|%s|%016x", j.config.Session, d.Source.Name, schema.Digest)
	p.view = j.store.View(p.identity, d.Source.AsOf != nil)
	if d.OnMissing == DefaultOnMissing {
		if p.missing, err = defaults(d, schema); err != nil {
			return planDim{}, err
		}
	}
	return p, nil
}

// defaults makes the row that an event is joined to whose key has none.
func defaults(d *dimension, schema *source.Schema) (source.Row, error) {
	left := map[string]json.RawMessage{}
	for column, value := range d.Defaults {
		left[column] = value
	}
	row, err := schema.Shape.Encode(func(dst []byte, i int) ([]byte, error) {
		value, ok := left[schema.Values[i].Name]
		if !ok {
			return append(dst, "null"...), nil
		}
		delete(left, schema.Values[i].Name)
		return append(dst, value...), nil
	})
	if err != nil {
		return row, err
	}
	for column := range left {
		return row, &source.SchemaError{Dimension: d.Source.Name, Column: column, Reason: "it has a default, but is not among the columns that are joined"}
	}
	return row, nil
}

// needs are the keys of a batch that cannot be joined as they are.
type needs struct {
	absent, stale, due []string
}

func (dw *dimWorker) needs() needs {
	var n needs
	for _, i := range dw.pending {
		switch s := &dw.slots[i]; s.state {
		case cache.Absent:
			n.absent = append(n.absent, string(dw.key(i)))
		case cache.Stale:
			n.stale = append(n.stale, string(dw.key(i)))
		case cache.Due:
			n.due = append(n.due, string(dw.key(i)))
		}
	}
	return n
}

// resolve gets an entry for every key of a dimension in the batch.
func (w *worker) resolveOne(ctx context.Context, d int) error {
	p, dw := &w.plan.dims[d], &w.dims[d]
	n := dw.needs()
	down := p.view.Down(w.now)
	if len(n.due) > 0 && !down {
		w.plan.refresh(d, n.due)
	}
	if down {
		n.stale = nil // served as they are
	}
	if len(n.absent)+len(n.stale) > 0 {
		got, err := p.view.Fetch(ctx, n.absent, n.stale, w.maxKeys(), p.load)
		dw.take(got)
		if err != nil {
			if err := w.withoutServer(ctx, d, err); err != nil {
				return err
			}
		} else {
			w.plan.joiner.outage.over(w.plan.joiner.log, p.Source.Name)
		}
	}
	for _, i := range dw.pending {
		s := &dw.slots[i]
		s.stale = s.state == cache.Stale
	}
	return w.retryMissing(ctx, d)
}

// refresh reads keys again in the background.
func (p *plan) refresh(d int, keys []string) {
	j := p.joiner
	p.dims[d].view.Refresh(j.life, keys, j.config.MaxKeys, func(ctx context.Context, keys []string) (map[string]*source.Result, error) {
		results, err := p.dims[d].load(ctx, keys)
		if err != nil {
			j.background(p, d, err)
		}
		return results, err
	})
}

func (w *worker) maxKeys() int { return w.plan.joiner.config.MaxKeys }

// take notes what was read for the batch.
func (dw *dimWorker) take(got map[string]*cache.Entry) {
	if len(got) == 0 {
		return
	}
	for _, i := range dw.pending {
		s := &dw.slots[i]
		if e := got[string(dw.key(i))]; e != nil {
			s.entry, s.state, s.loaded = e, cache.Fresh, true
		}
	}
}

// withoutServer decides what a failed read means for the batch: with a stale row for every key it goes on.
func (w *worker) withoutServer(ctx context.Context, d int, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, source.ErrSchemaChanged) {
		return err
	}
	dw := &w.dims[d]
	for _, i := range dw.pending {
		if dw.slots[i].state == cache.Absent {
			return err
		}
	}
	w.plan.joiner.outage.stale(w.plan.joiner.log, w.plan.dims[d].Source.Name, err)
	return nil
}

// retryMissing waits for rows that may be late. Only keys that were found missing for this batch are looked for again: one
// that is known to be missing costs no wait until its missing_ttl is over.
func (w *worker) retryMissing(ctx context.Context, d int) error {
	p, dw := &w.plan.dims[d], &w.dims[d]
	for range p.RetryMissing.Attempts {
		var late []string
		var asked int64
		for _, i := range dw.pending {
			if s := &dw.slots[i]; s.loaded && s.entry.Missing {
				late = append(late, string(dw.key(i)))
				asked = max(asked, s.entry.LoadedAt)
			}
		}
		if len(late) == 0 {
			return nil
		}
		if err := sleep(ctx, p.RetryMissing.Delay); err != nil {
			return err
		}
		p.stats.RetriedKeys.Add(int64(len(late)))
		got, err := p.view.FetchAgain(ctx, late, asked, w.maxKeys(), p.load)
		dw.take(got)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if errors.Is(err, source.ErrSchemaChanged) {
				return err
			}
			w.plan.joiner.outage.stale(w.plan.joiner.log, p.Source.Name, err)
			return nil
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
