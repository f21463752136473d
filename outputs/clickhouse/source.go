package clickhouse

import (
	"fmt"
	"sort"
	"strconv"
	"unsafe"

	"github.com/redpanda-data/benthos/v4/public/bloblang"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/benthos-clickhouse/connect/clickhouse/change"
	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/clickhouse/insert"
	"github.com/benthos-clickhouse/connect/delivery"
)

// source shows a batch of messages as records. It keeps nothing of the messages beyond the write.
type source struct {
	batch    service.MessageBatch
	lease    delivery.Lease // nil without one
	wants                   // what of the metadata some column takes
	computed []computed
	mutation *bloblang.Executor // what a record says happened, for change streams that a mapping reads; else nil

	// Set when some message holds several records: packed[m] is nil for one that does not, first[m] the number of its first record.
	packed []*delivery.Records
	first  []int
	total  int

	// The message at hand. meta is made once, because a closure for each record would be an allocation for each.
	at      int
	message *service.Message
	records *delivery.Records
	within  int
	meta    func(string) (any, bool)
	mapped  []*service.MessageBatchBloblangExecutor
	happens *service.MessageBatchBloblangExecutor // mutation, over the batch
	values  []any
}

// newSource looks through a batch whose messages all carry the same lease. An error means that a message's record boundaries do not
// fit its bytes any more.
func newSource(batch service.MessageBatch, lease delivery.Lease, wanted wants, columns []computed, mutation *bloblang.Executor) (*source, error) {
	s := &source{batch: batch, lease: lease, wants: wanted, computed: columns, mutation: mutation, total: len(batch), at: -1}
	if mutation != nil {
		s.happens = batch.BloblangExecutor(mutation)
	}
	s.meta = s.lookUp
	for i, m := range batch {
		r := packedRecords(m)
		if r == nil {
			continue
		}
		content, err := m.AsBytes()
		if err != nil {
			return nil, fmt.Errorf("reading message %d: %w", i, err)
		}
		if err := r.Check(content); err != nil {
			return nil, err
		}
		if s.packed == nil {
			s.packed = make([]*delivery.Records, len(batch))
		}
		s.packed[i] = r
	}
	if s.packed != nil {
		s.number()
	}
	if len(columns) > 0 {
		s.values = make([]any, len(columns))
		s.mapped = make([]*service.MessageBatchBloblangExecutor, len(columns))
		for i := range columns {
			s.mapped[i] = batch.BloblangExecutor(columns[i].mapping)
		}
	}
	return s, nil
}

func packedRecords(m *service.Message) *delivery.Records {
	v, ok := m.MetaGetMut(delivery.MetaRecords)
	if !ok {
		return nil
	}
	r, _ := v.(*delivery.Records)
	return r
}

// recordsIn counts the records of a batch.
func recordsIn(batch service.MessageBatch) (n int) {
	for _, m := range batch {
		if r := packedRecords(m); r != nil {
			n += r.Len()
		} else {
			n++
		}
	}
	return n
}

// number gives each message the number of its first record.
func (s *source) number() {
	s.first = make([]int, len(s.batch))
	s.total = 0
	for i, r := range s.packed {
		s.first[i] = s.total
		if r == nil {
			s.total++
			continue
		}
		s.total += r.Len()
	}
}

func (s *source) Len() int { return s.total }

// seek finds the message of record i; the usual caller asks for one after the other.
func (s *source) seek(i int) {
	m := i
	s.within = 0
	if s.packed != nil {
		if m = s.at; m < 0 || i < s.first[m] || i >= s.end(m) {
			m = sort.Search(len(s.first), func(n int) bool { return s.end(n) > i })
		}
		s.within = i - s.first[m]
	}
	if m == s.at {
		return
	}
	s.at, s.message, s.records = m, s.batch[m], nil
	if s.packed != nil {
		s.records = s.packed[m]
	}
}

// end is one past the last record of message m.
func (s *source) end(m int) int {
	if r := s.packed[m]; r != nil {
		return s.first[m] + r.Len()
	}
	return s.first[m] + 1
}

// Record shows record i to the engine.
func (s *source) Record(i int, rec *insert.Record) error {
	s.seek(i)
	if err := s.message.GetError(); err != nil {
		return fmt.Errorf("failed before it came to this output: %w", err)
	}
	rec.Meta = s.meta
	if s.records != nil {
		if err := s.packedRecord(rec); err != nil {
			return err
		}
	} else if err := s.single(rec); err != nil {
		return err
	}
	if s.mutation != nil {
		if err := s.operation(rec); err != nil {
			return err
		}
	}
	if len(s.computed) == 0 {
		return nil
	}
	return s.compute(rec)
}

// single shows a message of one record: as bytes, unless an earlier processor has left nothing but a structure.
func (s *source) single(rec *insert.Record) (err error) {
	rec.Provenance = s.provenance()
	if s.message.HasStructured() && !s.message.HasBytes() {
		rec.Value, err = s.message.AsStructured()
		return err
	}
	rec.JSON, err = s.message.AsBytes()
	if rec.JSON == nil && err == nil {
		rec.JSON = []byte{} // a message without content is a document without content, not a structure
	}
	return err
}

