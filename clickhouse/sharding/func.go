package sharding

import (
	"slices"
	"sync"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
)

// Func is a sharding expression bound to the types of its columns. Immutable and safe for concurrent use.
type Func struct {
	expr     *Expr
	types    []valueType
	declared []*column.Type
	result   valueType
	constant bool
	volatile bool // reads the Record
	zoned    bool // depends on the server's time zone
	eval     evalFunc
	frames   sync.Pool
}

// datum is a value during evaluation: integers, days, seconds and ticks in u (sign-extended), everything else in b.
type datum struct {
	u    uint64
	b    []byte
	null bool
}

type evalFunc func(f *frame) (datum, error)

// applyFunc is a function of values that are not NULL, unless it was bound with keepNulls.
type applyFunc func(f *frame, args []datum) (datum, error)

// frame is the scratch of one evaluation.
type frame struct {
	vals    []column.Value
	rec     Record
	stack   []datum // arguments of the calls under way
	arena   []byte  // strings made by functions; valid until the evaluation ends
	integer [8]byte // one number as bytes, for hashing
}

// Columns names the columns whose values Eval wants, in order.
func (f *Func) Columns() []string { return slices.Clone(f.expr.columns) }

// Expr is the expression that was bound.
func (f *Func) Expr() *Expr { return f.expr }

// Deterministic says that the value depends on the columns alone. It is false for rand(), whose value ClickHouse
// draws anew for each row and this package from a hash of the Record.
func (f *Func) Deterministic() bool { return !f.volatile }

// ServerZoned says that the value depends on the time zone of the server that evaluates the expression.
func (f *Func) ServerZoned() bool { return f.zoned }

// Eval computes the key as the number that ClickHouse divides by the sum of the weights. vals hold the values of
// Columns() and must have the types that the expression was bound to. Errors are *EvalError: this row has no shard.
// Nothing is allocated in steady state.
//
// The number is the key's value taken as unsigned: of 64 bits for 64-bit types, of 32 for narrower ones (an Int8 of −1
// is 2^32−1). A constant expression is taken as unsigned of its own width (toInt8(-1) is 255).
// Source: createBlockSelector.cpp, ClickHouse 26.7.
func (f *Func) Eval(vals []column.Value, rec Record) (uint64, error) {
	fr := f.frames.Get().(*frame)
	fr.vals, fr.rec, fr.stack, fr.arena = vals, rec, fr.stack[:0], fr.arena[:0]
	d, err := f.eval(fr)
	fr.vals, fr.rec = nil, Record{}
	f.frames.Put(fr)
	if err != nil {
		return 0, err
	}
	return f.unsigned(d.u), nil
}

func (f *Func) unsigned(u uint64) uint64 {
	switch {
	case f.result.size == 8:
		return u
	case f.constant:
		return f.result.bits(u)
	default:
		return uint64(uint32(u))
	}
}

// bytesOf is the value as ClickHouse holds it in memory. The result is valid until the next call on the frame.
func (f *frame) bytesOf(t valueType, d datum) []byte {
	switch t.kind {
	case kindString, kindFixedString, kindUUID, kindIPv6, kindWide:
		return d.b
	}
	f.integer = [8]byte{byte(d.u), byte(d.u >> 8), byte(d.u >> 16), byte(d.u >> 24), byte(d.u >> 32), byte(d.u >> 40), byte(d.u >> 48), byte(d.u >> 56)}
	return f.integer[:t.size]
}

// keep returns what was appended to the arena since start.
func (f *frame) keep(start int) datum { return datum{b: f.arena[start:len(f.arena):len(f.arena)]} }
