package insert

import (
	"sync"
	"time"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/clickhouse/sharding"
	"github.com/benthos-clickhouse/connect/delivery"
)

// job is one Write: the records, where they are to go, and what has become of each so far. The goroutines of the shards share it.
type job struct {
	source   Source
	layout   *cluster.Layout // the one first tried with; it does not change within a Write
	naming   naming
	sequence int64               // number of record 0 where records have no provenance
	lease    delivery.Lease      // nil under at-least-once
	cuts     int                 // how often the batch has been cut
	target   *target             // of the last cut
	digest   uint64              // of the last cut that was whole
	whole    bool                // the batch is cut whole, and blocks that landed in an earlier Write are recognised by name
	unsure   bool                // acknowledgements are held against the tables' rows; changed only while nothing is sent
	router   sharding.Router     // of the last cut
	partly   map[int32]placement // rows that some replicas have, and others of the shard lack; changed only while nothing is sent

	mu        sync.Mutex
	landed    map[string]bool // names of the blocks that are acknowledged or spooled, also by single replicas
	settled   []bool          // by record: acknowledged, rejected, or spooled. Kept only once a second cut may come
	pieces    map[piece]bool  // rows that are in, of records whose other rows may not be
	arrived   map[int32]int32 // how many of these a record has
	files     []string        // blocks that were spooled
	result    Result
	rebuilt   []*part   // blocks made beside the cut, to be given back with it
	began     time.Time // when a block was first sent, whatever came of it
	ambiguous time.Time // when a block was first sent whose fate was unknown
}

// identity is what routing without a key draws from.
func (j *job) identity(i int, p *column.Provenance) sharding.Record {
	if p.Valid {
		return sharding.Record{Topic: p.Topic, Partition: p.Partition, Offset: p.Offset}
	}
	return sharding.Record{Offset: j.sequence + int64(i)}
}

// acknowledge notes that a part's rows are in their shard.
func (j *job) acknowledge(p *part) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.unsure {
		j.settle(nil, p.name)
		return
	}
	j.result.Inserted += j.fresh(p)
	j.settle(j.arrive(p), p.name)
}

// fresh counts the rows of a part that were neither found at fault nor put on disk.
func (j *job) fresh(p *part) int {
	n := 0
	for _, i := range p.rows {
		if j.settled == nil || !j.settled[i] {
			n++
		}
	}
	for _, s := range p.split {
		if j.pieces[s] && !j.settled[s.record] {
			n--
		}
	}
	return n
}

// complete tells whether nothing is left to be sent.
func (j *job) complete() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, ok := range j.settled {
		if !ok {
			return false
		}
	}
	return j.settled != nil
}

// spooled notes that a part's rows are on disk.
func (j *job) spooled(p *part, path string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.files = append(j.files, path)
	j.result.Spooled += len(p.rows)
	j.settle(j.arrive(p), p.name)
}

// reject notes a record that can never be inserted.
func (j *job) reject(r Rejection) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.settled != nil && j.settled[r.Index] {
		return // in an earlier cut
	}
	j.result.Rejected = append(j.result.Rejected, r)
	j.settle([]int32{int32(r.Index)}, "")
}

// settle must be called with mu held.
func (j *job) settle(rows []int32, name string) {
	if j.settled == nil {
		j.settled = make([]bool, j.source.Len())
	}
	for _, i := range rows {
		j.settled[i] = true
	}
	if name == "" {
		return
	}
	if j.landed == nil {
		j.landed = map[string]bool{}
	}
	j.landed[name] = true
}

// has tells whether the block of this name is acknowledged or spooled.
func (j *job) has(name string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.landed[name]
}

// reach notes that one of several replicas which must all have a block has it, so that it does not get the block again with every attempt
// at another one that is down. Under exactly-once that is told by the block's name.
func (j *job) reach(p *part, r *cluster.Replica) {
	if r == nil || j.lease != nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.settle(nil, onReplica(p, r))
}

// reached tells whether this replica has the block, or a file in the spool for it.
func (j *job) reached(p *part, r *cluster.Replica) bool {
	return r != nil && j.lease == nil && j.has(onReplica(p, r))
}

func onReplica(p *part, r *cluster.Replica) string { return p.name + " on " + r.ID() }

// begin notes that a block is being sent.
func (j *job) begin(at time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.began.IsZero() {
		j.began = at
	}
}

// mayLand notes that a block was sent whose fate is unknown.
func (j *job) mayLand(at time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ambiguous.IsZero() {
		j.ambiguous = at
	}
}

// firstSent is when a block was first sent whose fate is unknown; zero if none was.
func (j *job) firstSent() time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.ambiguous
}

// fits tells whether the blocks that have landed by name are the same ones in this cut.
func (j *job) fits(c *cut) bool {
	for _, p := range c.parts {
		if j.landed[p.name] && j.fresh(p) > 0 {
			return false
		}
	}
	return true
}

// startOver leaves the blocks of earlier cuts behind: what is not settled is cut under other names.
func (j *job) startOver() {
	if j.whole {
		j.whole = false
		j.cuts++
	}
}

// release gives back the blocks that were made beside the cut's.
func (j *job) release(t *target) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, p := range j.rebuilt {
		t.givePart(p)
	}
	j.rebuilt = nil
}

// discard gives back one of them at once.
func (j *job) discard(t *target, p *part) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range j.rebuilt {
		if j.rebuilt[i] == p {
			j.rebuilt = append(j.rebuilt[:i], j.rebuilt[i+1:]...)
			t.givePart(p)
			return
		}
	}
}
