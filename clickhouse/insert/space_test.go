package insert

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSpaceWeights(t *testing.T) {
	require.Equal(t, []uint32{1000, 500, 0, 0}, spaceWeights([]uint64{2 << 40, 1 << 40, 5 << 40, 0}, []uint32{1, 3, 0, 1}))
	require.Equal(t, []uint32{1000, 1000}, spaceWeights([]uint64{math.MaxUint64, math.MaxUint64}, []uint32{1, 1}))
	require.Equal(t, []uint32{1, 2}, spaceWeights([]uint64{0, 0}, []uint32{1, 2}))
}
