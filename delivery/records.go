package delivery

import "encoding/json"

// MetaRecords is the metadata key under which a message of several records carries its *Records.
const MetaRecords = "kafka_records"

// Records are the boundaries and the provenance of the records that one message holds: their values stand one after the
// other, each followed by a newline (which is not part of the value; a value may contain newlines). A Records value is
// never changed once it is on a message: a processor that changes the bytes puts another one, from Rebuilt, in its place.
type Records struct {
	Topic      string
	Partition  int32
	Ends       []int    // Ends[i] is one past the last byte of value i; value i starts at 0, or at Ends[i-1]+1
	Offsets    []int64  // Kafka offset of each record
	Timestamps []int64  // Kafka timestamp of each record in milliseconds, or nil
	Keys       [][]byte // Kafka key of each record, or nil when not asked for
	// Errors holds what a processor had against single records, by index; nil when it had nothing.
	Errors map[int]error
}

// Len is the number of records.
func (r *Records) Len() int { return len(r.Ends) }

// Value returns the bytes of record i within the message's content.
func (r *Records) Value(content []byte, i int) []byte {
	start := 0
	if i > 0 {
		start = r.Ends[i-1] + 1
	}
	return content[start:r.Ends[i]]
}

// Check tells whether the boundaries fit the content; if not, the error wraps ErrRecords.
func (r *Records) Check(content []byte) error {
	n := len(r.Ends)
	if n == 0 {
		if len(content) == 0 {
			return nil
		}
		return ErrRecords
	}
	if len(r.Offsets) != n || r.Ends[n-1]+1 != len(content) {
		return ErrRecords
	}
	last := -1
	for _, e := range r.Ends {
		if e <= last || e >= len(content) || content[e] != '\n' {
			return ErrRecords
		}
		last = e
	}
	return nil
}

// Rebuilt returns a copy with other boundaries and errors that shares the provenance: what a processor leaves behind that
// changed the values but kept every record in its place.
func (r *Records) Rebuilt(ends []int, errs map[int]error) *Records {
	c := *r
	c.Ends, c.Errors = ends, errs
	return &c
}

// Copy returns the same boundaries: they are never changed. With it, Records can be an immutable metadata value.
func (r *Records) Copy() any { return r }

// MarshalJSON gives a summary, since metadata may be printed by those who do not know what it is.
func (r *Records) MarshalJSON() ([]byte, error) {
	summary := struct {
		Topic     string `json:"topic"`
		Partition int32  `json:"partition"`
		Records   int    `json:"records"`
		First     int64  `json:"first_offset"`
		Last      int64  `json:"last_offset"`
	}{Topic: r.Topic, Partition: r.Partition, Records: r.Len()}
	if n := len(r.Offsets); n > 0 {
		summary.First, summary.Last = r.Offsets[0], r.Offsets[n-1]
	}
	return json.Marshal(summary)
}
