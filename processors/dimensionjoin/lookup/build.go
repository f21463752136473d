package lookup

import (
	"bytes"
	"encoding/json"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
	"github.com/benthos-clickhouse/connect/internal/uncleared"
	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/source"
)

// build writes joined events into arrays that are made for them and not used again.
func (w *worker) build(from, to int) {
	for from < to {
		if from == 0 || w.events[from].First {
			w.arrays = append(w.arrays, nil)
		}
		end := min(w.arrayEnd(from), to)
		last := len(w.arrays) - 1
		out := w.reserve(w.arrays[last], from, end)
		for ; from < end; from++ {
			out = w.append(out, from)
		}
		w.arrays[last] = out
	}
}

// arrayEnd is the next event after i that begins an array.
func (w *worker) arrayEnd(i int) int {
	for i++; i < len(w.events) && !w.events[i].First; i++ {
	}
	return i
}

// append writes the outcome of one event.
func (w *worker) append(out []byte, i int) []byte {
	ev := &w.events[i]
	if ev.Drop || (ev.Err != nil && !ev.Line) {
		return out
	}
	if ev.Object != nil {
		w.set(i)
		return out
	}
	ev.Start = len(out)
	switch {
	case ev.Err != nil:
		out = append(out, ev.Doc...)
	case w.clashes[i]:
		out = w.spliceAround(out, i)
	default:
		out = w.splice(out, i)
	}
	ev.End = len(out)
	if ev.Line {
		out = append(out, '\n')
	}
	return out
}

func (w *worker) eventRows(i int) []*source.Row {
	n := len(w.plan.dims)
	return w.rows[i*n : i*n+n]
}

// reserve makes room for these events, and for those after them in the same array, in the proportion that these have grown by.
func (w *worker) reserve(out []byte, from, to int) []byte {
	docs, need := 0, 0
	for i := from; i < to; i++ {
		ev := &w.events[i]
		if ev.Drop || ev.Object != nil || (ev.Err != nil && !ev.Line) {
			continue
		}
		docs += len(ev.Doc)
		need += len(ev.Doc) + 1
		if ev.Err != nil {
			continue
		}
		for _, row := range w.eventRows(i) {
			need += len(row.Members) + 1
		}
	}
	if cap(out)-len(out) >= need {
		return out
	}
	rest := 0
	for i, end := to, w.arrayEnd(from); i < end; i++ {
		rest += len(w.events[i].Doc)
	}
	if docs > 0 {
		rest = int(float64(rest) * float64(need) / float64(docs) * 1.03)
	}
	return append(uncleared.Bytes(len(out)+need+rest), out...)
}

// splice puts all rows before the closing brace of an event that has none of their members.
func (w *worker) splice(dst []byte, i int) []byte {
	doc := w.events[i].Doc
	end, empty, _ := jsonscan.Close(doc) // the scan has seen an object
	dst = append(dst, doc[:end]...)
	for _, row := range w.eventRows(i) {
		if !empty {
			dst = append(dst, ',')
		}
		dst, empty = append(dst, row.Members...), false
	}
	return append(dst, doc[end:]...)
}

// spliceAround joins an event that has a member already which a row adds. It is slow, and need not be fast.
func (w *worker) spliceAround(dst []byte, i int) []byte {
	doc := w.events[i].Doc
	keep := w.plan.joiner.config.OnConflict == Keep
	present := make([]bool, len(w.plan.targets))
	end, _, _ := jsonscan.Close(doc)
	open := bytes.IndexByte(doc, '{')
	dst = append(dst, doc[:open+1]...)
	empty := true
	comma := func() {
		if !empty {
			dst = append(dst, ',')
		}
		empty = false
	}
	members := jsonscan.NewMembers(doc, jsonscan.Span{Start: int32(open), End: int32(end + 1), Kind: jsonscan.Object})
	for {
		name, value, ok := members.Next()
		if !ok {
			break
		}
		if t, clash := w.plan.targetAt[memberName(doc, name)]; clash {
			present[t] = true
			if !keep {
				continue
			}
		}
		comma()
		dst = append(dst, doc[name.Start-1:name.End+1]...)
		dst = append(dst, ':')
		if value.Kind == jsonscan.String || value.Kind == jsonscan.Escaped {
			value.Start, value.End = value.Start-1, value.End+1
		}
		dst = append(dst, value.Bytes(doc)...)
	}
	for d, row := range w.eventRows(i) {
		shape := w.plan.dims[d].schema.Shape
		for m, name := range shape.TopLevel() {
			if keep && present[w.plan.targetAt[name]] {
				continue
			}
			comma()
			dst = shape.AppendMember(dst, row, m)
		}
	}
	return append(dst, doc[end:]...)
}

func memberName(doc []byte, name jsonscan.Span) string {
	if name.Kind == jsonscan.Escaped {
		text, _ := jsonscan.Unescape(nil, name.Bytes(doc))
		return string(text)
	}
	return string(name.Bytes(doc))
}

// set puts the rows' values on an event that is a structure.
func (w *worker) set(i int) {
	object := w.events[i].Object
	keep := w.plan.joiner.config.OnConflict == Keep
	for d, row := range w.eventRows(i) {
		shape := w.plan.dims[d].schema.Shape
		into := object
		if shape.Target != "" {
			if _, taken := object[shape.Target]; taken && keep {
				continue
			}
			into = make(map[string]any, len(shape.Members))
			object[shape.Target] = into
		}
		for m, name := range shape.Members {
			if _, taken := into[name]; taken && keep {
				continue
			}
			into[name] = decode(row.Value(m))
		}
	}
}

// decode turns a JSON literal into what Benthos' own parsing would make of it. Every call makes new maps and slices, since a
// later processor may change them.
func decode(text []byte) any {
	switch f := literal(text); f.Kind {
	case jsonscan.String:
		return string(f.Text)
	case jsonscan.Number:
		return json.Number(f.Text)
	case jsonscan.True:
		return true
	case jsonscan.False:
		return false
	case jsonscan.Null:
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	_ = d.Decode(&v) // rows hold valid JSON only
	return v
}
