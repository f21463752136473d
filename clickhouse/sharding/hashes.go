package sharding

import (
	"crypto/md5"
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
	"github.com/dchest/siphash"
	farm "github.com/dgryski/go-farm"
	"github.com/go-faster/city"
	"github.com/twmb/murmur3"
)

var (
	cityHash64 = &anyHash{
		size: 8, intHash: true, combine: combineCity,
		bytes: func(b []byte) hash128 { return hash128{lo: city.CH64(b)} },
	}
	farmHash64 = &anyHash{
		size: 8, intHash: true, combine: combineCity,
		bytes: func(b []byte) hash128 { return hash128{lo: farm.Hash64(b)} },
	}
	sipHash64 = &anyHash{
		size: 8, combine: combineAsBytes(8, sip64),
		bytes: sip64,
	}
	sipHash128 = &anyHash{
		size: 16, combine: combineAsBytes(16, sip128),
		bytes: sip128,
	}
	halfMD5 = &anyHash{
		size: 8, combine: combineAsBytes(8, md5Half),
		bytes: md5Half,
	}
	xxHash32 = &anyHash{
		size: 4, combine: combineInt32,
		bytes: func(b []byte) hash128 { return hash128{lo: uint64(xxh32(b))} },
	}
	xxHash64 = &anyHash{
		size: 8, combine: combineCity,
		bytes: func(b []byte) hash128 { return hash128{lo: xxhash.Sum64(b)} },
	}
	murmurHash2x32 = &anyHash{
		size: 4, combine: combineInt32,
		bytes: func(b []byte) hash128 { return hash128{lo: uint64(murmur2(b))} },
	}
	murmurHash2x64 = &anyHash{
		size: 8, combine: combineInt64,
		bytes: func(b []byte) hash128 { return hash128{lo: murmur64A(b)} },
	}
	murmurHash3x32 = &anyHash{
		size: 4, combine: combineInt32,
		bytes: func(b []byte) hash128 { return hash128{lo: uint64(murmur3.Sum32(b))} },
	}
	murmurHash3x64 = &anyHash{
		size: 8, combine: combineInt64,
		bytes: func(b []byte) hash128 { lo, hi := murmur3.Sum128(b); return hash128{lo: lo ^ hi} },
	}
	murmurHash3x128 = &anyHash{
		size: 16, combine: combineAsBytes(16, murmur128),
		bytes: murmur128,
	}
)

func sip64(b []byte) hash128 { return hash128{lo: siphash.Hash(0, 0, b)} }

func murmur128(b []byte) hash128 {
	lo, hi := murmur3.Sum128(b)
	return hash128{lo, hi}
}

func md5Half(b []byte) hash128 {
	sum := md5.Sum(b)
	return hash128{lo: binary.BigEndian.Uint64(sum[:8])}
}

// intHash64 is the finalizer of MurmurHash3 over the number and a constant: IntHash64Impl in FunctionsHashing.h.
func intHash64(x uint64) uint64 { return mix64(x ^ 0x4CF2D2BAAE6DA887) }
