package insert

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/clickhouse/sharding"
)

// part is one block to be sent, and the records in it.
type part struct {
	shard   int
	omitted uint64
	name    string
	block   *column.Block
	rows    []int32 // rows[i] is the record in row i of the block
	checked int     // rows at the last look at its size
	pending []int32 // rows of the window that go into it
	split   []piece // rows whose records have rows in other parts too
}

// cut is a batch taken apart into blocks.
type cut struct {
	unknown map[string]string // members that could become columns, with their types
	target  *target
	parts   []*part
	byShard [][]*part
	digest  uint64
}

// checkEvery is how many rows go into a block between two looks at its size.
const checkEvery = 1024

// cutter reads a batch and appends each record to its shard's block.
type cutter struct {
	w      *Writer
	j      *job
	t      *target
	router sharding.Router
	reader *column.Reader // of the record at hand
	window *window
	cut    *cut
	open   []openParts // by shard
	count  []int       // by shard: parts begun
	keys   []column.Value
	change *expander // nil where a record is a row
	filled []*part   // for each row of the record at hand
}

// openParts are a shard's blocks that still take rows, one for each set of omitted columns.
type openParts struct {
	last *part // that took a row; most often there is no other
	all  map[uint64]*part
}

// cut reads the records that are not settled yet. Records that cannot be read are rejected on the way.
func (w *Writer) cut(j *job, t *target) (*cut, error) {
	router := t.router
	if j.layout != t.layout {
		var err error
		if router, err = t.route(j.layout); err != nil {
			return nil, fmt.Errorf("routing by the layout of the first attempt: %w", err)
		}
	}
	shards := len(j.layout.Shards)
	c := &cutter{
		w: w, j: j, t: t, router: router, window: t.takeWindow(),
		cut:  &cut{target: t, byShard: make([][]*part, shards)},
		open: make([]openParts, shards), count: make([]int, shards), keys: make([]column.Value, len(t.keys)),
	}
	j.router = router
	c.reader = c.window.readers[0]
	defer t.giveWindow(c.window)
	if t.changes != nil {
		c.change = t.changes.take(t, router, c.reader)
		defer t.changes.give(c.change)
	}
	if err := c.run(); err != nil {
		c.cut.release()
		return nil, err
	}
	for _, p := range c.cut.parts {
		if len(p.rows) == 0 {
			continue // begun for a row that did not convert
		}
		c.cut.byShard[p.shard] = append(c.cut.byShard[p.shard], p)
	}
	return c.cut, nil
}

func (c *cutter) run() error {
	var rec Record
	settled := c.j.settled
	if c.j.naming.exact && c.j.naming.again == 0 || c.j.whole {
		settled = nil // the cut is made again whole, to be compared with the one that was promised
	}
	for i := range c.j.source.Len() {
		if settled != nil && settled[i] {
			continue
		}
		rec.reset()
		err := c.record(i, &rec)
		if errors.Is(err, ErrTooLarge) {
			return err
		}
		if err != nil {
			c.j.reject(rejection(i, err))
			c.digest(digestKey(i, &rec), nowhere, 0)
		}
	}
	return c.flush()
}

// record reads record i and appends what it has to its blocks, all of it or nothing.
func (c *cutter) record(i int, rec *Record) error {
	if c.change != nil {
		return c.rows(i, rec)
	}
	return c.inWindow(i, rec)
}

// add appends the row that was read to its block.
func (c *cutter) add(i, shard int, omitted uint64) (*part, error) {
	if c.w.opts.AddColumns != nil {
		c.notice()
	}
	p := c.part(shard, omitted)
	if err := p.block.Append(c.reader); err != nil {
		return nil, err
	}
	p.rows = append(p.rows, int32(i))
	return p, nil
}

// place reads record i and finds out where it goes.
func (c *cutter) place(i int, rec *Record) (shard int, omitted uint64, err error) {
	if err := c.j.source.Record(i, rec); err != nil {
		return 0, 0, err
	}
	if err := read(c.reader, rec); err != nil {
		return 0, 0, err
	}
	for k, col := range c.t.keys {
		if err := c.reader.Key(col, &c.keys[k]); err != nil {
			return 0, 0, err
		}
	}
	shard, err = c.router.Shard(c.keys, c.j.identity(i, &rec.Provenance))
	if c.j.partly != nil {
		if at, ok := c.j.partly[int32(i)]; ok {
			shard = at.shard
		}
	}
	return shard, c.reader.Omitted(), err
}

// read hands a record to the reader.
func read(r *column.Reader, rec *Record) error {
	r.SetProvenance(rec.Provenance)
	r.SetMeta(rec.Meta)
	r.SetComputed(rec.Computed)
	if rec.JSON != nil {
		return r.ReadJSON(rec.JSON)
	}
	return r.ReadValue(rec.Value)
}

// part finds the block that takes rows of this shard and set of omitted columns.
func (c *cutter) part(shard int, omitted uint64) *part {
	open := &c.open[shard]
	if open.last != nil && open.last.omitted == omitted {
		return open.last
	}
	p := open.all[omitted]
	if p == nil {
		p = c.begin(shard, omitted)
	}
	open.last = p
	return p
}

