package cache

import (
	"context"
	"iter"
	"maps"
	"math"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/errgroup"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/source"
)

// Load reads keys from the server: the result has every one of them.
type Load func(ctx context.Context, keys []string) (map[string]*source.Result, error)

// View is the part of a store that holds one dimension as one schema describes it. It is safe for concurrent use, and shared
// by all processors that use the store for that dimension.
type View struct {
	store     *Store
	id        uint32
	versioned bool
	usage     usage
	// generation is raised by Flush: entries of an earlier one are due.
	generation atomic.Uint32
	// downUntil holds back attempts while the server does not answer, and failures lengthens the pause.
	downUntil atomic.Int64
	failures  atomic.Int32
	// epoch is raised by every change from outside: who remembers entries has to look them up again.
	epoch atomic.Uint64
	// changed are the keys invalidated while a scan runs: what it has seen of them may be old.
	scans   atomic.Int32
	changed sync.Map
}

// View returns the part of the store for a dimension, named by all that its keys and rows depend on.
func (s *Store) View(identity string, versioned bool) *View {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.views[identity]
	if v == nil {
		s.next++
		v = &View{store: s, id: s.next, versioned: versioned}
		s.views[identity] = v
	}
	return v
}

// State says what may be done with an entry that was found.
type State uint8

// The states.
const (
	Absent State = iota // nothing is known
	Stale               // has to be read again; may be joined only if the server cannot be asked
	Due                 // may be joined; should be read again in the background
	Fresh
)

// String says it in words.
func (s State) String() string {
	return [...]string{"absent", "to be read again before it is joined", "to be read again in the background", "fresh"}[s]
}

// Get looks a key up. The key is not kept.
func (v *View) Get(key []byte, now int64) (*Entry, State) {
	e, ok := v.store.otter.GetIfPresent(Key{v.id, unsafe.String(unsafe.SliceData(key), len(key))})
	if !ok {
		return nil, Absent
	}
	return e, v.state(e, now)
}

func (v *View) state(e *Entry, now int64) State {
	switch {
	case now < e.RefreshAt && e.generation == v.generation.Load():
		return Fresh
	case now < e.FreshUntil && e.generation == v.generation.Load():
		return Due
	case now < e.DropAt:
		return Stale
	default:
		return Absent
	}
}

// Peek is Get without any effect on what is kept.
func (v *View) Peek(key string, now int64) (*Entry, State) {
	e, ok := v.store.otter.GetEntryQuietly(Key{v.id, key})
	if !ok {
		return nil, Absent
	}
	return e.Value, v.state(e.Value, now)
}

// The pauses between attempts to ask a server that did not answer, for keys that can be served stale meanwhile.
const (
	firstPause = 500 * time.Millisecond
	longPause  = 15 * time.Second
)

func (v *View) fail(now int64) {
	if now < v.downUntil.Load() {
		return // of the reads that fail together, one lengthens the pause
	}
	n := min(v.failures.Add(1)-1, 10)
	v.downUntil.Store(now + int64(min(firstPause<<n, longPause)))
}

func (v *View) recover() {
	if v.failures.Load() != 0 {
		v.failures.Store(0)
		v.downUntil.Store(0)
	}
}

// Down reports that the server did not answer the last read, and should not be asked yet for what can be served stale.
func (v *View) Down(now int64) bool { return now < v.downUntil.Load() }

// fetchers bounds the reads that one Fetch has under way.
const fetchers = 4

// Fetch reads keys that are absent or stale, at most size in one read, sharing the read of a key with everyone else who wants
// it, and returns the entries it got. The error says why one is missing from them; what was read is kept nevertheless.
func (v *View) Fetch(ctx context.Context, absent, stale []string, size int, load Load) (map[string]*Entry, error) {
	return v.fetchSince(ctx, absent, stale, size, loader{view: v, load: load, after: math.MinInt64})
}

// FetchAgain reads keys again that were read at an instant or before, sharing what was read of them since.
func (v *View) FetchAgain(ctx context.Context, keys []string, after int64, size int, load Load) (map[string]*Entry, error) {
	return v.fetchSince(ctx, nil, keys, size, loader{view: v, load: load, after: after})
}

func (v *View) fetchSince(ctx context.Context, absent, stale []string, size int, l loader) (map[string]*Entry, error) {
	generation := v.generation.Load()
	out, err := v.fetch(ctx, absent, stale, size, l)
	if err != nil {
		return out, err
	}
	// A read that was under way already may have begun before a flush that came before this call.
	var early []string
	for key, e := range out {
		if int32(e.generation-generation) < 0 {
			early = append(early, key)
		}
	}
	if len(early) == 0 {
		return out, nil
	}
	again, err := v.fetch(ctx, nil, early, size, l)
	maps.Copy(out, again)
	return out, err
}

