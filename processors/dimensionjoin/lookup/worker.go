package lookup

import (
	"context"
	"errors"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/cache"
	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/source"
)

// Numbers of slots that are none.
const (
	noKey  int32 = -1 // the event has no key for the dimension
	noSlot int32 = -2 // the event is not joined
)

// worker is the scratch of one batch at a time.
type worker struct {
	plan    *plan
	scanner *jsonscan.Scanner
	spans   []jsonscan.Span
	dims    []dimWorker
	events  []Event
	arrays  [][]byte        // the joined documents; made for each batch
	slots   []int32         // events × dimensions
	rows    []*source.Row   // events × dimensions
	saved   []jsonscan.Span // events × plan.saved
	times   []int64         // events × plan.times
	clashes []bool          // events that have a member which a row adds
	fields  []source.Field  // of one key
	text    []byte          // of values that are not in the event's bytes
	now     int64
}

// dimWorker is a worker's scratch for one dimension.
type dimWorker struct {
	interner
	keyer  *source.Keyer
	direct bool // the key is one string column: a plain string of the event is the key as it stands
	counts counts
}

// counts are the batch's share of Stats.
type counts struct{ hits, negative, misses, unmatched, stale, errors int64 }

func newWorker(p *plan) *worker {
	w := &worker{plan: p, scanner: p.fields.NewScanner(), spans: make([]jsonscan.Span, p.targetPath+len(p.targets))}
	for i := range p.dims {
		d := &p.dims[i]
		w.dims = append(w.dims, dimWorker{
			interner: newInterner(),
			keyer:    source.NewKeyer(d.Source.Name, d.schema.Keys),
			direct:   len(d.schema.Keys) == 1 && d.schema.Keys[0].Kind == source.KeyString,
		})
	}
	return w
}

// window is how many events are joined while their bytes are still in the CPU's cache, when nothing has to be read for them.
const window = 256

// join joins the batch, or returns why rows could not be read; the events are as they were then.
func (w *worker) join(ctx context.Context, events []Event) ([][]byte, error) {
	w.begin(events)
	defer w.end()
	built := 0
	for from := 0; from < len(events); from += window {
		to := min(from+window, len(events))
		for i := from; i < to; i++ {
			w.extract(i)
		}
		if built == from && w.settled(from, to) {
			for d := range w.dims {
				w.pick(d, from, to)
			}
			w.build(from, to)
			built = to
		}
	}
	if err := w.joinRest(ctx, built); err != nil {
		return nil, err
	}
	w.publish()
	return w.arrays, nil
}

// settled reports whether events can be joined at once: every row is there, and none of the events is a structure, which
// could not be joined again if a row of a later event cannot be read.
func (w *worker) settled(from, to int) bool {
	if len(w.plan.levels) > 1 {
		return false
	}
	for d := range w.dims {
		if len(w.dims[d].pending) > 0 {
			return false
		}
	}
	for i := from; i < to; i++ {
		if w.events[i].Object != nil {
			return false
		}
	}
	return true
}

// joinRest joins the events that need a row which has to be read, and all after them.
func (w *worker) joinRest(ctx context.Context, from int) error {
	to := len(w.events)
	if from == to {
		return nil
	}
	for level, dims := range w.plan.levels {
		if level > 0 {
			w.lateKeys(dims, from)
		}
		if err := w.resolve(ctx, dims); err != nil {
			return err
		}
		for _, d := range dims {
			w.pick(d, from, to)
		}
	}
	w.build(from, to)
	return nil
}

func (w *worker) begin(events []Event) {
	p := w.plan
	n := len(events)
	w.events = events
	w.now = p.joiner.store.Now()
	w.slots = resize(w.slots, n*len(p.dims))
	w.rows = resize(w.rows, n*len(p.dims))
	w.saved = resize(w.saved, n*p.saved)
	w.times = resize(w.times, n*p.times)
	w.clashes = resize(w.clashes, n)
	w.text = w.text[:0]
	for d := range w.dims {
		w.dims[d].recall(w.now, w.plan.dims[d].view.Epoch())
		w.dims[d].counts = counts{}
	}
	for i := range events {
		events[i].Err, events[i].Drop = nil, false
	}
}

// end lets go of the events, and of the rows but for what the interners remember.
func (w *worker) end() {
	clear(w.rows)
	clear(w.fields)
	w.events, w.arrays = nil, nil
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/4)
	}
	return s[:n]
}

// extract finds the key fields of an event, and makes the keys of the first level.
func (w *worker) extract(i int) {
	ev := &w.events[i]
	w.clashes[i] = false
	if ev.Object == nil {
		if err := w.scanner.Scan(ev.Doc, w.spans); err != nil {
			if errors.Is(err, jsonscan.ErrNotObject) {
				err = ErrNotObject
			}
			w.fail(i, &EventError{Err: err})
			return
		}
		for _, s := range w.spans[w.plan.targetPath:] {
			if s.Kind != jsonscan.Missing {
				w.clashes[i] = true
			}
		}
		w.save(i)
	}
	for _, d := range w.plan.levels[0] {
		w.key(i, d)
	}
}

// save keeps the spans that later levels need.
func (w *worker) save(i int) {
	if w.plan.saved == 0 {
		return
	}
	for d := range w.plan.dims {
		for _, f := range w.plan.dims[d].fields() {
			if f.saved >= 0 {
				w.saved[i*w.plan.saved+f.saved] = w.spans[f.path]
			}
		}
	}
}

