package column

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// FuzzRow feeds documents to a plan with every type: nothing panics, every column of a block has the block's rows, a refused row
// leaves no trace, and the structured path gives what the raw one gives.
func FuzzRow(f *testing.F) {
	p := everything(f)
	for _, field := range p.fields {
		for _, value := range samples {
			if len(value)%7 == len(field.name)%7 {
				f.Add([]byte(`{"` + field.name + `":` + value + `}`))
			}
		}
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		r, b := p.NewReader(), p.NewBlock(0)
		require.NoError(t, row(r, b, `{"s":"before","s_la":["before"]}`))
		before := wire(t, b)
		err := row(r, b, string(doc))
		checkRows(t, b)
		if err != nil {
			require.Equal(t, before, wire(t, b))
		}
		comparePaths(t, p, doc, err, b)
	})
}

// checkRows demands that the block and each of its columns agree on the number of rows; encoding would fail otherwise.
func checkRows(t *testing.T, b *Block) {
	t.Helper()
	for i := range b.cols {
		require.Equal(t, b.Rows(), b.cols[i].Rows(), b.cols[i].field.name)
	}
	require.NotEmpty(t, wire(t, b))
}

// comparePaths decodes the document as a processor would, where that loses nothing, and holds the structured path against the raw one.
func comparePaths(t *testing.T, p *Plan, doc []byte, rawErr error, want *Block) {
	t.Helper()
	if !json.Valid(doc) || !utf8.Valid(doc) || bytes.ContainsRune(doc, utf8.RuneError) || bytes.Contains(doc, []byte(`\u`)) || twice(doc) {
		return
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	var v map[string]any
	if d.Decode(&v) != nil || v == nil || !canonical(doc, v) {
		return
	}
	r, b := p.NewReader(), p.NewBlock(0)
	require.NoError(t, row(r, b, `{"s":"before","s_la":["before"]}`))
	err := r.ReadValue(v)
	if err == nil {
		err = b.Append(r)
	}
	require.Equal(t, rawErr == nil, err == nil, "raw %v, structured %v", rawErr, err)
	if err == nil {
		require.Equal(t, wire(t, want), wire(t, b))
	}
}

// canonical reports whether the text is what the value would be written as; where objects become strings, the text itself counts.
func canonical(doc []byte, v map[string]any) bool {
	var compact bytes.Buffer
	if json.Compact(&compact, doc) != nil {
		return false
	}
	text, err := appendJSON(nil, v, 0)
	return err == nil && bytes.Equal(text, compact.Bytes()) && bytes.Equal(text, doc)
}

// twice reports whether an object has a member twice, which a map cannot tell.
func twice(doc []byte) bool {
	d := json.NewDecoder(bytes.NewReader(doc))
	type level struct {
		object, value bool
		names         map[string]bool
	}
	var stack []level
	for {
		token, err := d.Token()
		if err != nil {
			return false
		}
		if delim, ok := token.(json.Delim); ok && (delim == '}' || delim == ']') {
			stack = stack[:len(stack)-1]
			continue
		}
		if n := len(stack); n > 0 && stack[n-1].object {
			top := &stack[n-1]
			if top.value = !top.value; top.value {
				name := token.(string)
				if top.names[name] {
					return true
				}
				top.names[name] = true
				continue
			}
		}
		if delim, ok := token.(json.Delim); ok {
			stack = append(stack, level{object: delim == '{', names: make(map[string]bool)})
		}
	}
}

// FuzzParseType parses what it will, and what parses prints as something that parses to the same.
func FuzzParseType(f *testing.F) {
	for _, s := range typeNames {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		typ, err := ParseType(s)
		if err != nil {
			return
		}
		again, err := ParseType(typ.String())
		require.NoError(t, err)
		require.Equal(t, typ.canonical(), again.canonical())
		_, _ = compile(typ, &environment{})
	})
}
