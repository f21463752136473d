package cache

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/source"
)

// Options bound a store and say how long its entries are good for.
type Options struct {
	MaxRows  int   // entries of all dimensions together; 0 is no bound
	MaxBytes int64 // memory of all dimensions together, approximately; 0 is no bound
	TTL      time.Duration
	// RefreshAfter is the age from which a row that is asked for is read again in the background; 0 is never.
	RefreshAfter time.Duration
	MissingTTL   time.Duration
	// MaxStale is how long past its TTL an entry may be served while the server cannot be asked.
	MaxStale time.Duration
	// Jitter shortens each lifetime by a random part of up to this fraction.
	Jitter float64
	// Clock is for tests; nil is a coarse clock of 10 ms.
	Clock otter.Clock

	random func() float64
}

func (o *Options) validate() error {
	switch {
	case o.MaxRows < 0 || o.MaxBytes < 0:
		return errors.New("max_rows and max_bytes must not be negative")
	case o.MaxRows == 0 && o.MaxBytes == 0:
		return errors.New("at least one of max_rows and max_bytes is needed")
	case o.TTL <= 0 || o.MissingTTL <= 0:
		return errors.New("ttl and missing_ttl must be positive")
	case o.RefreshAfter < 0 || o.MaxStale < 0:
		return errors.New("refresh_after and max_stale must not be negative")
	case o.Jitter < 0 || o.Jitter >= 1:
		return errors.New("jitter must be at least 0 and below 1")
	}
	return nil
}

// Key names an entry: the number of its view and the canonical key.
type Key struct {
	View uint32
	Key  string
}

// Store is a bounded cache that the dimensions of a processor, or of several, share. It is safe for concurrent use.
type Store struct {
	options Options
	clock   otter.Clock
	ticking *otter.CoarseClock // nil with a clock from the options
	otter   *otter.Cache[Key, *Entry]

	mu    sync.Mutex
	views map[string]*View
	next  uint32

	label string // under which it is shared; "" is not
	users int
}

// New makes a store for one user; Close ends it.
func New(o Options) (*Store, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	if o.random == nil {
		o.random = rand.Float64
	}
	s := &Store{options: o, clock: o.Clock, views: map[string]*View{}, users: 1}
	if s.clock == nil {
		s.ticking = otter.NewCoarseClock(10 * time.Millisecond)
		s.clock = s.ticking
	}
	opts := &otter.Options[Key, *Entry]{
		Clock:            s.clock,
		ExpiryCalculator: otter.ExpiryWritingFunc(s.keepFor),
		// Which rows are due is decided batch by batch (see View.Refresh); this only makes refreshing available.
		RefreshCalculator: otter.RefreshWriting[Key, *Entry](never),
		OnAtomicDeletion:  forget,
		Logger:            &otter.NoopLogger{}, // the loader reports its own errors
	}
	if o.MaxBytes == 0 {
		opts.MaximumSize = o.MaxRows
	} else {
		// One bound serves for both: an entry weighs at least its share of the bytes that MaxRows entries may have.
		least := uint32(1)
		if o.MaxRows > 0 {
			least = uint32(min((o.MaxBytes+int64(o.MaxRows)-1)/int64(o.MaxRows), 1<<31))
		}
		opts.MaximumWeight = uint64(o.MaxBytes)
		opts.Weigher = func(_ Key, e *Entry) uint32 { return max(e.size, least) }
	}
	var err error
	if s.otter, err = otter.New(opts); err != nil {
		return nil, fmt.Errorf("making the cache: %w", err)
	}
	return s, nil
}

const never = 100 * 365 * 24 * time.Hour

var shared = struct {
	sync.Mutex
	stores map[string]*Store
}{stores: map[string]*Store{}}

