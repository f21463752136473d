package sharding

// The result types are those of src/DataTypes/NumberTraits.h, ClickHouse 26.7: arithmetic widens to the next size up to
// 64 bits and wraps around there.

type arithmetic struct {
	result func(a, b valueType) valueType
	apply  func(a, b uint64) uint64
}

var (
	add      = arithmetic{widened, func(a, b uint64) uint64 { return a + b }}
	multiply = arithmetic{widened, func(a, b uint64) uint64 { return a * b }}
	subtract = arithmetic{func(a, b valueType) valueType { return integerType(widened(a, b).size, true) }, func(a, b uint64) uint64 { return a - b }}
	bitAnd   = arithmetic{func(a, b valueType) valueType { return integerType(max(a.size, b.size), a.signed || b.signed) }, func(a, b uint64) uint64 { return a & b }}
)

func widened(a, b valueType) valueType {
	return integerType(min(8, 2*max(a.size, b.size)), a.signed || b.signed)
}

func (b *binder) integers(f *function, args []typed) error {
	for _, a := range args {
		if !a.typ.isInteger() {
			return b.refuseArgument(f, a.typ, "arithmetic takes integers of 8 to 64 bits here")
		}
	}
	return nil
}

func bindArithmetic(op arithmetic) func(*binder, *function, []typed) (binding, error) {
	return func(b *binder, f *function, args []typed) (binding, error) {
		if err := b.integers(f, args); err != nil {
			return binding{}, err
		}
		result := op.result(args[0].typ, args[1].typ)
		apply := func(_ *frame, args []datum) (datum, error) {
			return datum{u: result.truncate(op.apply(args[0].u, args[1].u))}, nil
		}
		return binding{result: result, apply: apply}, nil
	}
}

func bindNegate(b *binder, f *function, args []typed) (binding, error) {
	if err := b.integers(f, args); err != nil {
		return binding{}, err
	}
	size := args[0].typ.size
	if !args[0].typ.signed {
		size = min(8, 2*size)
	}
	result := integerType(size, true)
	apply := func(_ *frame, args []datum) (datum, error) { return datum{u: result.truncate(-args[0].u)}, nil }
	return binding{result: result, apply: apply}, nil
}

func bindAbs(b *binder, f *function, args []typed) (binding, error) {
	if err := b.integers(f, args); err != nil {
		return binding{}, err
	}
	result, signed := integerType(args[0].typ.size, false), args[0].typ.signed
	apply := func(_ *frame, args []datum) (datum, error) {
		u := args[0].u
		if signed && int64(u) < 0 {
			u = -u
		}
		return datum{u: result.truncate(u)}, nil
	}
	return binding{result: result, apply: apply}, nil
}

// bindModulo: C++'s remainder after the usual arithmetic conversions, so that a signed dividend becomes unsigned beside
// an unsigned divisor at least as wide. Source: ModuloImpl in src/Functions/ModuloImpl.h, ClickHouse 26.7.
func bindModulo(b *binder, f *function, args []typed) (binding, error) {
	if err := b.integers(f, args); err != nil {
		return binding{}, err
	}
	dividend, divisor := args[0].typ, args[1].typ
	if divisor.nullable || dividend.nullable && !args[1].constant {
		return binding{}, b.refuse("modulo by a column where either is Nullable", "ClickHouse may divide the value under a NULL", adviceStrategy)
	}
	if args[1].constant {
		if d, err := args[1].eval(new(frame)); err == nil && d.u == 0 {
			return binding{}, b.refuse("modulo by zero", "ClickHouse fails every insert with it", adviceStrategy)
		}
	}
	size := divisor.size
	if dividend.signed {
		size = min(8, 2*size)
	}
	result := integerType(size, dividend.signed)
	remainder := remainderFor(dividend, divisor)
	overflow := overflowCheck(dividend, divisor, args[1].constant)
	apply := func(_ *frame, args []datum) (datum, error) {
		x, y := args[0].u, args[1].u
		if y == 0 {
			return datum{}, &EvalError{Function: "modulo", Reason: "division by zero"}
		}
		if overflow(x, y) {
			return datum{}, &EvalError{Function: "modulo", Reason: "division of the smallest " + dividend.name + " by -1"}
		}
		return datum{u: result.truncate(remainder(x, y))}, nil
	}
	return binding{result: result, apply: apply}, nil
}

// remainderFor picks the width and sign that C++ divides in. Operands below 32 bits are promoted to int.
func remainderFor(a, b valueType) func(x, y uint64) uint64 {
	unsigned64 := a.size == 8 && !a.signed || b.size == 8 && !b.signed
	unsigned32 := a.size <= 4 && b.size <= 4 && (a.size == 4 && !a.signed || b.size == 4 && !b.signed)
	switch {
	case unsigned64:
		return func(x, y uint64) uint64 { return x % y }
	case unsigned32:
		return func(x, y uint64) uint64 { return uint64(uint32(x) % uint32(y)) }
	default:
		return func(x, y uint64) uint64 { return uint64(int64(x) % int64(y)) }
	}
}

// overflowCheck finds what ClickHouse refuses to divide: the smallest signed number by −1. Dividing 32 and 64 bits by
// a constant takes another path there, which gives 0.
func overflowCheck(a, b valueType, constant bool) func(x, y uint64) bool {
	if !a.signed || !b.signed || constant && a.size >= 4 {
		return func(x, y uint64) bool { return false }
	}
	smallest := -(uint64(1) << (8*uint(a.size) - 1))
	return func(x, y uint64) bool { return x == smallest && y == ^uint64(0) }
}
