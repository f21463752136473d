package sharding

import (
	"encoding/binary"
	"math/bits"
)

// The hashes in this file have no maintained Go library that gives ClickHouse's variant. Each is written to its
// specification and held to values computed by ClickHouse 26.7.

// sip128 is SipHash-2-4 with a zero key, read out at 128 bits without the finalization of the standard's 128-bit
// variant: sipHash128 in src/Common/SipHash.h, which ClickHouse tells apart from sipHash128Reference.
func sip128(b []byte) hash128 {
	v0, v1, v2, v3 := uint64(0x736f6d6570736575), uint64(0x646f72616e646f6d), uint64(0x6c7967656e657261), uint64(0x7465646279746573)
	round := func() {
		v0 += v1
		v1 = bits.RotateLeft64(v1, 13) ^ v0
		v0 = bits.RotateLeft64(v0, 32)
		v2 += v3
		v3 = bits.RotateLeft64(v3, 16) ^ v2
		v0 += v3
		v3 = bits.RotateLeft64(v3, 21) ^ v0
		v2 += v1
		v1 = bits.RotateLeft64(v1, 17) ^ v2
		v2 = bits.RotateLeft64(v2, 32)
	}
	last := uint64(len(b)) << 56
	for ; len(b) >= 8; b = b[8:] {
		word := binary.LittleEndian.Uint64(b)
		v3 ^= word
		round()
		round()
		v0 ^= word
	}
	for i, c := range b {
		last |= uint64(c) << (8 * i)
	}
	v3 ^= last
	round()
	round()
	v0 ^= last
	v2 ^= 0xff
	round()
	round()
	round()
	round()
	return hash128{lo: v0 ^ v1, hi: v2 ^ v3}
}

// murmur2 is MurmurHash2 by Austin Appleby, 32 bits, seed 0.
func murmur2(b []byte) uint32 {
	const m = 0x5bd1e995
	h := uint32(len(b))
	for ; len(b) >= 4; b = b[4:] {
		k := binary.LittleEndian.Uint32(b) * m
		h = h*m ^ (k^k>>24)*m
	}
	if len(b) > 0 {
		for i, c := range b {
			h ^= uint32(c) << (8 * i)
		}
		h *= m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}

// murmur64A is MurmurHash2 by Austin Appleby for 64-bit machines, seed 0.
func murmur64A(b []byte) uint64 {
	const m = 0xc6a4a7935bd1e995
	h := uint64(len(b)) * m
	for ; len(b) >= 8; b = b[8:] {
		k := binary.LittleEndian.Uint64(b) * m
		h = (h ^ (k^k>>47)*m) * m
	}
	if len(b) > 0 {
		for i, c := range b {
			h ^= uint64(c) << (8 * i)
		}
		h *= m
	}
	h ^= h >> 47
	h *= m
	return h ^ h>>47
}

const (
	xxPrime1 = 2654435761
	xxPrime2 = 2246822519
	xxPrime3 = 3266489917
	xxPrime4 = 668265263
	xxPrime5 = 374761393
)

// xxh32 is XXH32 with seed 0, to the specification at github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md.
func xxh32(b []byte) uint32 {
	length, h := uint32(len(b)), uint32(xxPrime5)
	if len(b) >= 16 {
		lanes := [4]uint32{(xxPrime1 + xxPrime2) & 0xffffffff, xxPrime2, 0, -xxPrime1 & 0xffffffff}
		for ; len(b) >= 16; b = b[16:] {
			for i := range lanes {
				lanes[i] += binary.LittleEndian.Uint32(b[4*i:]) * xxPrime2
				lanes[i] = bits.RotateLeft32(lanes[i], 13) * xxPrime1
			}
		}
		h = bits.RotateLeft32(lanes[0], 1) + bits.RotateLeft32(lanes[1], 7) + bits.RotateLeft32(lanes[2], 12) + bits.RotateLeft32(lanes[3], 18)
	}
	h += length
	for ; len(b) >= 4; b = b[4:] {
		h = bits.RotateLeft32(h+binary.LittleEndian.Uint32(b)*xxPrime3, 17) * xxPrime4
	}
	for _, c := range b {
		h = bits.RotateLeft32(h+uint32(c)*xxPrime5, 11) * xxPrime1
	}
	h ^= h >> 15
	h *= xxPrime2
	h ^= h >> 13
	h *= xxPrime3
	return h ^ h>>16
}

// javaHashBytes is java.lang.String's hashCode over bytes, each taken as signed: JavaHashImpl.
func javaHashBytes(b []byte) uint32 {
	var h uint32
	for _, c := range b {
		h = 31*h + uint32(int32(int8(c)))
	}
	return h
}
