package kafka

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/benthos-clickhouse/connect/delivery"
	"github.com/benthos-clickhouse/connect/internal/uncleared"
)

// packed are records of one range, copied out of the client's memory as they arrive, so that the client may use that again. They are kept for as
// long as the range may be delivered again. Once messages were made of them their bytes are never written to, nor used for other records: whoever holds a message
// (an output after its acknowledgement, a cache) may hold them, and only the garbage collector knows.
type packed struct {
	chunks []*chunk
	n      int   // records
	last   int64 // offset of the last one
	bytes  int64 // of values, keys and headers: what range.byte_size limits
	held   int64 // what max_buffered_bytes limits
	before sizes // of the first chunk of the range before
	share  int64 // room that may be made ahead of records, if limited
}

// chunk is one message's worth of records, or with one record a message, some messages' worth.
type chunk struct {
	content    []byte
	records    delivery.Records
	keys       []byte               // what records.Keys point into
	headers    [][]kgo.RecordHeader // by record, if they are asked for
	tombstones []int                // records without a value
}

// chunkRecords bounds what one message can keep from being collected when there is one record in each.
const chunkRecords = 4096

// What a record takes beside its bytes: its boundaries and provenance, and where it is a message of its own, the message and its metadata in
// the engine (measured: five keys of metadata and one processor).
const (
	recordOverhead  = 48
	messageOverhead = 1000
	headerOverhead  = 40
)

// sizes are how large a chunk became, so that the next one need not grow.
type sizes struct{ content, keys, records int }

func (t *chunk) sizes() sizes { return sizes{len(t.content), len(t.keys), t.records.Len()} }

// push appends a copy of the record.
func (k *packed) push(c *config, r *kgo.Record) {
	if n := len(k.chunks); n == 0 || k.chunks[n-1].records.Len() >= c.chunkRecords() {
		k.chunks = append(k.chunks, c.newChunk(r, k.room(c)))
	}
	k.chunks[len(k.chunks)-1].push(c, r)
	size := recordSize(r)
	k.n++
	k.last = r.Offset
	k.bytes += size
	k.held += size + recordOverhead
	if c.recordsPerMessage == 1 {
		k.held += messageOverhead
	}
}

// room is how large the next chunk is likely to become: as large as the one before, unless the range will have ended, or the share of memory is less: many
// partitions that had a backlog would otherwise each hold room for as much again. A range that an earlier owner fixed may be larger than ours become.
func (k *packed) room(c *config) sizes {
	s := k.before
	if n := len(k.chunks); n > 0 {
		s = k.chunks[n-1].sizes()
	}
	if left := c.count - k.n; left > 0 && left < s.records {
		s = sizes{s.content / s.records * left, s.keys / s.records * left, left}
	}
	if left := int(c.byteSize - k.bytes); left > 0 && left < s.content {
		s.content = left
	}
	if k.share > 0 && int(k.share) < s.content {
		part := float64(k.share) / float64(s.content)
		s = sizes{int(k.share), int(part * float64(s.keys)), int(part * float64(s.records))}
	}
	return s
}

// next is an empty range to follow this one.
func (k *packed) next() packed {
	if len(k.chunks) == 0 {
		return packed{before: k.before}
	}
	return packed{before: k.chunks[0].sizes()}
}

// chunkRecords is how many records a chunk takes.
func (c *config) chunkRecords() int {
	if c.recordsPerMessage == 1 {
		return chunkRecords
	}
	return c.recordsPerMessage
}

func (c *config) newChunk(first *kgo.Record, size sizes) *chunk {
	t := &chunk{
		content: uncleared.Bytes(max(size.content+size.content/16, len(first.Value)+1)),
		records: delivery.Records{
			Topic: first.Topic, Partition: first.Partition,
			Ends: make([]int, 0, size.records), Offsets: make([]int64, 0, size.records),
		},
	}
	if c.fields.timestampMs || c.fields.timestampUnix {
		t.records.Timestamps = make([]int64, 0, size.records)
	}
	if c.fields.key {
		t.keys = make([]byte, 0, size.keys+size.keys/16)
		t.records.Keys = make([][]byte, 0, size.records)
	}
	return t
}

func (t *chunk) push(c *config, r *kgo.Record) {
	rs := &t.records
	if r.Value == nil {
		t.tombstones = append(t.tombstones, rs.Len())
	}
	if need := len(r.Value) + 1; cap(t.content)-len(t.content) < need {
		t.content = slices.Grow(t.content, max(need, len(t.content)))
	}
	t.content = append(t.content, r.Value...)
	rs.Ends = append(rs.Ends, len(t.content))
	t.content = append(t.content, '\n')
	rs.Offsets = append(rs.Offsets, r.Offset)
	if c.fields.timestampMs || c.fields.timestampUnix {
		rs.Timestamps = append(rs.Timestamps, r.Timestamp.UnixMilli())
	}
	if c.fields.key {
		rs.Keys = append(rs.Keys, t.copyKey(r.Key))
	}
	if c.fields.headers && c.recordsPerMessage == 1 {
		t.headers = append(t.headers, cloneHeaders(r.Headers))
	}
}

// copyKey appends to the chunk's keys. When these move to a larger array, earlier keys stay where they are.
func (t *chunk) copyKey(key []byte) []byte {
	if key == nil {
		return nil
	}
	from := len(t.keys)
	t.keys = append(t.keys, key...)
	return t.keys[from:len(t.keys):len(t.keys)]
}

// cloneHeaders copies the values; the client makes strings of the keys that are copies already.
func cloneHeaders(headers []kgo.RecordHeader) []kgo.RecordHeader {
	out := slices.Clone(headers)
	for i := range out {
		out[i].Value = slices.Clone(out[i].Value)
	}
	return out
}

// value is the value of record i, or nil for a tombstone. Whatever appends to it moves it.
func (t *chunk) value(i int) []byte {
	if len(t.tombstones) > 0 {
		if _, nothing := slices.BinarySearch(t.tombstones, i); nothing {
			return nil
		}
	}
	v := t.records.Value(t.content, i)
	return v[:len(v):len(v)]
}

// recordSize is what a record counts for in range.byte_size.
func recordSize(r *kgo.Record) int64 {
	n := len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += len(r.Headers[i].Key) + len(r.Headers[i].Value) + headerOverhead
	}
	return int64(n)
}
