package column

import (
	"errors"
	"fmt"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// Block collects rows for one insert, column by column, in wire form. It belongs to one goroutine at a time.
type Block struct {
	plan    *Plan
	omitted uint64
	cols    []blockColumn
	input   proto.Input
	rows    int
}

type blockColumn struct {
	column
	slot  int   // into Reader.spans
	plain bool  // its values always stand in the document
	texts texts // nil where they are not plain strings
	field *planned
}

// NewBlock returns an empty block for rows whose Reader.Omitted is omitted; these columns are not part of it.
func (p *Plan) NewBlock(omitted uint64) *Block {
	b := &Block{plan: p, omitted: omitted}
	for i := range p.fields {
		f := &p.fields[i]
		if f.omit&omitted != 0 {
			continue
		}
		c := f.codec.column()
		bc := blockColumn{column: c, slot: f.slot, plain: f.source.kind == fromPath && len(p.nested) == 0, field: f}
		if bc.plain {
			bc.texts = textsOf(c)
		}
		b.cols = append(b.cols, bc)
		b.input = append(b.input, proto.InputColumn{Name: f.name, Data: sent{c, f}})
	}
	return b
}

// sent is a column as ch-go takes it. Before the block goes out, the server tells which types the table has now: of another one it would
// make the values by a CAST, which wraps numbers around and cuts digits off (seen with 26.7).
type sent struct {
	column
	planned *planned
}

// Infer implements proto.Inferable.
func (s sent) Infer(now proto.ColumnType) error {
	if now == s.Type() {
		return nil
	}
	if t, err := ParseType(string(now)); err == nil && t.Holds(s.planned.typ) {
		return nil // widened meanwhile, or told without LowCardinality (low_cardinality_allow_in_native_format)
	}
	return &TypeChangedError{Column: s.planned.name, Planned: string(s.Type()), Now: string(now)}
}

// Append adds the row that r holds to every column, or to none: then the error is a *RowError.
func (b *Block) Append(r *Reader) error {
	if err := b.takes(r); err != nil {
		return err
	}
	for i := range b.cols {
		if err := b.cols[i].take(r); err != nil {
			b.rollback(i)
			return b.cols[i].field.rowError(err)
		}
	}
	b.rows++
	return nil
}

// AppendRows adds the rows that several readers hold, in their order, or none of them: then Append tells which of them is at fault. It takes
// less time than appending one after the other, since it works on one column at a time.
func (b *Block) AppendRows(readers []*Reader) error {
	for _, r := range readers {
		if err := b.takes(r); err != nil {
			return err
		}
	}
	for i := range b.cols {
		if err := b.cols[i].takeRows(readers); err != nil {
			b.rollback(i)
			return b.cols[i].field.rowError(err)
		}
	}
	b.rows += len(readers)
	return nil
}

// texts is a column that takes strings, as most do, without being asked for each row.
type texts interface {
	// appendTexts adds the values of the first readers, as far as these are plain strings, and returns how many they were.
	appendTexts(readers []*Reader, slot int) int
}

func textsOf(c column) texts {
	switch c := c.(type) {
	case *stringColumn:
		if !c.versioned {
			return c
		}
	case *lowCardinalityColumn:
		if c.codec.width == 0 {
			return c
		}
	}
	return nil
}

// takeRows adds the values of several readers for this column.
func (c *blockColumn) takeRows(readers []*Reader) error {
	for len(readers) > 0 {
		if c.texts != nil {
			if readers = readers[c.texts.appendTexts(readers, c.slot):]; len(readers) == 0 {
				return nil
			}
		}
		if err := c.take(readers[0]); err != nil {
			return err
		}
		readers = readers[1:]
	}
	return nil
}

// take adds the value of r for this column.
func (c *blockColumn) take(r *Reader) error {
	if s := r.spans[c.slot]; s.Kind > jsonscan.Null && c.plain {
		return c.column.append(r.doc, s, &r.x)
	}
	return c.add(r, r.spans[c.slot])
}

// takes tells whether the row that r holds can go into this block.
func (b *Block) takes(r *Reader) error {
	if !r.read {
		return errors.New("appending a row before one was read")
	}
	if !r.settled {
		r.settle()
	}
	if r.asideErr != nil {
		return r.asideErr
	}
	if r.omitted != b.omitted || r.plan != b.plan {
		return fmt.Errorf("appending a row without the columns %#x to a block without %#x", r.omitted, b.omitted)
	}
	if len(b.cols) == 0 {
		return &RowError{Reason: "the row has a value for none of the columns"}
	}
	return nil
}

// add appends the value of r for this column where it is missing, null, or not in the document.
func (c *blockColumn) add(r *Reader, s jsonscan.Span) error {
	if s.Kind == jsonscan.Missing || s.Kind == jsonscan.Null && !c.field.nullable {
		return c.field.fallback.append(c.column, &r.x)
	}
	src, s := r.source(c.field)
	return c.column.append(src, s, &r.x)
}

// rollback takes the row that failed at column last out of the columns before it, and what it left in that one.
func (b *Block) rollback(last int) {
	for i := 0; i <= last; i++ {
		b.cols[i].truncate(b.rows)
	}
}

// Truncate leaves the first rows and takes the others out: rows that belong together go in together or not at all.
func (b *Block) Truncate(rows int) {
	b.rows = rows
	for i := range b.cols {
		b.cols[i].truncate(rows)
	}
}

// Rows returns how many rows the block holds.
func (b *Block) Rows() int { return b.rows }

// Omitted returns the mask the block was made for.
func (b *Block) Omitted() uint64 { return b.omitted }

// Bytes returns about how much memory the rows take, which is also about what they take on the wire before compression.
func (b *Block) Bytes() int {
	n := 0
	for i := range b.cols {
		n += b.cols[i].size()
	}
	return n
}

// Reset empties the block and keeps its memory.
func (b *Block) Reset() { b.Truncate(0) }

// Input is the block as ch-go takes it. It stays the same slice over the block's life; what it shows are the rows of the moment.
func (b *Block) Input() proto.Input { return b.input }
