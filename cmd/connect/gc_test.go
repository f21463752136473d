package main

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestGCPercentGrowsSmallHeapsAndSparesLargeOnes(t *testing.T) {
	require.Equal(t, 400, gcPercent(0))
	require.Equal(t, 400, gcPercent(10<<20))
	require.Equal(t, 200, gcPercent(48<<20))
	require.Equal(t, 100, gcPercent(96<<20))
	require.Equal(t, 75, gcPercent(200<<20))
	require.Equal(t, 75, gcPercent(4<<30))
}

func TestTunerFollowsTheLiveHeap(t *testing.T) {
	p := &percentTuner{set: maxPercent}
	held := make([]byte, 200<<20)
	runtime.GC()
	require.Eventually(t, func() bool { p.tune(); return p.set == minPercent }, 10*time.Second, 10*time.Millisecond)
	runtime.KeepAlive(held)
}
