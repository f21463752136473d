package kafka

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"regexp"
	"sort"
	"strings"
	"time"

	"github.com/benthos-clickhouse/connect/delivery"
)

// metadataPrefix marks a committed offset's metadata as an intent log of ours. What follows is unpadded URL-safe base64, because
// brokers and tools decode the field as UTF-8 and count its limit in characters.
const metadataPrefix = "eo1:"

// otherFormat marks an intent log of another version.
var otherFormat = regexp.MustCompile(`^eo[0-9]+:`)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// intentLog is what the metadata of a partition's committed offset says: the fate of the ranges above the low watermark.
type intentLog struct {
	topicID   [16]byte
	watermark int64
	ranges    []loggedRange // ascending, without overlap
}

// end is up to where records were read, of a log (perhaps an empty one) that goes with this committed offset.
func (l intentLog) end(committed int64) int64 {
	if n := len(l.ranges); n > 0 {
		return max(committed, l.ranges[n-1].to)
	}
	return committed
}

// loggedRange is one range above the watermark: done, or prepared by one or more sinks.
type loggedRange struct {
	from, to int64
	done     bool
	intents  []loggedIntent // empty when done
}

type loggedIntent struct {
	sink   string
	at     time.Time // second precision
	digest uint64
	layout []byte
	lookUp bool
}

// encode packs the log: integers as varints, ranges as differences from the one before, and each layout and sink once. Done ranges
// that touch become one, so that the log's size is bounded by the ranges still open.
func (l intentLog) encode() string {
	ranges := mergeDone(l.ranges)
	layouts, sinks := newTable(), newTable()
	base := oldest(ranges)
	var body []byte
	body = binary.AppendUvarint(body, uint64(len(ranges)))
	at := l.watermark
	for _, r := range ranges {
		body = binary.AppendUvarint(body, uint64(r.from-at))
		body = binary.AppendUvarint(body, uint64(r.to-r.from))
		body = binary.AppendUvarint(body, uint64(len(r.intents)))
		for _, in := range r.intents {
			body = binary.AppendUvarint(body, sinks.index(in.sink)<<1|bit(in.lookUp))
			body = binary.AppendUvarint(body, layouts.index(string(in.layout)))
			body = binary.AppendUvarint(body, uint64(in.at.Unix()-base))
			body = binary.LittleEndian.AppendUint64(body, in.digest)
		}
		at = r.to
	}
	out := append([]byte{}, l.topicID[:]...)
	out = binary.AppendVarint(out, l.watermark)
	out = binary.AppendUvarint(out, uint64(base))
	out = layouts.append(out)
	out = sinks.append(out)
	out = append(out, body...)
	out = binary.LittleEndian.AppendUint32(out, crc32.Checksum(out, castagnoli))
	return metadataPrefix + base64.RawURLEncoding.EncodeToString(out)
}

// decodeIntents reads the metadata of an offset committed at watermark. Metadata that another client wrote gives ErrForeignMetadata; ours,
// when damaged or of a format we do not know, gives a *MetadataError.
func decodeIntents(metadata string, watermark int64) (intentLog, error) {
	text, ours := strings.CutPrefix(metadata, metadataPrefix)
	if !ours {
		if format := otherFormat.FindString(metadata); format != "" {
			return intentLog{}, &MetadataError{Reason: "unknown format " + format + " written by another version"}
		}
		return intentLog{}, ErrForeignMetadata
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return intentLog{}, &MetadataError{Reason: err.Error()}
	}
	if len(raw) < 16+4 {
		return intentLog{}, &MetadataError{Reason: "too short"}
	}
	body, sum := raw[:len(raw)-4], binary.LittleEndian.Uint32(raw[len(raw)-4:])
	if crc32.Checksum(body, castagnoli) != sum {
		return intentLog{}, &MetadataError{Reason: "checksum differs"}
	}
	r := logReader{b: body}
	l := r.log()
	if r.err != nil {
		return intentLog{}, &MetadataError{Reason: r.err.Error()}
	}
	if l.watermark != watermark {
		// Somebody moved the offset and kept the metadata: the ranges no longer describe what lies above it.
		return intentLog{}, ErrForeignMetadata
	}
	return l, nil
}

func mergeDone(ranges []loggedRange) []loggedRange {
	out := make([]loggedRange, 0, len(ranges))
	for _, r := range ranges {
		if n := len(out); r.done && n > 0 && out[n-1].done && out[n-1].to == r.from {
			out[n-1].to = r.to
			continue
		}
		if r.done {
			r.intents = nil
		}
		out = append(out, r)
	}
	return out
}

