package insert

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"
	"time"

	ch "github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
)

// AddColumns bounds what unknown members may do to the tables.
type AddColumns struct {
	Include  []*regexp.Regexp // names that may become columns; empty: all
	Exclude  []*regexp.Regexp // names that may not, whatever Include says
	Max      int              // columns that the table may have in all
	Interval time.Duration    // least time between two changes
}

// allows tells whether a member may become a column.
func (a *AddColumns) allows(name string) bool {
	matches := func(r *regexp.Regexp) bool { return r.MatchString(name) }
	if name == "" || slices.ContainsFunc(a.Exclude, matches) {
		return false
	}
	return len(a.Include) == 0 || slices.ContainsFunc(a.Include, matches)
}

// evolution adds columns. All Writes share it.
type evolution struct {
	mu      sync.Mutex
	next    time.Time       // no change before
	refused map[string]bool // names that a server did not take, which are not tried again
}

// maxNoticed bounds what is remembered of a batch that brings ever new members.
const maxNoticed = 1000

// notice collects the members of the row at hand that no column wants.
func (c *cutter) notice() {
	for _, u := range c.reader.Unknown() {
		if u.Type == "" || len(c.cut.unknown) >= maxNoticed {
			continue
		}
		if _, ok := c.cut.unknown[u.Name]; ok || !c.w.opts.AddColumns.allows(u.Name) {
			continue
		}
		if c.cut.unknown == nil {
			c.cut.unknown = map[string]string{}
		}
		c.cut.unknown[u.Name] = u.Type
	}
}

// evolve adds columns for the members that a cut found no column for, and tells whether the batch has to be cut again for them. What
// cannot be added is passed over: rows never wait for it.
func (w *Writer) evolve(ctx context.Context, c *cut) bool {
	if len(c.unknown) == 0 {
		return false
	}
	e := &w.evolution
	e.mu.Lock()
	defer e.mu.Unlock()
	if t := w.target.Load(); t != c.target {
		return true // another Write was first
	}
	if now := time.Now(); now.Before(e.next) {
		return false
	}
	e.next = time.Now().Add(w.opts.AddColumns.Interval)
	names := slices.Sorted(maps.Keys(c.unknown))
	names = slices.DeleteFunc(names, func(name string) bool { return e.refused[name] })
	if room := w.opts.AddColumns.Max - len(c.target.layout.Table.Columns); len(names) > room {
		w.log.Warn("table has as many columns as unknown_fields may give it, the others are ignored", "table", w.sink, "max", w.opts.AddColumns.Max, "ignored", names[max(room, 0):])
		names = names[:max(room, 0)]
	}
	if len(names) == 0 {
		return false
	}
	added, err := w.addAcceptable(ctx, c.target.layout, names, c.unknown)
	if err != nil {
		w.log.Warn("columns could not be added, their members are ignored", "table", w.sink, "error", err)
	}
	if len(added) > 0 {
		w.log.Info("columns added for unknown members", "table", w.sink, "columns", added)
	}
	if err := w.readAddedColumns(ctx); err != nil {
		w.log.Warn("the table's columns could not be read", "table", w.sink, "error", err)
	}
	return w.opts.Cluster.Layout() != c.target.source
}

// lookTries bounds how long rows wait for all replicas to have a column.
const lookTries = 5

// readAddedColumns reads the columns again. Replicas copy a change from each other a moment later, and until then the tables differ.
func (w *Writer) readAddedColumns(ctx context.Context) error {
	for n := 1; ; n++ {
		_, err := w.opts.Cluster.Refresh(ctx)
		var differ *cluster.StructureError
		if n == lookTries || !errors.As(err, &differ) {
			return err
		}
		if err := sleep(ctx, w.opts.Retries.backoff(n)); err != nil {
			return err
		}
	}
}

// addAcceptable adds the columns with one change a table or, if a server refuses that, one by one: a name that it does not take must
// not hold up the others. It returns the columns that all tables have now.
func (w *Writer) addAcceptable(ctx context.Context, l *cluster.Layout, names []string, types map[string]string) (added []string, err error) {
	err = w.addColumns(ctx, l, names, types)
	if err == nil {
		return names, nil
	}
	if !ch.IsException(err) || ch.IsErr(err, proto.ErrAccessDenied, proto.ErrReadonly) {
		return nil, fmt.Errorf("columns %q: %w", names, err)
	}
	var refusals []error
	for _, name := range names {
		err := w.addColumns(ctx, l, []string{name}, types)
		switch {
		case err == nil:
			added = append(added, name)
			continue
		case ch.IsException(err):
			w.evolution.refuse(name)
		}
		refusals = append(refusals, fmt.Errorf("column %q of type %s: %w", name, types[name], err))
	}
	return added, errors.Join(refusals...)
}

// refuse remembers a name, so that it is asked for and complained of once in a Writer's life.
func (e *evolution) refuse(name string) {
	if len(e.refused) >= maxNoticed {
		return
	}
	if e.refused == nil {
		e.refused = map[string]bool{}
	}
	e.refused[name] = true
}

// addColumns changes the local tables first, and then the Distributed one: it must not promise what a shard does not have.
func (w *Writer) addColumns(ctx context.Context, l *cluster.Layout, names []string, types map[string]string) error {
	for i := range l.Shards {
		replicas := l.Shards[i].Replicas
		for _, r := range replicas {
			err := w.alter(ctx, r, l.Target(i), names, types)
			if err == nil && l.Table.Replicated() {
				break // the others copy the change
			}
			if err != nil && (!l.Table.Replicated() || r == replicas[len(replicas)-1]) {
				return fmt.Errorf("on %s: %w", r, err)
			}
		}
	}
	if !l.Table.Distributed {
		return nil
	}
	for i := range l.Shards {
		for _, r := range l.Shards[i].Replicas {
			// Not every host of the cluster needs to have the Distributed table.
			if err := w.alter(ctx, r, l.Table.DistributedName, names, types); err != nil && !ch.IsErr(err, proto.ErrUnknownTable, proto.ErrUnknownDatabase) {
				return fmt.Errorf("on %s: %w", r, err)
			}
		}
	}
	return nil
}

// alter adds the columns to one table on one host.
func (w *Writer) alter(ctx context.Context, r *cluster.Replica, table string, names []string, types map[string]string) error {
	conn, err := w.opts.Cluster.AcquireReplica(ctx, r)
	if err != nil {
		return err
	}
	body := "ALTER TABLE " + table
	for i, name := range names {
		if i > 0 {
			body += ","
		}
		body += " ADD COLUMN IF NOT EXISTS " + quoteName(name) + " " + types[name]
	}
	err = conn.Do(ctx, ch.Query{Body: body})
	conn.Release(err)
	return err
}
