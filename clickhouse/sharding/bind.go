package sharding

import (
	"fmt"
	"strings"
	"time"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
)

// BindOption changes how an expression is bound.
type BindOption func(*binder)

// ServerZone gives the time zone of the server, `SELECT timezone()`. Functions of time need it for DateTime columns
// that name no zone of their own; Bind refuses them without it.
func ServerZone(name string) BindOption { return func(b *binder) { b.serverZone = name } }

// typed is a bound part of an expression.
type typed struct {
	typ      valueType
	constant bool
	volatile bool
	eval     evalFunc
	parts    []typed // kindTuple: its elements; eval is nil
	text     string  // the part as Expr.String spells it
}

type binder struct {
	expr       *Expr
	columns    map[string]int
	types      []valueType
	serverZone string
	zoned      bool // serverZone was needed
}

// Bind checks the expression against the types of its columns, in the order of Columns(), and prepares it for
// evaluation. Errors are *UnsupportedError: a function that does not take the type here, a result that ClickHouse does
// not take as a sharding key (it must be an integer of at most 64 bits that cannot be NULL), or a constant part that
// fails to evaluate.
func (e *Expr) Bind(types []*column.Type, options ...BindOption) (*Func, error) {
	if len(types) != len(e.columns) {
		return nil, fmt.Errorf("binding sharding expression %q: it reads %d columns, %d types were given", e.source, len(e.columns), len(types))
	}
	b := &binder{expr: e, columns: make(map[string]int, len(types)), types: make([]valueType, len(types))}
	for _, o := range options {
		o(b)
	}
	for i, t := range types {
		v, ok := newValueType(t)
		if !ok {
			return nil, b.refuse(fmt.Sprintf("type %s of column %q", t, e.columns[i]), "", adviceStrategy)
		}
		b.columns[e.columns[i]], b.types[i] = i, v
	}
	root, err := b.bind(e.root)
	if err != nil {
		return nil, err
	}
	if err := b.checkResult(root.typ); err != nil {
		return nil, err
	}
	f := &Func{expr: e, types: b.types, declared: types, result: root.typ, constant: root.constant, volatile: root.volatile, zoned: b.zoned, eval: root.eval}
	f.frames.New = func() any { return new(frame) }
	return f, nil
}

// checkResult holds the result to what the Distributed engine accepts: StorageDistributed.cpp, 26.7.
func (b *binder) checkResult(t valueType) error {
	switch {
	case t.nullable:
		return b.refuse("a key of type "+t.String(), "ClickHouse takes no Nullable sharding key",
			"hash the column inside a tuple, as in cityHash64(tuple(column)), which gives NULL a hash of its own")
	case t.kind != kindInt:
		return b.refuse("a key of type "+t.String(), "ClickHouse takes integers of 8 to 64 bits as sharding key",
			"wrap it in a hash, as in cityHash64(…)")
	}
	return nil
}

func (b *binder) refuse(what, reason, advice string) error {
	return &UnsupportedError{Expr: b.expr.source, What: what, Reason: reason, Advice: advice}
}

func (b *binder) bind(n node) (typed, error) {
	switch n := n.(type) {
	case identifier:
		return b.bindColumn(n.name), nil
	case integerLiteral:
		return bindInteger(n), nil
	case boolLiteral:
		var d datum
		if n.value {
			d.u = 1
		}
		return constant(valueType{name: "Bool", kind: kindInt, size: 1, boolean: true}, d), nil
	case stringLiteral:
		return constant(stringType, datum{b: []byte(n.value)}), nil
	case *call:
		return b.bindCall(n)
	}
	return typed{}, fmt.Errorf("binding sharding expression %q: unknown node %T", b.expr.source, n)
}

func constant(t valueType, d datum) typed {
	return typed{typ: t, constant: true, eval: func(*frame) (datum, error) { return d, nil }}
}

func (b *binder) bindColumn(name string) typed {
	i := b.columns[name]
	t := b.types[i]
	if t.kind == kindFixedString {
		return typed{typ: t, eval: func(f *frame) (datum, error) { return f.fixedString(i, t.size), nil }}
	}
	return typed{typ: t, eval: func(f *frame) (datum, error) {
		v := &f.vals[i]
		return datum{u: v.U, b: v.B, null: v.Null}, nil
	}}
}

// fixedString pads a value that is shorter than its column, as ClickHouse does on the way in.
func (f *frame) fixedString(i, size int) datum {
	v := &f.vals[i]
	if v.Null || len(v.B) >= size {
		return datum{b: v.B, null: v.Null}
	}
	start := len(f.arena)
	f.arena = append(f.arena, v.B...)
	for len(f.arena) < start+size {
		f.arena = append(f.arena, 0)
	}
	return f.keep(start)
}

