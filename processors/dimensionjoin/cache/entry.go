// Package cache keeps dimension rows in memory: which are fresh, which may still be served though they are not, and who
// reads a missing one.
//
// It owns freshness, bounds, the sharing of reads between goroutines, the memory of a server that does not answer, and
// snapshots on disk. It must never know how rows are read or what they look like, beyond their size.
package cache

import (
	"time"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/source"
)

// Entry is what is known of one key. It is immutable.
type Entry struct {
	// Row is the row of a dimension without versions; its Members are nil when the key is missing or Err is set.
	Row source.Row
	// Versions are those of a dimension with as_of.
	Versions []source.Version
	// Missing says that the dimension has no row for the key.
	Missing bool
	// Err is why the row cannot be joined, though the server has it.
	Err error
	// LoadedAt is when it was read, FreshUntil how long it is good for, RefreshAt from when it should be read again in the
	// background, and DropAt when it is forgotten; all in nanoseconds of the store's clock.
	LoadedAt, FreshUntil, RefreshAt, DropAt int64

	// Origin is how the row came to be here.
	Origin Origin

	generation uint32
	usage      *usage
	size       uint32
}

// Origin is how a row came into the cache.
type Origin string

// The origins.
const (
	Read     Origin = "read by its key"
	Scanned  Origin = "read with the whole table"
	Restored Origin = "restored from a snapshot"
)

// entryOverhead is roughly what an entry costs besides its row and key: the entry, the cache's node and table slot.
const entryOverhead = 280

func (v *View) newEntry(key string, r *source.Result, now int64) *Entry {
	e := &Entry{LoadedAt: now, Err: r.Err, Missing: r.Err == nil && len(r.Versions) == 0, Origin: Read, generation: v.generation.Load(), usage: &v.usage}
	e.size = uint32(len(key)) + entryOverhead
	if len(r.Versions) == 1 && !v.versioned {
		e.Row = r.Versions[0].Row
		e.size += uint32(e.Row.Size())
	} else {
		e.Versions = r.Versions
		for i := range r.Versions {
			e.size += uint32(r.Versions[i].Row.Size()) + 16
		}
	}
	v.setTimes(e)
	return e
}

// setTimes derives the deadlines from LoadedAt.
func (v *View) setTimes(e *Entry) {
	o := &v.store.options
	life := o.TTL
	if e.Missing || e.Err != nil {
		life = o.MissingTTL
	}
	// Entries loaded together would otherwise expire together.
	life = max(time.Duration(float64(life)*(1-o.Jitter*o.random())), 1)
	e.FreshUntil = e.LoadedAt + int64(life)
	e.DropAt = e.FreshUntil + int64(o.MaxStale)
	e.RefreshAt = e.FreshUntil
	if o.RefreshAfter > 0 && o.RefreshAfter < o.TTL && !e.Missing && e.Err == nil {
		e.RefreshAt = e.LoadedAt + int64(float64(life)*float64(o.RefreshAfter)/float64(o.TTL))
	}
}

// due returns a copy that has to be read again before it is joined, unless the server cannot be asked.
func (e *Entry) due(now int64) *Entry {
	c := *e
	c.FreshUntil, c.RefreshAt = min(c.FreshUntil, now-1), min(c.RefreshAt, now-1)
	return &c
}
