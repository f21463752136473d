package insert

import (
	"encoding/binary"
	"sync"

	"github.com/cespare/xxhash/v2"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
)

// Under at-least-once, a batch whose Write failed after some shards had acknowledged is usually handed over again by the engine or
// the input. What was acknowledged then need not be doubled: the Writer remembers how far it got, under the offsets and the content of
// the records. Records without Kafka provenance are not remembered, since another batch of equal content would be taken for them.

// remembered bounds how many batches are remembered; the oldest is forgotten first.
const rememberedBatches = 64

// progress is how far a Write got.
type progress struct {
	layout   *cluster.Layout
	target   *target
	naming   naming
	sequence int64
	cuts     int
	digest   uint64
	settled  []bool
	landed   map[string]bool
	pieces   map[piece]bool
	arrived  map[int32]int32
	result   Result
}

// unfinished are the batches that failed halfway, by fingerprint.
type unfinished struct {
	mu    sync.Mutex
	by    map[uint64]progress
	order []uint64
}

// empty is what every Write asks first, so that a fingerprint is only made when there is something to find.
func (u *unfinished) empty() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.by) == 0
}

func (u *unfinished) put(fingerprint uint64, p progress) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.by == nil {
		u.by = map[uint64]progress{}
	}
	if _, ok := u.by[fingerprint]; !ok {
		u.order = append(u.order, fingerprint)
	}
	u.by[fingerprint] = p
	if len(u.order) > rememberedBatches {
		delete(u.by, u.order[0])
		u.order = u.order[1:]
	}
}

// take hands the progress to one Write only.
func (u *unfinished) take(fingerprint uint64) (progress, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	p, ok := u.by[fingerprint]
	if !ok {
		return p, false
	}
	delete(u.by, fingerprint)
	for i, f := range u.order {
		if f == fingerprint {
			u.order = append(u.order[:i], u.order[i+1:]...)
			break
		}
	}
	return p, true
}

// fingerprint tells batches apart; ok is false for one that another batch could be taken for.
func fingerprint(source Source) (_ uint64, ok bool) {
	h := xxhash.New()
	var rec Record
	var n [20]byte
	for i := range source.Len() {
		rec.reset()
		if err := source.Record(i, &rec); err != nil {
			_, _ = h.WriteString(err.Error())
			continue
		}
		p := &rec.Provenance
		if !p.Valid || rec.JSON == nil {
			return 0, false
		}
		binary.LittleEndian.PutUint32(n[0:], uint32(p.Partition))
		binary.LittleEndian.PutUint64(n[4:], uint64(p.Offset))
		binary.LittleEndian.PutUint64(n[12:], uint64(len(rec.JSON)))
		_, _ = h.Write(n[:])
		_, _ = h.WriteString(p.Topic)
		_, _ = h.Write(rec.JSON)
	}
	return h.Sum64(), true
}

// resume continues a batch that failed halfway, or begins a new one.
func (w *Writer) resume(t *target, source Source) *job {
	n := int64(source.Len())
	if !w.unfinished.empty() {
		if f, ok := fingerprint(source); ok {
			if p, ok := w.unfinished.take(f); ok {
				return p.job(source, t)
			}
		}
	}
	return &job{source: source, layout: t.layout, naming: freshNaming(w.sink), sequence: w.sequence.Add(n) - n}
}

// job takes up where the progress ends. With the same shards and columns the same blocks are cut again, and those that landed are recognised
// by name; otherwise only the records that are not settled are cut, under other names, for the shards of today: one of the others may be gone
// for good.
func (p progress) job(source Source, t *target) *job {
	j := &job{
		source: source, layout: p.layout, naming: p.naming, sequence: p.sequence, cuts: p.cuts,
		settled: p.settled, landed: p.landed, pieces: p.pieces, arrived: p.arrived, result: p.result, digest: p.digest,
	}
	if j.whole = t == p.target && t.layout == p.layout; !j.whole {
		j.layout = t.layout
		j.cuts++
	}
	return j
}

// keepProgress remembers a Write that failed after some of its blocks had landed.
func (w *Writer) keepProgress(j *job) {
	if len(j.landed) == 0 || j.target == nil {
		return
	}
	if f, ok := fingerprint(j.source); ok {
		w.unfinished.put(f, progress{
			layout: j.layout, target: j.target, naming: j.naming, sequence: j.sequence, cuts: j.cuts,
			digest: j.digest, settled: j.settled, landed: j.landed, pieces: j.pieces, arrived: j.arrived, result: j.result,
		})
	}
}
