package sharding

import (
	"encoding/binary"
)

// hash128 is the state of a hash; hashes of 64 bits and less leave hi at 0.
type hash128 struct{ lo, hi uint64 }

// anyHash is one of ClickHouse's hashes of any number of values of any type. Each value is hashed on its own, as its
// bytes in memory, and the hashes are combined from left to right; tuples count as the list of their elements.
// Source: FunctionAnyHash in src/Functions/FunctionsHashing.h, ClickHouse 26.7.
type anyHash struct {
	size    int // bytes of the result; 16 makes it a FixedString(16)
	bytes   func(b []byte) hash128
	combine func(h1, h2 hash128) hash128
	// intHash: numbers up to 64 bits go through intHash64 of their zero-extended bits instead.
	intHash bool
}

// nullHash is what NULL inside a tuple hashes to, cut to the width of the hash.
var nullHash = hash128{lo: 0xc58ad2da03d9a871, hi: 0x5715f196cbea7a40}

func (h *anyHash) null() hash128 {
	switch h.size {
	case 4:
		return hash128{lo: uint64(uint32(nullHash.lo))}
	case 8:
		return hash128{lo: nullHash.lo}
	default:
		return nullHash
	}
}

// asNumber says which types count as numbers for intHash. DateTime64 does not.
func asNumber(t valueType) bool {
	switch t.kind {
	case kindInt, kindFloat, kindDate, kindDate32, kindDateTime, kindEnum, kindIPv4:
		return true
	}
	return false
}

func (h *anyHash) value(f *frame, t valueType, d datum) hash128 {
	if d.null {
		return h.null()
	}
	if h.intHash && asNumber(t) {
		return hash128{lo: intHash64(t.bits(d.u))}
	}
	return h.bytes(f.bytesOf(t, d))
}

func bindHash(h *anyHash) func(*binder, *function, []typed) (binding, error) {
	return func(b *binder, f *function, args []typed) (binding, error) {
		leaves := flatten(nil, args)
		types := make([]valueType, len(leaves))
		for i, l := range leaves {
			types[i] = l.typ
		}
		return binding{result: h.result(), apply: h.applyTo(types)}, nil
	}
}

func (h *anyHash) result() valueType {
	if h.size == 16 {
		return fixedStringType(16)
	}
	return integerType(h.size, false)
}

func (h *anyHash) applyTo(types []valueType) applyFunc {
	if t := types[0]; len(types) == 1 && h.intHash && asNumber(t) && !t.nullable {
		return func(_ *frame, args []datum) (datum, error) { return datum{u: intHash64(t.bits(args[0].u))}, nil }
	}
	if h.size == 16 {
		return func(f *frame, args []datum) (datum, error) {
			sum := h.all(f, types, args)
			start := len(f.arena)
			f.arena = binary.LittleEndian.AppendUint64(f.arena, sum.lo)
			f.arena = binary.LittleEndian.AppendUint64(f.arena, sum.hi)
			return f.keep(start), nil
		}
	}
	return func(f *frame, args []datum) (datum, error) {
		return datum{u: h.all(f, types, args).lo}, nil
	}
}

func (h *anyHash) all(f *frame, types []valueType, args []datum) hash128 {
	sum := h.value(f, types[0], args[0])
	for i := 1; i < len(types); i++ {
		sum = h.combine(sum, h.value(f, types[i], args[i]))
	}
	return sum
}

// combineAsBytes hashes both hashes together as 16 or 32 little-endian bytes.
func combineAsBytes(size int, hash func([]byte) hash128) func(h1, h2 hash128) hash128 {
	return func(h1, h2 hash128) hash128 {
		var both [32]byte
		b := both[:0]
		for _, h := range [2]hash128{h1, h2} {
			b = binary.LittleEndian.AppendUint64(b, h.lo)
			if size == 16 {
				b = binary.LittleEndian.AppendUint64(b, h.hi)
			}
		}
		return hash(b)
	}
}

// combineCity is CityHash 1.0.2's Hash128to64, which farmHash64 and xxHash64 combine with too.
func combineCity(h1, h2 hash128) hash128 {
	const k = 0x9ddfea08eb382d69
	a := (h1.lo ^ h2.lo) * k
	a ^= a >> 47
	b := (h2.lo ^ a) * k
	b ^= b >> 47
	return hash128{lo: b * k}
}

// combineInt32 and combineInt64 are the weaker combination of the MurmurHashes and xxHash32.
func combineInt32(h1, h2 hash128) hash128 { return hash128{lo: intHash32(h1.lo) ^ h2.lo} }

func combineInt64(h1, h2 hash128) hash128 { return hash128{lo: intHash64(h1.lo) ^ h2.lo} }