// Shared returns the process's store of that label, and makes it on first use. All users must want the same options.
func Shared(label string, o Options) (*Store, error) {
	shared.Lock()
	defer shared.Unlock()
	if s := shared.stores[label]; s != nil {
		want := o
		want.random, want.Clock = s.options.random, s.options.Clock
		if fmt.Sprint(comparable(want)) != fmt.Sprint(comparable(s.options)) {
			return nil, fmt.Errorf("the cache labelled %q is already in use with other settings: give both processors the same cache settings, or another cache_label", label)
		}
		s.users++
		return s, nil
	}
	s, err := New(o)
	if err != nil {
		return nil, err
	}
	s.label = label
	shared.stores[label] = s
	return s, nil
}

// comparable are the options that users of one store must agree on.
func comparable(o Options) []any {
	return []any{o.MaxRows, o.MaxBytes, o.TTL, o.RefreshAfter, o.MissingTTL, o.MaxStale, o.Jitter}
}

// Close ends one user's use; the last one ends the store.
func (s *Store) Close() {
	shared.Lock()
	defer shared.Unlock()
	if s.users--; s.users > 0 {
		return
	}
	if s.label != "" {
		delete(shared.stores, s.label)
	}
	s.otter.InvalidateAll()
	s.otter.StopAllGoroutines()
	if s.ticking != nil {
		s.ticking.Stop()
	}
}

// Now is the store's clock, in nanoseconds.
func (s *Store) Now() int64 { return s.clock.NowNano() }

// keepFor says how long an entry that is written now is kept, and puts it on the books; the entry that it replaces is taken off
// them by forget. (A calculator that is also asked at reads would cost every one of them.)
func (s *Store) keepFor(e otter.Entry[Key, *Entry]) time.Duration {
	e.Value.usage.add(1, int64(e.Value.size))
	return max(time.Duration(e.Value.DropAt-s.clock.NowNano()), 1)
}

// forget takes an entry off the books that was replaced, evicted or dropped.
func forget(d otter.DeletionEvent[Key, *Entry]) {
	d.Value.usage.add(-1, -int64(d.Value.size))
}

// usage counts what one view keeps.
type usage struct{ entries, bytes atomic.Int64 }

func (u *usage) add(entries, bytes int64) {
	u.entries.Add(entries)
	u.bytes.Add(bytes)
}

// loader adapts a view's Load to otter.
type loader struct {
	view  *View
	load  Load
	after int64 // of an entry that is read again: it is not, if it is fresh and was read later than that
}

// BulkLoad implements otter.BulkLoader.
func (l loader) BulkLoad(ctx context.Context, keys []Key) (map[Key]*Entry, error) {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.Key
	}
	now := l.view.store.Now()
	generation := l.view.generation.Load()
	results, err := l.load(ctx, names)
	if err != nil {
		if ctx.Err() == nil && !errors.Is(err, source.ErrSchemaChanged) { // else it was not the server that gave up
			l.view.fail(l.view.store.Now())
		}
		return nil, err
	}
	l.view.recover()
	out := make(map[Key]*Entry, len(keys))
	for _, k := range keys {
		result := results[k.Key]
		if result == nil {
			return nil, fmt.Errorf("the load left out a key")
		}
		e := l.view.newEntry(k.Key, result, now) // aged from before the read: a change during it must not look newer
		e.generation = generation                // a flush during the read makes the entry due
		out[k] = e
	}
	return out, nil
}

// BulkReload implements otter.BulkLoader. Whoever asks for it has looked at the entries before; what someone else has read since is not
// read once more.
func (l loader) BulkReload(ctx context.Context, keys []Key, entries []*Entry) (map[Key]*Entry, error) {
	now := l.view.store.Now()
	out := make(map[Key]*Entry, len(keys))
	var left []Key
	for i, k := range keys {
		if e := entries[i]; e.LoadedAt > l.after && l.view.state(e, now) == Fresh {
			out[k] = e
		} else {
			left = append(left, k)
		}
	}
	if len(left) == 0 {
		return out, nil
	}
	read, err := l.BulkLoad(ctx, left)
	if err != nil {
		return nil, err
	}
	maps.Copy(out, read)
	return out, nil
}