// fail leaves the event as it is, with an error.
func (w *worker) fail(i int, err error) {
	w.events[i].Err = err
	w.skip(i)
}

// skip takes the event out of the join.
func (w *worker) skip(i int) {
	n := len(w.plan.dims)
	for d := range n {
		w.slots[i*n+d] = noSlot
		w.rows[i*n+d] = nil
	}
}

// lateKeys makes the keys of a later level.
func (w *worker) lateKeys(dims []int, from int) {
	for i := from; i < len(w.events); i++ {
		if w.events[i].Err != nil || w.events[i].Drop {
			continue
		}
		for _, d := range dims {
			w.key(i, d)
		}
	}
}

// key makes the key of one event for one dimension, and looks it up if it is the batch's first of its kind.
func (w *worker) key(i, d int) {
	if w.events[i].Err != nil {
		return // by an earlier dimension
	}
	p, dw := &w.plan.dims[d], &w.dims[d]
	at := i*len(w.plan.dims) + d
	if dw.direct && p.level == 0 && p.key[0].path >= 0 && w.events[i].Object == nil {
		if s := w.spans[p.key[0].path]; s.Kind == jsonscan.String && s.End-s.Start <= source.LongestKey {
			w.slots[at] = w.intern(d, s.Bytes(w.events[i].Doc))
			w.instant(i, d)
			return
		}
	}
	w.fields = w.fields[:0]
	for k := range p.key {
		f, err := w.field(i, &p.key[k])
		if err != nil {
			dw.counts.errors++
			w.fail(i, &EventError{p.Source.Name, err})
			return
		}
		w.fields = append(w.fields, f)
	}
	key, err := dw.keyer.Key(w.fields)
	switch {
	case err == nil:
		w.slots[at] = w.intern(d, key)
		w.instant(i, d)
	case errors.Is(err, source.ErrNoKey):
		w.slots[at] = noKey
	default:
		dw.counts.errors++
		w.fail(i, err)
	}
}

// instant finds the event's own time, for a dimension with versions.
func (w *worker) instant(i, d int) {
	p := &w.plan.dims[d]
	if p.timeAt < 0 {
		return
	}
	f, err := w.field(i, &p.time)
	if err == nil {
		var t int64
		if t, err = source.ParseInstant(f, p.Source.AsOf.Unit, p.zone); err == nil {
			w.times[i*w.plan.times+p.timeAt] = t
			return
		}
		if errors.Is(err, source.ErrNoKey) {
			err = errNoTime
		}
	}
	w.dims[d].counts.errors++
	w.fail(i, &EventError{p.Source.Name, err})
}

var errNoTime = errors.New("the event has no time to join as of")

// intern numbers the key, and looks it up unless it is known to be fresh.
func (w *worker) intern(d int, key []byte) int32 {
	dw := &w.dims[d]
	n, first := dw.find(key)
	if first {
		s := &dw.slots[n]
		s.loaded, s.stale = false, false
		if w.now >= s.until {
			w.lookUp(d, n, s)
		}
	}
	return n
}

func (w *worker) lookUp(d int, n int32, s *slot) {
	s.entry, s.state = w.plan.dims[d].view.Get(w.dims[d].key(n), w.now)
	if s.state == cache.Fresh {
		s.until = s.entry.RefreshAt
		return
	}
	s.until = 0
	w.dims[d].pending = append(w.dims[d].pending, n)
}

// pick chooses each event's row of a dimension whose keys are all resolved.
func (w *worker) pick(d, from, to int) {
	p, dw := &w.plan.dims[d], &w.dims[d]
	n := len(w.plan.dims)
	for i := from; i < to; i++ {
		number := w.slots[i*n+d]
		if number == noSlot {
			continue
		}
		var row *source.Row
		if number >= 0 {
			s := &dw.slots[number]
			dw.counts.add(s)
			e := s.entry
			switch {
			case e.Row.Members != nil:
				row = &e.Row
			case e.Err != nil:
				dw.counts.errors++
				w.fail(i, e.Err)
				continue
			case !e.Missing:
				row = source.At(e.Versions, w.times[i*w.plan.times+p.timeAt])
			}
		}
		if row == nil {
			w.unmatched(i, d, number)
			continue
		}
		w.rows[i*n+d] = row
	}
}

func (c *counts) add(s *slot) {
	switch {
	case s.loaded:
		c.misses++
	case s.entry.Row.Members == nil && s.entry.Missing:
		c.negative++
	default:
		c.hits++
	}
	if s.stale {
		c.stale++
	}
}

// unmatched applies on_missing.
func (w *worker) unmatched(i, d int, number int32) {
	p := &w.plan.dims[d]
	w.dims[d].counts.unmatched++
	switch p.OnMissing {
	case DropOnMissing:
		w.events[i].Drop = true
		w.skip(i)
	case FailOnMissing:
		e := &MissingError{Dimension: p.Source.Name}
		if number >= 0 {
			e.Key = source.Describe(p.schema.Keys, string(w.dims[d].key(number)))
		}
		w.fail(i, e)
	default:
		w.rows[i*len(w.plan.dims)+d] = &p.missing
	}
}

// publish adds the batch's counts to the dimensions' Stats.
func (w *worker) publish() {
	for d := range w.dims {
		c, s := &w.dims[d].counts, w.plan.dims[d].stats
		s.Hits.Add(c.hits)
		s.NegativeHits.Add(c.negative)
		s.Misses.Add(c.misses)
		s.Unmatched.Add(c.unmatched)
		s.StaleServed.Add(c.stale)
		s.EventErrors.Add(c.errors)
	}
}