// begin makes another block of a shard.
func (c *cutter) begin(shard int, omitted uint64) *part {
	p := c.t.takePart(omitted)
	p.shard = shard
	p.name = c.j.naming.block(shard, omitted, c.j.cuts, c.count[shard])
	c.count[shard]++
	open := &c.open[shard]
	if open.all == nil {
		open.all = map[uint64]*part{}
	}
	open.all[omitted] = p
	c.cut.parts = append(c.cut.parts, p)
	if len(open.all) == manySets {
		c.complain(open)
	}
	return p
}

// manySets is how many blocks of one shard, for no other reason than different columns left out, are worth a word.
const manySets = 16

// complain says once what makes the many small blocks, which a MergeTree table has to merge again.
func (c *cutter) complain(open *openParts) {
	c.w.manyBlocks.Do(func() {
		var either, all uint64
		all--
		for omitted := range open.all {
			either |= omitted
			all &= omitted
		}
		c.w.log.Warn("rows leave out these columns in many combinations, and each goes into a block of its own, since only the server can work out their DEFAULT: fill them in, give them constant defaults, or leave them to the server with `columns` and `skip`",
			"table", c.w.sink, "columns", c.t.plan.Omitted(either&^all), "blocks", len(open.all))
	})
}

// sizeError is ErrTooLarge with what was too large.
type sizeError struct{ rows, bytes int }

func (e *sizeError) Error() string {
	return fmt.Sprintf("%v (a block reached %d rows and %d bytes)", ErrTooLarge, e.rows, e.bytes)
}

func (e *sizeError) Unwrap() error { return ErrTooLarge }

// bound closes a part that is as large as a block may be; the next row begins another one, unless the name allows for one only.
func (c *cutter) bound(p *part) error {
	n, most := len(p.rows), c.w.opts.MaxBlockRows
	if c.j.naming.exact {
		most++ // no other row may come
	}
	full := n >= most
	if !full && n-p.checked >= checkEvery {
		p.checked = n
		full = p.block.Bytes() >= c.w.opts.MaxBlockBytes
	}
	if !full {
		return nil
	}
	if c.j.naming.exact {
		return &sizeError{rows: n, bytes: p.block.Bytes()}
	}
	c.close(p)
	return nil
}

// close makes the next row for a part's shard begin another one.
func (c *cutter) close(p *part) {
	open := &c.open[p.shard]
	delete(open.all, p.omitted)
	if open.last == p {
		open.last = nil
	}
}

// nowhere is the shard of a record that has no row.
const nowhere = -1

// digest condenses where each record goes, rejected ones included: a second attempt that would cut other blocks must not use the
// names of the first.
func (c *cutter) digest(at int64, shard int, omitted uint64) {
	const k1, k2, k3 = 0x9e3779b97f4a7c15, 0xff51afd7ed558ccd, 0xc4ceb9fe1a85ec53
	x := uint64(at)*k1 ^ uint64(shard+1)*k2 ^ omitted*k3
	c.cut.digest = (bits.RotateLeft64(c.cut.digest, 23) ^ x) * k2
	c.cut.digest ^= c.cut.digest >> 29
}

// digestKey is what a record is known by in the digest.
func digestKey(i int, rec *Record) int64 {
	if rec.Provenance.Valid {
		return rec.Provenance.Offset
	}
	return int64(i)
}

// rejection says what is wrong with record i.
func rejection(i int, err error) Rejection {
	r := Rejection{Index: i, Reason: err.Error()}
	var row *column.RowError
	if errors.As(err, &row) {
		r.Column, r.Type, r.Reason = row.Column, row.Type, row.Reason
	}
	return r
}

// release gives the blocks back; none may be in use.
func (c *cut) release() {
	for _, p := range c.parts {
		c.target.givePart(p)
	}
	c.parts = nil
}

// rebuild makes a block of some of a batch's records again, to send it in smaller pieces or without the ones at fault. The
// records have been read before, so an error means that the Source does not answer the same twice.
func (j *job) rebuild(t *target, p *part, rows []int32, name string) (*part, error) {
	j.mu.Lock() // a Source is used by one goroutine at a time
	defer j.mu.Unlock()
	scratch := t.takeWindow()
	defer t.giveWindow(scratch)
	r := scratch.readers[0]
	again := t.takePart(p.omitted)
	again.shard, again.name = p.shard, name
	j.rebuilt = append(j.rebuilt, again)
	var rec Record
	if t.changes != nil {
		e := t.changes.take(t, j.router, r)
		defer t.changes.give(e)
		return again, j.rebuildChanges(e, p, again, rows)
	}
	again.rows = append(again.rows, rows...)
	for _, i := range rows {
		rec.reset()
		err := j.source.Record(int(i), &rec)
		if err == nil {
			err = read(r, &rec)
		}
		if err == nil {
			err = again.block.Append(r)
		}
		if err != nil {
			return nil, fmt.Errorf("reading record %d again: %w", i, err)
		}
	}
	return again, nil
}