func (v *View) fetch(ctx context.Context, absent, stale []string, size int, l loader) (map[string]*Entry, error) {
	out := make(map[string]*Entry, len(absent)+len(stale))
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(fetchers)
	for keys := range reads(absent, size) {
		group.Go(func() error {
			got, err := v.store.otter.BulkGet(ctx, v.keys(keys), l)
			mu.Lock()
			defer mu.Unlock()
			for k, e := range got {
				out[k.Key] = e
			}
			return err
		})
	}
	for keys := range reads(stale, size) {
		group.Go(func() error {
			select {
			case results := <-v.store.otter.BulkRefresh(ctx, v.keys(keys), l):
				mu.Lock()
				defer mu.Unlock()
				return collect(out, results)
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}
	err := group.Wait()
	return out, err
}

// readBytes bounds the text of the keys of one read: a server takes no query beyond its max_allowed_packet, however often it is sent.
const readBytes = 256 << 10

// reads splits keys into reads of at most size.
func reads(keys []string, size int) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		for len(keys) > 0 {
			n, bytes := 1, len(keys[0])
			for n < min(size, len(keys)) && bytes+len(keys[n]) <= readBytes {
				bytes += len(keys[n])
				n++
			}
			if !yield(keys[:n:n]) {
				return
			}
			keys = keys[n:]
		}
	}
}

// collect adds the entries that were read to out, and returns an error of those that were not.
func collect(out map[string]*Entry, results []otter.RefreshResult[Key, *Entry]) (err error) {
	for _, r := range results {
		if r.Err != nil {
			err = r.Err
			continue
		}
		out[r.Key.Key] = r.Value
	}
	return err
}

// Refresh reads keys again in the background.
func (v *View) Refresh(ctx context.Context, keys []string, size int, load Load) {
	for part := range reads(keys, size) {
		v.store.otter.BulkRefresh(ctx, v.keys(part), loader{view: v, load: load, after: math.MinInt64})
	}
}

func (v *View) keys(names []string) []Key {
	keys := make([]Key, len(names))
	for i, n := range names {
		keys[i] = Key{v.id, n}
	}
	return keys
}

// Scan is one pass over the whole dimension, whose rows are kept without being asked for. Begin it before the first row is
// read, so that changes made meanwhile are told from what the pass has seen.
type Scan struct {
	view       *View
	at         int64
	generation uint32
}

// BeginScan starts a pass; End must follow.
func (v *View) BeginScan() *Scan {
	v.scans.Add(1)
	return &Scan{view: v, at: v.store.Now(), generation: v.generation.Load()}
}

// End ends the pass.
func (s *Scan) End() {
	s.view.epoch.Add(1)
	if s.view.scans.Add(-1) == 0 {
		s.view.changed.Clear()
	}
}

// Complete makes due what was kept before the pass and was not in it: those rows are gone, or have come back meanwhile.
func (s *Scan) Complete() {
	for key, e := range s.view.store.otter.All() {
		if key.View == s.view.id && !e.Missing && e.LoadedAt < s.at {
			s.view.Invalidate(key.Key)
		}
	}
}

// Put keeps a row of the pass, unless a newer one is known.
func (s *Scan) Put(key string, r *source.Result) {
	e := s.view.newEntry(key, r, s.at)
	e.generation, e.Origin = s.generation, Scanned
	s.view.store.otter.Compute(Key{s.view.id, key}, func(old *Entry, found bool) (*Entry, otter.ComputeOp) {
		if found && old.LoadedAt > s.at {
			return nil, otter.CancelOp
		}
		if _, changed := s.view.changed.Load(key); changed {
			return e.due(s.at), otter.WriteOp
		}
		return e, otter.WriteOp
	})
}

// Invalidate makes a key due: it is read again when it is wanted next. A read of it that is under way may have seen the old
// row, and is not kept. It reports whether something was known of the key.
func (v *View) Invalidate(key string) (known bool) {
	if v.scans.Load() > 0 {
		v.changed.Store(key, struct{}{})
	}
	now := v.store.Now()
	v.store.otter.Compute(Key{v.id, key}, func(old *Entry, found bool) (*Entry, otter.ComputeOp) {
		if !found {
			return nil, otter.InvalidateOp // cancels the read under way
		}
		known = true
		return old.due(now), otter.WriteOp
	})
	v.epoch.Add(1)
	return known
}

// Flush makes every key due.
func (v *View) Flush() {
	v.generation.Add(1)
	v.epoch.Add(1)
}

// Epoch changes whenever entries that were got before may no longer be what Get would return, other than by a read of theirs
// or because they were evicted.
func (v *View) Epoch() uint64 { return v.epoch.Load() }

// Drop forgets everything of the view, for a dimension whose schema has changed.
func (v *View) Drop() {
	v.Flush()
	for k := range v.store.otter.Keys() {
		if k.View == v.id {
			v.store.otter.Invalidate(k)
		}
	}
}

// Usage is how many entries the view has, and their approximate size.
func (v *View) Usage() (entries, bytes int64) { return v.usage.entries.Load(), v.usage.bytes.Load() }

// Full reports that the store has reached its bound.
func (v *View) Full() bool {
	o := &v.store.options
	if o.MaxBytes > 0 {
		return v.store.otter.WeightedSize() >= uint64(o.MaxBytes)
	}
	return v.store.otter.EstimatedSize() >= o.MaxRows
}
