package cache

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/source"
)

// A snapshot is a sequence of sections, one per view: identity, then entries, each with its age and the literals of its rows'
// columns. It ends with a checksum: half a snapshot is none.
const snapshotMagic = "dimension_join snapshot 1\n"

// errSnapshot says that a file is no snapshot, or not a whole one.
var errSnapshot = errors.New("the snapshot is damaged")

// Section is a view's part of a snapshot.
type Section struct {
	Identity string
	View     *View
	Columns  int // of each row
}

// Save writes the entries of the views, except those that only say that a row cannot be joined.
func (s *Store) Save(w io.Writer, sections []Section) error {
	sum := crc32.NewIEEE()
	buffered := bufio.NewWriter(io.MultiWriter(w, sum))
	e := encoder{w: buffered}
	e.text(snapshotMagic)
	for _, section := range sections {
		e.byte(1)
		e.text(section.Identity)
		e.saveEntries(s, section)
		e.byte(0)
	}
	e.byte(0)
	if e.err == nil {
		e.err = buffered.Flush()
	}
	if e.err == nil {
		_, e.err = w.Write(binary.BigEndian.AppendUint32(nil, sum.Sum32()))
	}
	if e.err != nil {
		return fmt.Errorf("saving the cache: %w", e.err)
	}
	return nil
}

func (e *encoder) saveEntries(s *Store, section Section) {
	for key, entry := range s.otter.All() {
		if key.View != section.View.id || entry.Err != nil || e.err != nil {
			continue
		}
		e.byte(1)
		e.text(key.Key)
		e.number(uint64(entry.LoadedAt))
		versions := entry.Versions
		if !entry.Missing && versions == nil {
			versions = []source.Version{{From: source.Beginning, To: source.Forever, Row: entry.Row}}
		}
		e.number(uint64(len(versions)))
		for i := range versions {
			v := &versions[i]
			e.number(uint64(v.From))
			e.number(uint64(v.To))
			e.number(uint64(section.Columns))
			for c := range section.Columns {
				e.text(string(v.Row.Value(c)))
			}
		}
	}
}

// Snapshot is one that was read: the entries by identity. What no view asks for is of another schema.
type Snapshot map[string][]savedEntry

type savedEntry struct {
	key      string
	loadedAt int64
	versions []savedVersion
}

type savedVersion struct {
	from, to int64
	values   [][]byte
}

// ReadSnapshot reads what Save wrote.
func ReadSnapshot(content []byte) (Snapshot, error) {
	if len(content) < 4 {
		return nil, errSnapshot
	}
	body, sum := content[:len(content)-4], binary.BigEndian.Uint32(content[len(content)-4:])
	d := decoder{rest: body}
	if crc32.ChecksumIEEE(body) != sum || d.text() != snapshotMagic {
		return nil, errSnapshot
	}
	out := Snapshot{}
	for d.more() {
		identity := d.text()
		for d.more() {
			out[identity] = append(out[identity], d.entry())
		}
	}
	if d.bad {
		return nil, errSnapshot
	}
	return out, nil
}

// Restore keeps the snapshot's entries of the view, unless they are too old or something newer is known. With stale set they
// only stand in for a server that does not answer, whatever their age.
func (v *View) Restore(saved Snapshot, identity string, shape *source.Shape, stale bool) (kept int) {
	now := v.store.Now()
	for _, s := range saved[identity] {
		r := &source.Result{}
		for _, version := range s.versions {
			r.Versions = append(r.Versions, source.Version{From: version.from, To: version.to, Row: shape.Restore(version.values)})
		}
		e := v.newEntry(s.key, r, min(s.loadedAt, now)) // the clock may have been set back
		e.Origin = Restored
		if e.DropAt <= now {
			continue
		}
		if stale {
			e = e.due(now)
		}
		if _, set := v.store.otter.SetIfAbsent(Key{v.id, s.key}, e); set {
			kept++
		}
	}
	return kept
}

// decoder reads what encoder wrote; bad is set, and zeros are returned, when there is less than there should be.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) more() bool {
	if len(d.rest) == 0 {
		d.bad = true
	}
	if d.bad {
		return false
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b == 1
}

func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.bad, d.rest = true, nil
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) bytes() []byte {
	n := d.number()
	if n > uint64(len(d.rest)) {
		d.bad, d.rest = true, nil
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) text() string { return string(d.bytes()) }

func (d *decoder) entry() savedEntry {
	e := savedEntry{key: d.text(), loadedAt: int64(d.number())}
	for n := d.number(); n > 0 && !d.bad; n-- {
		v := savedVersion{from: int64(d.number()), to: int64(d.number())}
		for c := d.number(); c > 0 && !d.bad; c-- {
			v.values = append(v.values, d.bytes())
		}
		e.versions = append(e.versions, v)
	}
	return e
}

type encoder struct {
	w   *bufio.Writer
	err error
}

func (e *encoder) byte(b byte) {
	if e.err == nil {
		e.err = e.w.WriteByte(b)
	}
}

func (e *encoder) number(n uint64) {
	if e.err == nil {
		_, e.err = e.w.Write(binary.AppendUvarint(nil, n))
	}
}

func (e *encoder) text(s string) {
	e.number(uint64(len(s)))
	if e.err == nil {
		_, e.err = e.w.WriteString(s)
	}
}
