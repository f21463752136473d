package insert

import (
	"errors"
	"fmt"
	"strings"

	"github.com/benthos-clickhouse/connect/clickhouse/change"
	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/clickhouse/sharding"
)

// Changes says how records of a change stream become rows. Zero values take the defaults stated.
type Changes struct {
	Mode        change.Mode   // required
	Format      change.Format // change.FormatDebezium
	Tombstones  change.Policy // change.PolicyIgnore
	Truncations change.Policy // change.PolicyReject

	// Version, IsDeleted and Sign name columns of the table; by default those that its engine names.
	Version, IsDeleted, Sign string
	// VersionFrom is where the version comes from; nil for the record's Kafka offset, and with VersionedCollapsingMergeTree for the
	// member called as the column.
	VersionFrom *column.Source
}

func (c *Changes) validate() error {
	opts := change.Options{Mode: c.Mode, Format: c.Format, Tombstones: c.Tombstones, Truncations: c.Truncations}
	if err := opts.Validate(); err != nil {
		field, reason, _ := strings.Cut(err.Error(), ": ")
		return &cluster.ConfigError{Field: field, Reason: reason}
	}
	if c.Mode == change.Replacing && c.Sign != "" {
		return &cluster.ConfigError{Field: "changes.sign", Reason: "is only used with write_mode collapsing"}
	}
	if c.Mode == change.Collapsing && c.IsDeleted != "" {
		return &cluster.ConfigError{Field: "changes.is_deleted", Reason: "is only used with write_mode replacing"}
	}
	return nil
}

// Metadata that an expander answers for.
const (
	metaRemoves  = "\x00removes" // the deletion flag or the sign of a row
	metaEnvelope = "envelope."   // and a path in the record's envelope
)

// What the deletion flag and the sign are, as values that cost no allocation.
var flags = map[change.Mode][2]any{
	change.Replacing:  {int64(0), int64(1)},
	change.Collapsing: {int64(1), int64(-1)},
}

// changes is what a target knows about its change stream. It is immutable but for its pool.
type changes struct {
	mode     change.Mode
	opts     change.Options
	envelope map[string]int // by metadata name, which of Options.Envelope
	version  string         // of metadata, which metadata the version is; "" where it is a member of the row
	spare    chan *expander
}

// repeatable tells whether rows that are in the table already may be inserted again.
func (c *changes) repeatable() bool { return c.mode == change.Replacing }

// take and give recycle expanders.
func (c *changes) take(t *target, router sharding.Router, r *column.Reader) *expander {
	var e *expander
	select {
	case e = <-c.spare:
	default:
		decoder, err := change.NewDecoder(c.opts)
		if err != nil {
			panic(err) // bindChanges made one of these
		}
		e = &expander{c: c, decoder: decoder, flags: flags[c.mode], keys: make([]column.Value, len(t.keys))}
		e.meta = e.lookUp
	}
	e.t, e.router, e.reader = t, router, r
	return e
}

func (c *changes) give(e *expander) {
	e.rec, e.reader = nil, nil
	select {
	case c.spare <- e:
	default:
	}
}

// expander reads a record's rows one after the other. It belongs to one goroutine.
type expander struct {
	c       *changes
	t       *target
	router  sharding.Router
	reader  *column.Reader
	decoder *change.Decoder
	flags   [2]any // of a row that is put, of one that is taken away
	keys    []column.Value
	meta    func(string) (any, bool) // lookUp, made once
	rec     *Record
	row     *change.Row
}

// errNoOffset says that a record comes from no partition of Kafka.
var errNoOffset = errors.New("the record does not say which Kafka offset it has, which is the version of its rows: read it with an input that sets kafka_topic, kafka_partition and kafka_offset, or name another version in changes.version.from")

// rows reads record i of the job. The rows are valid until the next call.
func (e *expander) rows(j *job, i int, rec *Record) ([]change.Row, error) {
	if err := j.source.Record(i, rec); err != nil {
		return nil, err
	}
	value := rec.JSON
	if value == nil && rec.Value != nil {
		var err error
		if value, err = column.AppendJSON(nil, rec.Value); err != nil {
			return nil, fmt.Errorf("writing the record as JSON: %w", err)
		}
	}
	rows, err := e.decoder.Rows(change.Record{Value: value, Key: rec.Provenance.Key, Operation: rec.Operation})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	e.rec = rec
	return rows, e.checkVersion()
}

// checkVersion refuses a record without a version: its rows would lose against all others of their keys.
func (e *expander) checkVersion() error {
	switch e.c.version {
	case "":
		return nil
	case metaOffset:
		if !e.rec.Provenance.Valid {
			return errNoOffset
		}
		return nil
	case metaTimestamp:
		if e.rec.Provenance.Valid {
			return nil
		}
	}
	if v, ok := e.lookUp(e.c.version); !ok || v == nil {
		return fmt.Errorf("the record has no @%s, which is the version of its rows", e.c.version)
	}
	return nil
}

