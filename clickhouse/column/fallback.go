package column

import (
	"fmt"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// fallback is a column's Default, ready to append. Its constant is scanned and checked once; appending it takes no more than a
// value of the document does.
type fallback struct {
	kind DefaultKind
	src  []byte // of a Constant: a document with one member, the value
	span jsonscan.Span
	val  Value // of a scalar
}

func newFallback(c *codec, d Default) (fallback, error) {
	f := fallback{kind: d.Kind}
	if d.Kind != Constant {
		f.val = c.zero
		return f, nil
	}
	f.src = append(append([]byte(`{"v":`), d.JSON...), '}')
	fields, err := jsonscan.Compile([][]jsonscan.Step{{{Name: "v"}}}, jsonscan.Options{})
	if err != nil {
		return f, err
	}
	var spans [1]jsonscan.Span
	if err := fields.NewScanner().Scan(f.src, spans[:]); err != nil {
		return f, fmt.Errorf("%s: %w", shorten(d.JSON), err)
	}
	f.span = spans[0]
	var x scratch
	if err := c.column().append(f.src, f.span, &x); err != nil {
		return f, err
	}
	return f, f.keep(c, &x)
}

// keep works out the constant as a key, where it can be one.
func (f *fallback) keep(c *codec, x *scratch) error {
	if c.value == nil {
		return nil
	}
	if f.span.Kind == jsonscan.Null {
		f.val = c.zero
		return nil
	}
	if err := c.value(f.src, f.span, x, &f.val); err != nil {
		return err
	}
	f.val.B = append([]byte(nil), f.val.B...)
	return nil
}

func (f *fallback) append(c column, x *scratch) error {
	if f.kind == Constant {
		return c.append(f.src, f.span, x)
	}
	c.zero()
	return nil
}

func (f *fallback) key(dst *Value) error {
	if f.kind == Server {
		return ErrServerDefault
	}
	*dst = f.val
	return nil
}
