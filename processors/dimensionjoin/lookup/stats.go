package lookup

import (
	"sync/atomic"
	"time"
)

// Stats count the work of one dimension, from the start. All fields only grow, LoadNanos included.
type Stats struct {
	Hits          atomic.Int64 // events answered from the cache
	NegativeHits  atomic.Int64 // events whose key was known to have no row
	Misses        atomic.Int64 // events whose key had to be read first
	Unmatched     atomic.Int64 // events without a row, for whatever reason
	StaleServed   atomic.Int64 // events joined to a row past its ttl, because the server could not be asked
	Loads         atomic.Int64 // reads
	LoadedKeys    atomic.Int64 // keys asked for by them
	LoadNanos     atomic.Int64
	LoadErrors    atomic.Int64
	Inexact       atomic.Int64 // rows found by the server's collation for another key than theirs
	Invalidations atomic.Int64 // entries made due by changes
	Flushes       atomic.Int64 // times that everything was made due
	RetriedKeys   atomic.Int64 // late keys looked for again
	EventErrors   atomic.Int64 // events that could not be joined
}

// Snapshot is Stats at one moment.
type Snapshot struct {
	Hits, NegativeHits, Misses, Unmatched, StaleServed int64
	Loads, LoadedKeys, LoadNanos, LoadErrors           int64
	Inexact, Invalidations, Flushes, RetriedKeys       int64
	EventErrors                                        int64
}

// Snapshot returns the counts of a dimension.
func (j *Joiner) Snapshot(dimension int) Snapshot {
	s := j.dims[dimension].stats
	return Snapshot{
		Hits: s.Hits.Load(), NegativeHits: s.NegativeHits.Load(), Misses: s.Misses.Load(), Unmatched: s.Unmatched.Load(),
		StaleServed: s.StaleServed.Load(), Loads: s.Loads.Load(), LoadedKeys: s.LoadedKeys.Load(), LoadNanos: s.LoadNanos.Load(),
		LoadErrors: s.LoadErrors.Load(), Inexact: s.Inexact.Load(), Invalidations: s.Invalidations.Load(), Flushes: s.Flushes.Load(),
		RetriedKeys: s.RetriedKeys.Load(), EventErrors: s.EventErrors.Load(),
	}
}

// Usage is what a dimension keeps in memory now.
type Usage struct {
	Entries, Bytes int64
	BinlogLag      time.Duration
}

// Usage returns what a dimension keeps; nothing before its schema is known.
func (j *Joiner) Usage(dimension int) Usage {
	u := Usage{BinlogLag: time.Duration(j.binlogLag.Load())}
	if p := j.current.Load(); p != nil {
		u.Entries, u.Bytes = p.dims[dimension].view.Usage()
	}
	return u
}