// place reads a row of the record and finds out where it goes.
func (e *expander) place(j *job, i int, row *change.Row) (shard int, omitted uint64, err error) {
	e.row = row
	e.reader.SetProvenance(e.rec.Provenance)
	e.reader.SetMeta(e.meta)
	e.reader.SetComputed(e.rec.Computed)
	if err := e.reader.ReadJSON(row.Image); err != nil {
		return 0, 0, err
	}
	for k, col := range e.t.keys {
		if err := e.reader.Key(col, &e.keys[k]); err != nil {
			return 0, 0, err
		}
	}
	shard, err = e.router.Shard(e.keys, j.identity(i, &e.rec.Provenance))
	return shard, e.reader.Omitted(), err
}

// lookUp answers for metadata: what the operation says, what stands in the envelope, and the record's own.
func (e *expander) lookUp(name string) (any, bool) {
	if name == metaRemoves {
		if e.row.Removes {
			return e.flags[1], true
		}
		return e.flags[0], true
	}
	if i, ok := e.c.envelope[name]; ok {
		return e.decoder.Envelope(i)
	}
	if e.rec.Meta == nil {
		return nil, false
	}
	return e.rec.Meta(name)
}

// piece is a row of a record that has rows in several blocks.
type piece struct {
	record  int32
	ordinal int32
	of      int32 // rows of the record
}

// rows appends the rows of record i to their blocks. When one of them cannot be, none of them is.
func (c *cutter) rows(i int, rec *Record) error {
	rows, err := c.change.rows(c.j, i, rec)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		c.digest(digestKey(i, rec), nowhere, 0)
		return nil
	}
	c.filled = c.filled[:0]
	for n := range rows {
		row := &rows[n]
		if c.isIn(i, row, len(rows)) {
			c.filled = append(c.filled, nil)
			continue
		}
		shard, omitted, err := c.change.place(c.j, i, row)
		var p *part
		if err == nil {
			p, err = c.add(i, shard, omitted)
		}
		if err != nil {
			c.takeBack()
			return err
		}
		c.filled = append(c.filled, p)
	}
	c.note(i, rec, rows)
	return c.boundAll()
}

// isIn tells whether an earlier cut has brought this row to its shard, and others of its record not.
func (c *cutter) isIn(i int, row *change.Row, of int) bool {
	if c.j.pieces == nil || c.j.naming.exact && c.j.naming.again == 0 || c.j.whole {
		return false
	}
	return c.j.pieces[piece{int32(i), int32(row.Ordinal), int32(of)}]
}

// takeBack takes the rows of the record at hand out again.
func (c *cutter) takeBack() {
	for n := len(c.filled) - 1; n >= 0; n-- {
		if p := c.filled[n]; p != nil {
			p.rows = p.rows[:len(p.rows)-1]
			p.block.Truncate(len(p.rows))
		}
	}
}

// note keeps where each row went.
func (c *cutter) note(i int, rec *Record, rows []change.Row) {
	split := false
	for _, p := range c.filled {
		split = split || p != c.filled[0]
	}
	for n, p := range c.filled {
		if p == nil {
			continue
		}
		c.digest(digestKey(i, rec), p.shard, p.omitted^uint64(rows[n].Ordinal)<<1)
		if split {
			p.split = append(p.split, piece{int32(i), int32(rows[n].Ordinal), int32(len(rows))})
		}
	}
}

// boundAll closes the parts that are full. It waits for a record's last row, so that of one record no two parts have rows of one shard.
func (c *cutter) boundAll() error {
	for n, p := range c.filled {
		if p == nil || n > 0 && p == c.filled[n-1] {
			continue
		}
		if err := c.bound(p); err != nil {
			return err
		}
	}
	return nil
}

// arrive marks the rows of a part as in, and returns the records that have no row left to wait for. It must be called with mu held.
func (j *job) arrive(p *part) []int32 {
	if len(p.split) == 0 {
		return p.rows
	}
	if j.pieces == nil {
		j.pieces, j.arrived = map[piece]bool{}, map[int32]int32{}
	}
	waiting := make(map[int32]bool, len(p.split))
	for _, s := range p.split {
		if !j.pieces[s] {
			j.pieces[s] = true
			j.arrived[s.record]++
		}
		waiting[s.record] = j.arrived[s.record] < s.of
	}
	rows := make([]int32, 0, len(p.rows))
	for _, i := range p.rows {
		if !waiting[i] {
			rows = append(rows, i)
		}
	}
	return rows
}

// rebuildChanges fills a part with the rows that another part has of some records. It must be called with mu held.
func (j *job) rebuildChanges(e *expander, p, again *part, records []int32) error {
	split, mine := map[int32]bool{}, map[piece]bool{}
	for _, s := range p.split {
		split[s.record], mine[s] = true, true
	}
	var rec Record
	for _, i := range distinct(records) {
		rec.reset()
		rows, err := e.rows(j, int(i), &rec)
		if err != nil {
			return fmt.Errorf("reading record %d again: %w", i, err)
		}
		for n := range rows {
			s := piece{i, int32(rows[n].Ordinal), int32(len(rows))}
			if split[i] && !mine[s] {
				continue
			}
			shard, omitted, err := e.place(j, int(i), &rows[n])
			if err == nil && (shard != p.shard || omitted != p.omitted) {
				err = errors.New("it does not go where it went")
			}
			if err == nil {
				err = again.block.Append(e.reader)
			}
			if err != nil {
				return fmt.Errorf("reading record %d again: %w", i, err)
			}
			again.rows = append(again.rows, i)
			if split[i] {
				again.split = append(again.split, s)
			}
		}
	}
	return nil
}
