package cluster

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var errDown = errors.New("host is down")

func TestCircuitOpensProbesAndCloses(t *testing.T) {
	var c circuit
	now := time.Now()
	require.NoError(t, c.allow(now))
	require.True(t, c.failure(now, errDown))
	require.False(t, c.failure(now, errDown), "other connections that break at the same moment are the same event")
	require.Equal(t, 1, c.failures)

	var open *CircuitOpenError
	require.ErrorAs(t, c.allow(now), &open)
	require.ErrorIs(t, open, errDown)
	require.Greater(t, open.RetryAfter, time.Duration(0))
	require.LessOrEqual(t, open.RetryAfter, circuitFirstBackoff)

	now = now.Add(circuitFirstBackoff)
	closed, probe := c.usable(now)
	require.False(t, closed)
	require.True(t, probe)
	require.NoError(t, c.allow(now), "one caller may try")
	require.Error(t, c.allow(now), "a second one may not")
	require.True(t, c.success(true))
	require.NoError(t, c.allow(now))
	require.False(t, c.success(true))
}

func TestCircuitLetsOneOfManyWritersTry(t *testing.T) {
	var c circuit
	now := time.Now()
	for round := range 20 {
		c.failure(now, errDown)
		now = c.until
		var tries atomic.Int32
		var writers sync.WaitGroup
		for range 32 {
			writers.Go(func() {
				if c.allow(now) == nil {
					tries.Add(1)
				}
			})
		}
		writers.Wait()
		require.Equal(t, int32(1), tries.Load(), "round %d", round)
	}
}

func TestCircuitBackoffGrowsAndIsBounded(t *testing.T) {
	var c circuit
	now := time.Now()
	previous := time.Duration(0)
	for i := range 20 {
		require.NoError(t, c.allow(now))
		c.failure(now, errDown)
		wait := c.until.Sub(now)
		want := min(circuitFirstBackoff<<i, circuitLastBackoff)
		require.GreaterOrEqual(t, wait, want/2)
		require.LessOrEqual(t, wait, want)
		require.GreaterOrEqual(t, wait*2, previous, "half of a longer backoff is at least the shorter one's half")
		previous = wait
		now = c.until
	}
	require.LessOrEqual(t, previous, circuitLastBackoff)
}

func TestCircuitOfAHostThatGreetsAndHangsKeepsItsBackoff(t *testing.T) {
	var c circuit
	now := time.Now()
	for range 4 {
		require.NoError(t, c.allow(now))
		c.success(false) // hello
		c.failure(now, errDown)
		now = c.until
	}
	require.Equal(t, 4, c.failures)
	require.NoError(t, c.allow(now))
	c.success(true)
	require.Zero(t, c.failures)
}

func TestCircuitNeutralProbeLetsTheNextOneTry(t *testing.T) {
	var c circuit
	now := time.Now()
	c.failure(now, errDown)
	now = c.until
	require.NoError(t, c.allow(now))
	c.neutral()
	require.NoError(t, c.allow(now))
}
