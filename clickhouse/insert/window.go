package insert

import "github.com/benthos-clickhouse/connect/clickhouse/column"

// windowRows is how many records are read before their rows go into the blocks. Appended one by one, each to another shard and to
// all of its columns, rows would hardly ever find the end of a column in the processor's cache; so the rows of a window go in
// shard by shard and column by column. It is few enough for their documents to be in the cache still.
const windowRows = 128

// window is records that were read, each by a reader of its own, and are not in their blocks yet.
type window struct {
	readers []*column.Reader // those beyond the first are made when they are needed
	rows    [windowRows]windowRow
	n       int
	parts   []*part          // that take rows of the window
	group   []*column.Reader // what one of them takes
}

// windowRow is where a record's row goes, or why it has none.
type windowRow struct {
	record  int
	key     int64 // in the digest
	shard   int
	omitted uint64
	err     error
}

func newWindow(p *column.Plan) *window { return &window{readers: []*column.Reader{p.NewReader()}} }

// reader is the one for the next record.
func (w *window) reader() *column.Reader {
	if w.n == len(w.readers) {
		w.readers = append(w.readers, w.readers[0].Sibling())
	}
	return w.readers[w.n]
}

// reset lets go of what belongs to a batch, its documents above all.
func (w *window) reset() {
	for _, r := range w.readers {
		r.Forget()
	}
	w.n, w.parts = 0, w.parts[:0]
}

// inWindow reads record i. The rows of a window that is full go into their blocks.
func (c *cutter) inWindow(i int, rec *Record) error {
	w := c.window
	c.reader = w.reader()
	row := &w.rows[w.n]
	row.record = i
	row.shard, row.omitted, row.err = c.place(i, rec)
	row.key = digestKey(i, rec)
	if row.err == nil && c.w.opts.AddColumns != nil {
		c.notice()
	}
	if w.n++; w.n < windowRows {
		return nil
	}
	return c.flush()
}

// flush brings the window's rows into their blocks.
func (c *cutter) flush() error {
	c.group()
	var full error
	for _, p := range c.window.parts {
		c.fill(p)
		if err := c.bound(p); err != nil {
			full = err
		}
	}
	w := c.window
	for k := range w.rows[:w.n] {
		row := &w.rows[k]
		if row.err != nil {
			c.j.reject(rejection(row.record, row.err))
			c.digest(row.key, nowhere, 0)
			continue
		}
		c.digest(row.key, row.shard, row.omitted)
	}
	w.n, w.parts = 0, w.parts[:0]
	return full
}

// group finds out which part each row goes into.
func (c *cutter) group() {
	w := c.window
	for k := range w.rows[:w.n] {
		row := &w.rows[k]
		if row.err != nil {
			continue
		}
		p := c.part(row.shard, row.omitted)
		if len(p.pending) == 0 {
			w.parts = append(w.parts, p)
		}
		p.pending = append(p.pending, int32(k))
		if len(p.rows)+len(p.pending) >= c.w.opts.MaxBlockRows && !c.j.naming.exact {
			c.close(p)
		}
	}
}

// fill appends a part's rows of the window. One that does not convert leaves the others as they are.
func (c *cutter) fill(p *part) {
	w := c.window
	w.group = w.group[:0]
	for _, k := range p.pending {
		w.group = append(w.group, w.readers[k])
	}
	together := p.block.AppendRows(w.group) == nil
	for _, k := range p.pending {
		row := &w.rows[k]
		if !together {
			row.err = p.block.Append(w.readers[k])
		}
		if row.err == nil {
			p.rows = append(p.rows, int32(row.record))
		}
	}
	p.pending = p.pending[:0]
}