// oldest is the second that the others are counted from.
func oldest(ranges []loggedRange) int64 {
	base := int64(-1)
	for _, r := range ranges {
		for _, in := range r.intents {
			if s := in.at.Unix(); base < 0 || s < base {
				base = s
			}
		}
	}
	return max(base, 0)
}

// table numbers strings in the order that they are first met.
type table struct {
	at   map[string]uint64
	list []string
}

func newTable() *table { return &table{at: map[string]uint64{}} }

func (t *table) index(s string) uint64 {
	i, ok := t.at[s]
	if !ok {
		i = uint64(len(t.list))
		t.at[s] = i
		t.list = append(t.list, s)
	}
	return i
}

func (t *table) append(out []byte) []byte {
	out = binary.AppendUvarint(out, uint64(len(t.list)))
	for _, s := range t.list {
		out = binary.AppendUvarint(out, uint64(len(s)))
		out = append(out, s...)
	}
	return out
}

// logReader takes the fields of a log apart; the first thing wrong stays in err.
type logReader struct {
	b   []byte
	err error
}

func (r *logReader) log() (l intentLog) {
	copy(l.topicID[:], r.bytes(16))
	l.watermark = r.varint()
	base := int64(r.uvarint())
	layouts, sinks := r.table(), r.table()
	n := r.count()
	at := l.watermark
	for i := 0; i < n && r.err == nil; i++ {
		var lr loggedRange
		lr.from = at + int64(r.uvarint())
		lr.to = lr.from + int64(r.uvarint())
		if lr.to <= lr.from || lr.from < at {
			r.fail("range [%d, %d) is empty or overlaps the one before", lr.from, lr.to)
		}
		intents := r.count()
		lr.done = intents == 0
		for j := 0; j < intents && r.err == nil; j++ {
			sink := r.uvarint()
			lr.intents = append(lr.intents, loggedIntent{
				sink:   r.entry(sinks, sink>>1),
				lookUp: sink&1 == 1,
				layout: []byte(r.entry(layouts, r.uvarint())),
				at:     time.Unix(base+int64(r.uvarint()), 0),
				digest: r.uint64(),
			})
		}
		at = lr.to
		l.ranges = append(l.ranges, lr)
	}
	if r.err == nil && len(r.b) > 0 {
		r.fail("%d bytes too many", len(r.b))
	}
	return l
}

func (r *logReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
	r.b = nil
}

func (r *logReader) bytes(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.fail("%d bytes wanted, %d left", n, len(r.b))
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *logReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail("broken number")
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *logReader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail("broken number")
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *logReader) uint64() uint64 {
	b := r.bytes(8)
	if r.err != nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

// count reads the length of a list, each entry of which takes a byte at least.
func (r *logReader) count() int {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.fail("list of %d entries in %d bytes", n, len(r.b))
		return 0
	}
	return int(n)
}

func (r *logReader) table() []string {
	out := make([]string, 0, 2)
	for range r.count() {
		out = append(out, string(r.bytes(r.count())))
	}
	return out
}

func (r *logReader) entry(table []string, i uint64) string {
	if r.err == nil && i >= uint64(len(table)) {
		r.fail("entry %d of a table of %d", i, len(table))
	}
	if r.err != nil {
		return ""
	}
	return table[i]
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// prepared gives the intents by sink, as a new owner sees them.
func (r loggedRange) prepared() map[string]*intent {
	out := make(map[string]*intent, len(r.intents))
	for _, in := range r.intents {
		out[in.sink] = &intent{
			durable: closedChan,
			Prepared: delivery.Prepared{
				Intent:    delivery.Intent{Layout: in.layout, Digest: in.digest},
				At:        in.at,
				Recovered: true,
				LookUp:    in.lookUp,
				Landed:    in.at,
			},
		}
	}
	return out
}

// logged gives the intents in the order of their sinks, so that equal states have equal encodings.
func logged(intents map[string]*intent, include func(*intent) bool) []loggedIntent {
	out := make([]loggedIntent, 0, len(intents))
	for sink, in := range intents {
		if include(in) {
			out = append(out, loggedIntent{sink: sink, at: in.At, digest: in.Digest, layout: in.Layout, lookUp: in.LookUp})
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].sink < out[j].sink })
	return out
}