// bindInteger gives a literal the narrowest type that holds it: signed only when it is negative.
func bindInteger(n integerLiteral) typed {
	for size := 1; size <= 8; size *= 2 {
		limit := uint64(1)<<(8*uint(size)-1) - 1 // largest magnitude less one of a negative number, or half of an unsigned
		if n.negative && n.magnitude-1 <= limit {
			return constant(integerType(size, true), datum{u: -n.magnitude})
		}
		if !n.negative && n.magnitude>>1 <= limit {
			return constant(integerType(size, false), datum{u: n.magnitude})
		}
	}
	return constant(integerType(8, n.negative), datum{u: n.magnitude})
}

// binding is a function applied to given types.
type binding struct {
	result    valueType
	apply     applyFunc
	keepNulls bool // apply is called with NULL arguments; else they make the result NULL
	volatile  bool
}

func (b *binder) bindCall(c *call) (typed, error) {
	args := make([]typed, len(c.args))
	for i, a := range c.args {
		var err error
		if args[i], err = b.bind(a); err != nil {
			return typed{}, err
		}
		args[i].text = nodeText(a)
	}
	f := c.function
	if len(args) < f.minArgs || f.maxArgs >= 0 && len(args) > f.maxArgs {
		return typed{}, b.refuse(fmt.Sprintf("function %s with %d arguments", f.name, len(args)), f.arity(), "")
	}
	if f.name == "tuple" {
		return typed{typ: valueType{name: tupleName(args), kind: kindTuple}, parts: args}, nil
	}
	bound, err := f.bind(b, f, args)
	if err != nil {
		return typed{}, err
	}
	return b.compose(args, bound)
}

func tupleName(parts []typed) string {
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = p.typ.String()
	}
	return "Tuple(" + strings.Join(names, ", ") + ")"
}

// compose makes the call out of its parts. A call of constants is evaluated here and now.
func (b *binder) compose(args []typed, bound binding) (typed, error) {
	leaves := flatten(nil, args)
	out := typed{typ: bound.result, constant: !bound.volatile, volatile: bound.volatile}
	evals, strict := make([]evalFunc, len(leaves)), make([]bool, len(leaves))
	for i, l := range leaves {
		evals[i] = l.eval
		out.constant = out.constant && l.constant
		out.volatile = out.volatile || l.volatile
	}
	direct := 0
	for _, a := range args {
		if a.typ.kind == kindTuple {
			direct += len(flatten(nil, a.parts))
			continue
		}
		strict[direct] = true
		out.typ.nullable = out.typ.nullable || a.typ.nullable && !bound.keepNulls
		direct++
	}
	out.eval = callFunc(evals, strict, bound)
	if !out.constant {
		return out, nil
	}
	d, err := out.eval(new(frame))
	if err != nil {
		return typed{}, b.refuse("a constant that cannot be computed", err.Error(), adviceStrategy)
	}
	folded := constant(out.typ, d)
	return folded, nil
}

// flatten lists the scalars of the arguments; hashes take a tuple as the list of its elements.
func flatten(leaves, args []typed) []typed {
	for _, a := range args {
		if a.typ.kind == kindTuple {
			leaves = flatten(leaves, a.parts)
			continue
		}
		leaves = append(leaves, a)
	}
	return leaves
}

// callFunc evaluates the arguments and applies the function. A NULL argument makes the result NULL, except inside a
// tuple: IFunction's default implementation for nulls.
func callFunc(evals []evalFunc, strict []bool, bound binding) evalFunc {
	apply := bound.apply
	if len(evals) == 1 && strict[0] && !bound.keepNulls {
		arg := evals[0]
		return func(f *frame) (datum, error) {
			d, err := arg(f)
			if err != nil || d.null {
				return d, err
			}
			base := len(f.stack)
			f.stack = append(f.stack, d)
			out, err := apply(f, f.stack[base:])
			f.stack = f.stack[:base]
			return out, err
		}
	}
	return func(f *frame) (datum, error) {
		base := len(f.stack)
		null := false
		for i, eval := range evals {
			d, err := eval(f)
			if err != nil {
				return datum{}, err
			}
			null = null || d.null && strict[i] && !bound.keepNulls
			f.stack = append(f.stack, d)
		}
		out, err := datum{null: true}, error(nil)
		if !null {
			out, err = apply(f, f.stack[base:])
		}
		f.stack = f.stack[:base]
		return out, err
	}
}

// zoneOf is the time zone in which a value's clock time is told.
func (b *binder) zoneOf(f *function, t valueType) (*time.Location, error) {
	name := t.zone
	if name == "" {
		name, b.zoned = b.serverZone, true
	}
	if name == "" {
		return nil, b.refuse(fmt.Sprintf("function %s of a %s without a time zone", f.name, t.name), "it depends on the server's time zone, which is not known here",
			"give the column a zone, as in DateTime('UTC')")
	}
	zone, err := loadZone(name)
	if err != nil {
		return nil, b.refuse(fmt.Sprintf("function %s of a %s", f.name, t.name), err.Error(), "install the time zone database, or build with the tag timetzdata")
	}
	return zone, nil
}
