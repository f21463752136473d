package lookup

import (
	"slices"
	"strings"
	"time"
)

// Watched names a table whose changes concern the join. Database is "" for the connection's own.
type Watched struct{ Database, Table string }

// Watched lists the tables that the dimensions are read from.
func (j *Joiner) Watched() []Watched {
	seen := map[Watched]bool{}
	var out []Watched
	for _, d := range j.dims {
		for _, w := range d.watched() {
			if !seen[w] {
				seen[w] = true
				out = append(out, w)
			}
		}
	}
	return out
}

func (d *dimension) watched() []Watched {
	names := d.Watch
	if d.Source.Table != "" {
		names = append([]string{d.Source.Table}, names...)
	}
	out := make([]Watched, len(names))
	for i, n := range names {
		if database, table, found := strings.Cut(n, "."); found {
			out[i] = Watched{database, table}
		} else {
			out[i] = Watched{"", n}
		}
	}
	return out
}

// each calls do for the dimensions that are read from the table.
func (j *Joiner) each(w Watched, do func(d *planDim, own bool)) {
	dims := j.latest.Load()
	if dims == nil {
		return // nothing has been read yet
	}
	for i := range *dims {
		d := &(*dims)[i]
		for n, of := range d.watched() {
			if of == w {
				do(d, n == 0 && d.Source.Table != "")
			}
		}
	}
}

// RowChanged applies the image of a changed row, as source.Schema.LoggedKey understands it.
func (j *Joiner) RowChanged(w Watched, names []string, values []any, skipped []int) {
	j.each(w, func(d *planDim, own bool) {
		if !own {
			j.flush(d) // which keys of a query's result a row is in, only the server knows
			return
		}
		key, ok := d.schema.LoggedKey(names, values, skipped)
		switch {
		case !ok:
			j.flush(d)
		case key == "" && len(d.schema.Keys) > 1:
		default:
			if d.view.Invalidate(key) {
				d.stats.Invalidations.Add(1)
			}
			j.echo(d.view, key, false)
		}
	})
}

func (j *Joiner) flush(d *planDim) {
	d.view.Flush()
	d.stats.Flushes.Add(1)
	j.echo(d.view, "", true)
}

// TableChanged applies a change of a table's definition, or of all its rows at once.
func (j *Joiner) TableChanged(w Watched) {
	j.each(w, func(d *planDim, _ bool) { j.flush(d) })
	for i, d := range j.dims {
		if slices.Contains(d.watched(), w) {
			j.doubt(i)
		}
	}
}

// AnythingChanged makes everything due: changes may have gone by unseen, those of definitions too.
func (j *Joiner) AnythingChanged(reason string) {
	for i := range j.dims {
		j.doubt(i)
	}
	dims := j.latest.Load()
	if dims == nil {
		return
	}
	for i := range *dims {
		j.flush(&(*dims)[i])
	}
	j.log.Info("all cached rows will be read again when they are wanted", "reason", reason)
}

// SetLag notes how far behind the server the news of changes are.
func (j *Joiner) SetLag(lag time.Duration) { j.binlogLag.Store(int64(lag)) }
