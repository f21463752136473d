package sharding

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
)

// Samples draws n rows of column values of the given types, as Eval takes them. The same seed gives the same rows. The
// ends of each type's range, empty strings, zero bytes and NULLs come up often; times stay in the years 1900 to 2299. The
// error is *UnsupportedError.
func Samples(types []*column.Type, n int, seed uint64) ([][]column.Value, error) {
	random := rand.New(rand.NewPCG(seed, 0x5851f42d4c957f2d))
	drawn := make([]valueType, len(types))
	for i, t := range types {
		v, ok := newValueType(t)
		if !ok {
			return nil, &UnsupportedError{What: fmt.Sprintf("type %s", t), Advice: adviceStrategy}
		}
		drawn[i] = v
	}
	rows := make([][]column.Value, n)
	for r := range rows {
		rows[r] = make([]column.Value, len(types))
		for i, t := range drawn {
			rows[r][i] = t.sample(random)
		}
	}
	return rows, nil
}

func (t valueType) sample(r *rand.Rand) column.Value {
	if t.nullable && r.IntN(5) == 0 {
		return column.Value{Null: true, B: make([]byte, t.size)}
	}
	switch t.kind {
	case kindString:
		return column.Value{B: sampleText(r, r.IntN(2)*r.IntN(130)+r.IntN(24))}
	case kindFixedString:
		b := make([]byte, t.size)
		copy(b, sampleText(r, r.IntN(t.size+1)))
		return column.Value{B: b}
	case kindUUID, kindIPv6, kindWide:
		b := make([]byte, 0, 32)
		for len(b) < t.size {
			b = binary.LittleEndian.AppendUint64(b, sampleBits(r))
		}
		return column.Value{B: b}
	}
	return column.Value{U: t.sampleNumber(r)}
}

func (t valueType) sampleNumber(r *rand.Rand) uint64 {
	switch t.kind {
	case kindDate:
		return uint64(r.IntN(1 << 16))
	case kindDate32: // 1900-01-01 to 2299-12-31
		return uint64(int64(r.IntN(25567+120530) - 25567))
	case kindDateTime:
		if r.IntN(8) == 0 { // the first and the last two days, where zones and ranges end
			return uint64(uint32(r.IntN(4*secondsPerDay) - 2*secondsPerDay))
		}
		return r.Uint64N(1 << 32)
	case kindDateTime64:
		return sampleTicks(r, powerOf10(t.scale))
	case kindEnum:
		return uint64(t.enum[r.IntN(len(t.enum))].Value)
	}
	if t.boolean {
		return r.Uint64N(2)
	}
	return t.truncate(sampleBits(r))
}

// sampleTicks prefers what fits a DateTime too, and has moments around 1970.
func sampleTicks(r *rand.Rand, unit int64) uint64 {
	first, last := int64(0), int64(1<<32-secondsPerDay)
	switch r.IntN(8) {
	case 0:
		first, last = -5, 5
	case 1:
		first, last = max(firstSecond, math.MinInt64/unit+1), min(lastSecond, math.MaxInt64/unit-1)
	}
	return uint64((first+r.Int64N(last-first))*unit + r.Int64N(unit))
}

// sampleBits prefers numbers around 0 and around the powers of two, where widths and signs end.
func sampleBits(r *rand.Rand) uint64 {
	switch r.IntN(4) {
	case 0:
		return uint64(r.IntN(1024) - 512)
	case 1:
		return 1<<r.IntN(64) + uint64(r.IntN(3)-1)
	default:
		return r.Uint64()
	}
}

// sampleText is digits, letters or any bytes.
func sampleText(r *rand.Rand, size int) []byte {
	b := make([]byte, size)
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-. "
	switch r.IntN(3) {
	case 0:
		return strconv.AppendUint(b[:0], sampleBits(r)>>r.IntN(64), 10)
	case 1:
		for i := range b {
			b[i] = letters[r.IntN(len(letters))]
		}
	default:
		for i := range b {
			b[i] = byte(r.Uint32())
		}
	}
	return b
}
