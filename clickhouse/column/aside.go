package column

import (
	"fmt"
	"strconv"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// renderAside writes a value that does not come out of the document behind the others of its kind. A failure is kept for Append.
func (r *Reader) renderAside(f *planned) {
	if f.source.kind == fromMeta && r.prov.Valid && r.renderProvenance(f) {
		return
	}
	v, ok := r.lookAside(&f.source)
	if _, missing := v.(Missing); missing || !ok {
		r.spans[f.slot] = jsonscan.Span{}
		return
	}
	var err error
	if r.aside, r.spans[f.slot], err = appendValue(r.aside, v); err != nil && r.asideErr == nil {
		r.asideErr = f.rowError(err)
	}
}

func (r *Reader) lookAside(s *Source) (any, bool) {
	if s.kind == fromMeta {
		if r.meta == nil {
			return nil, false
		}
		return r.meta(s.name)
	}
	if s.index >= len(r.computed) {
		return nil, false
	}
	return r.computed[s.index], true
}

// renderProvenance writes a part of the record's provenance; false means that the name is none.
func (r *Reader) renderProvenance(f *planned) bool {
	start := len(r.aside)
	kind := jsonscan.Number
	switch f.source.name {
	case "kafka_offset":
		r.aside = strconv.AppendInt(r.aside, r.prov.Offset, 10)
	case "kafka_partition":
		r.aside = strconv.AppendInt(r.aside, int64(r.prov.Partition), 10)
	case "kafka_timestamp_ms":
		r.aside = strconv.AppendInt(r.aside, r.prov.TimestampMs, 10)
	case "kafka_topic":
		r.aside, kind = append(r.aside, r.prov.Topic...), jsonscan.String
	case "kafka_key":
		r.aside, kind = append(r.aside, r.prov.Key...), jsonscan.String
		if r.prov.Key == nil {
			kind = jsonscan.Null
		}
	default:
		return false
	}
	r.spans[f.slot] = span(start, len(r.aside), kind)
	return true
}

// gather collects the members `name` of an array of objects into one array, for a flattened Nested column.
func (r *Reader) gather(alt *alternative) error {
	f := &r.plan.fields[alt.field]
	start := len(r.aside)
	r.aside = append(r.aside, '[')
	src, elements := r.doc, jsonscan.NewElements(r.doc, r.spans[alt.rows])
	for n := 0; ; n++ {
		e, ok := elements.Next()
		if !ok {
			break
		}
		if e.Kind != jsonscan.Object {
			return f.rowError(fmt.Errorf("element %d of %w", n, notA(src, r.spans[alt.rows], "an array of objects")))
		}
		if n > 0 {
			r.aside = append(r.aside, ',')
		}
		if err := r.gatherMember(src, e, alt.name); err != nil {
			return f.rowError(fmt.Errorf("element %d: %w", n, err))
		}
	}
	r.aside = append(r.aside, ']')
	r.spans[f.slot] = span(start, len(r.aside), jsonscan.Array)
	r.moved[alt.field] = true
	return nil
}

// gatherMember appends the last member of that name, null where there is none.
func (r *Reader) gatherMember(src []byte, object jsonscan.Span, want string) error {
	members := jsonscan.NewMembers(src, object)
	var found jsonscan.Span
	for {
		name, value, ok := members.Next()
		if !ok {
			break
		}
		text, err := r.x.string(src, name)
		if err != nil || string(text) != want {
			continue
		}
		if found.Kind != jsonscan.Missing && r.plan.strict {
			return reject(src, name, "stands twice in an object")
		}
		found = value
	}
	switch found.Kind {
	case jsonscan.Missing:
		r.aside = append(r.aside, "null"...)
	case jsonscan.String, jsonscan.Escaped:
		r.aside = append(r.aside, src[found.Start-1:found.End+1]...)
	default:
		r.aside = append(r.aside, src[found.Start:found.End]...)
	}
	return nil
}
