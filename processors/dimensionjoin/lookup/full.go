package lookup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/source"
)

// errBound ends a scan that has filled the cache.
var errBound = errors.New("the cache is full")

// preload reads all full dimensions, before the first event is joined by a plan.
func (j *Joiner) preload(ctx context.Context, p *plan) error {
	for i := range p.dims {
		d := &p.dims[i]
		if !d.Full.Enabled {
			continue
		}
		if d.Full.UpdatedAt != "" && !j.followed { // asked before the rows are read, or changes meanwhile would go by unseen
			var err error
			if d.since, err = d.source.Changes(ctx, d.schema, d.Full.UpdatedAt, "", nil); err != nil {
				return err
			}
		}
		if err := j.scan(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// scan reads a whole dimension into the cache. A cache too small for it is no error: the rest is read as it is wanted.
func (j *Joiner) scan(ctx context.Context, d *planDim) error {
	pass := d.view.BeginScan()
	defer pass.End()
	rows := 0
	start := time.Now()
	err := d.source.Scan(ctx, d.schema, func(key string, r *source.Result) error {
		pass.Put(key, r)
		if rows++; rows%1024 == 0 && d.view.Full() {
			return errBound
		}
		return nil
	})
	d.stats.Loads.Add(1)
	d.stats.LoadedKeys.Add(int64(rows))
	d.stats.LoadNanos.Add(int64(time.Since(start)))
	if errors.Is(err, errBound) {
		if j.outage.due("bound " + d.Source.Name) {
			j.log.Warn("the cache is too small for a dimension with load: full; rows that did not fit are read as they are wanted",
				"dimension", d.Source.Name, "rows_loaded", rows)
		}
		return nil
	}
	if err != nil {
		d.stats.LoadErrors.Add(1)
		return fmt.Errorf("loading all rows: %w", err)
	}
	pass.Complete()
	j.log.Debug("loaded a dimension", "dimension", d.Source.Name, "rows", rows, "took", time.Since(start))
	return nil
}

// follow starts the goroutines that keep full dimensions fresh, once.
func (j *Joiner) follow() {
	if j.followed {
		return
	}
	j.followed = true
	for i, d := range j.dims {
		if !d.Full.Enabled {
			continue
		}
		j.repeat(d.Full.Interval, func() { j.rescan(i) })
		if d.Full.UpdatedAt != "" {
			j.repeat(d.Full.PollInterval, func() { d.since = j.poll(i, d.since) })
		}
	}
}

func (j *Joiner) repeat(interval time.Duration, do func()) {
	if interval <= 0 {
		return
	}
	j.work.Go(func() {
		for sleep(j.life, interval) == nil {
			do()
		}
	})
}

func (j *Joiner) rescan(i int) {
	p := j.current.Load()
	if p == nil {
		return
	}
	d := &p.dims[i]
	schema, err := d.source.Schema(j.life) // a scan does not notice all that is different, a new column for example
	if err == nil && schema.Digest != d.schema.Digest {
		err = source.ErrSchemaChanged
	}
	if err == nil {
		err = j.scan(j.life, d)
	}
	if err != nil {
		j.background(p, i, err)
	}
}

// background handles an error that no batch waits for.
func (j *Joiner) background(p *plan, i int, err error) {
	if j.life.Err() != nil {
		return
	}
	if errors.Is(err, source.ErrSchemaChanged) {
		j.replan(p)
		return
	}
	j.outage.stale(j.log, p.dims[i].Source.Name, err)
}

// poll makes the rows due that have changed since the last poll, and returns where to go on.
func (j *Joiner) poll(i int, since string) string {
	p := j.current.Load()
	if p == nil {
		return since
	}
	d := &p.dims[i]
	next, err := d.source.Changes(j.life, d.schema, d.Full.UpdatedAt, since, func(key string) {
		if d.view.Invalidate(key) {
			d.stats.Invalidations.Add(1)
		}
	})
	if err != nil {
		j.background(p, i, err)
		return since
	}
	return next
}
