package lookup

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/source"
)

// Keys have the same number exactly when they are the same bytes, whatever their length, and however many there are.
func TestInternerTellsKeysApart(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	in := newInterner()
	for batch := range int64(3) {
		in.recall(batch*memoryTime*2, 0)
		require.Empty(t, in.slots, "what is long ago is forgotten")
		numbers := map[string]int32{}
		for range 20_000 {
			key := make([]byte, r.IntN(20))
			for i := range key {
				key[i] = byte(r.IntN(3)) // zeros too, which make words of different lengths alike
			}
			n, known := numbers[string(key)]
			if !known {
				n = int32(len(numbers))
				numbers[string(key)] = n
			}
			got, first := in.find(key)
			require.Equal(t, n, got, "seed %d: %q", seed, key)
			require.Equal(t, !known, first, "seed %d: %q", seed, key)
			require.Equal(t, string(key), string(in.key(n)), "seed %d", seed)
		}
	}
}

func TestInternerRemembers(t *testing.T) {
	in := newInterner()
	in.recall(0, 7)
	for i := range 100 {
		in.find([]byte(strconv.Itoa(i)))
	}
	in.recall(memoryTime, 7)
	for _, first := range []bool{true, false} {
		n, got := in.find([]byte("42"))
		require.Equal(t, int32(42), n)
		require.Equal(t, first, got)
	}
	in.recall(memoryTime, 8)
	require.Empty(t, in.slots, "the view has changed")
	n, first := in.find([]byte("42"))
	require.Equal(t, int32(0), n)
	require.True(t, first)
}

// Long keys are not kept for longer than short ones of the same size together.
func TestLongKeysAreForgotten(t *testing.T) {
	in := newInterner()
	in.recall(1, 0)
	for i := range 3 * memoryText / source.LongestKey {
		in.find(append(make([]byte, source.LongestKey-8), strconv.Itoa(i)...))
	}
	require.Greater(t, len(in.text), 2*memoryText)
	in.recall(2, 0)
	require.Empty(t, in.slots)
	require.Zero(t, cap(in.text))
}
