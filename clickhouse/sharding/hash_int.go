package sharding

import "math/bits"

// intHash32 is Thomas Wang's 64-to-32-bit mix, salted: intHash32 in src/Common/HashTable/Hash.h and IntHash32Impl.
func intHash32(x uint64) uint64 {
	x ^= 0x75D9543DE018BF45
	x = ^x + x<<18
	x ^= bits.RotateLeft64(x, -31)
	x *= 21
	x ^= bits.RotateLeft64(x, -11)
	x += x << 6
	x ^= bits.RotateLeft64(x, -22)
	return uint64(uint32(x))
}

func bindIntHash(size int, hash func(uint64) uint64) func(*binder, *function, []typed) (binding, error) {
	return func(b *binder, f *function, args []typed) (binding, error) {
		switch t := args[0].typ; t.kind {
		case kindInt, kindDate, kindDate32, kindDateTime, kindIPv4:
		default:
			return binding{}, b.refuseArgument(f, t, "it takes integers, dates and DateTime")
		}
		// Signed numbers enter sign-extended, unlike into cityHash64.
		apply := func(_ *frame, args []datum) (datum, error) { return datum{u: hash(args[0].u)}, nil }
		return binding{result: integerType(size, false), apply: apply}, nil
	}
}