func (s *source) packedRecord(rec *insert.Record) error {
	if err := s.records.Errors[s.within]; err != nil {
		return fmt.Errorf("failed before it came to this output: %w", err)
	}
	content, err := s.message.AsBytes()
	if err != nil {
		return err
	}
	r, n := s.records, s.within
	rec.JSON = r.Value(content, n)
	rec.Provenance = column.Provenance{Topic: r.Topic, Partition: r.Partition, Offset: r.Offsets[n], Valid: true}
	if r.Timestamps != nil {
		rec.Provenance.TimestampMs = r.Timestamps[n]
	}
	if r.Keys != nil {
		rec.Provenance.Key = r.Keys[n]
	}
	return nil
}

// provenance reads where a message of one record comes from. Under a lease topic and partition are the range's.
func (s *source) provenance() column.Provenance {
	offset, ok := number(s.message, "kafka_offset")
	if !ok {
		return column.Provenance{}
	}
	p := column.Provenance{Offset: offset, Valid: true}
	if s.lease != nil {
		r := s.lease.Range()
		p.Topic, p.Partition = r.Topic, r.Partition
	} else {
		topic, ok := s.message.MetaGetMut("kafka_topic")
		text, isText := topic.(string)
		partition, found := number(s.message, "kafka_partition")
		if !ok || !isText || !found {
			return column.Provenance{}
		}
		p.Topic, p.Partition = text, int32(partition)
	}
	if s.time {
		p.TimestampMs, _ = number(s.message, "kafka_timestamp_ms")
	}
	if s.key {
		if key, ok := s.message.MetaGetMut("kafka_key"); ok {
			p.Key = keyBytes(key)
		}
	}
	return p
}

func keyBytes(key any) []byte {
	switch k := key.(type) {
	case []byte:
		return k
	case string:
		if k == "" {
			return nil // what inputs make of no key; where an empty string stands is unspecified
		}
		return unsafe.Slice(unsafe.StringData(k), len(k)) // only read, and no longer than the message is
	}
	return nil
}

// number reads a metadata value that an input has set as one of several kinds of integer.
func number(m *service.Message, name string) (int64, bool) {
	v, ok := m.MetaGetMut(name)
	if !ok {
		return 0, false
	}
	switch n := v.(type) {
	case int:
		return int64(n), true
	case int64:
		return n, true
	case int32:
		return int64(n), true
	case uint32:
		return int64(n), true
	case float64:
		return int64(n), n == float64(int64(n))
	case string:
		i, err := strconv.ParseInt(n, 10, 64)
		return i, err == nil
	}
	return 0, false
}

// lookUp answers for metadata of the message at hand.
func (s *source) lookUp(name string) (any, bool) { return s.message.MetaGetMut(name) }

// compute evaluates the mappings on the record at hand.
func (s *source) compute(rec *insert.Record) error {
	for i := range s.computed {
		v, err := s.query(s.computed[i].mapping, s.mapped[i], rec)
		if err != nil {
			return fmt.Errorf("mapping of column %q: %w", s.computed[i].column, err)
		}
		s.values[i] = v
	}
	rec.Computed = s.values
	return nil
}

// operation asks the mapping what happened to the row.
func (s *source) operation(rec *insert.Record) error {
	if rec.Value == nil && (len(rec.JSON) == 0 || string(rec.JSON) == "null") {
		return nil // a tombstone
	}
	v, err := s.query(s.mutation, s.happens, rec)
	if err != nil {
		return fmt.Errorf("changes.operation: %w", err)
	}
	if _, deleted := v.(column.Missing); deleted {
		v = change.Ignore.String()
	}
	rec.Operation = v
	return nil
}

// query evaluates a mapping on the record at hand; of a message that is one record, as a part of its batch.
func (s *source) query(mapping *bloblang.Executor, batched *service.MessageBatchBloblangExecutor, rec *insert.Record) (any, error) {
	if s.records == nil {
		return mappedValue(batched.Query(s.at))
	}
	m := s.message.Copy()
	m.SetBytes(rec.JSON)
	m.MetaDelete(delivery.MetaRecords)
	m.MetaSetMut("kafka_offset", int(rec.Provenance.Offset))
	return mappedValue(m.BloblangQuery(mapping))
}

// mappedValue takes the value out of the message that a mapping made. The library's own query for a value leaves `this` undefined
// (benthos 4.80).
func mappedValue(m *service.Message, err error) (any, error) {
	switch {
	case err != nil:
		return nil, err
	case m == nil:
		return column.Missing{}, nil // root = deleted()
	case m.HasStructured():
		return m.AsStructured()
	}
	text, err := m.AsBytes()
	if err != nil || string(text) == "null" {
		return nil, err // a message cannot tell null from the string "null", and a mapping means the former
	}
	return string(text), nil
}

// original makes a message of record i as it came, for the dead letter.
func (s *source) original(i int) *service.Message {
	s.seek(i)
	m := s.message.Copy()
	m.SetError(nil)
	if s.records == nil {
		return m
	}
	if content, err := s.message.AsBytes(); err == nil {
		m.SetBytes(s.records.Value(content, s.within))
	}
	m.MetaDelete(delivery.MetaRecords)
	r := s.records
	m.MetaSetMut("kafka_topic", r.Topic)
	m.MetaSetMut("kafka_partition", int(r.Partition))
	m.MetaSetMut("kafka_offset", int(r.Offsets[s.within]))
	if r.Timestamps != nil {
		m.MetaSetMut("kafka_timestamp_ms", r.Timestamps[s.within])
	}
	if r.Keys != nil && r.Keys[s.within] != nil {
		m.MetaSetMut("kafka_key", string(r.Keys[s.within]))
	}
	return m
}
