package uncleared

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBytes(t *testing.T) {
	for _, n := range []int{-1, 0, 1, 7, 8, 1 << 10, 1<<20 + 1} {
		b := Bytes(n)
		require.Empty(t, b)
		require.GreaterOrEqual(t, cap(b), n)
		if n <= 0 {
			continue
		}
		for i := range n {
			b = append(b, byte(i))
		}
		runtime.GC() // which must know the array
		for i := range n {
			if b[i] != byte(i) {
				t.Fatalf("byte %d of %d is %d", i, n, b[i])
			}
		}
	}
}
