package lookup

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/cache"
)

// However many changes there are, and of however many dimensions, what waits for an echo stays within its bound, and nothing of it is lost.
func TestEchoesAreBounded(t *testing.T) {
	var e echo
	views := []*cache.View{{}, {}}
	start := time.Now()
	for n := range 3 * echoBound {
		for _, view := range views {
			e.queues[0].add(change{start.Add(time.Duration(n)), view, strconv.Itoa(n)}, false)
		}
	}
	require.Len(t, e.queues[0].keys, echoBound)
	require.Len(t, e.queues[0].all, len(views))
	keys, all := e.take(0, start.Add(-1))
	require.Empty(t, keys)
	require.Empty(t, all)
	keys, all = e.take(0, start.Add(time.Hour))
	require.Len(t, keys, echoBound)
	require.ElementsMatch(t, views, all)
	keys, all = e.take(0, start.Add(time.Hour))
	require.Empty(t, keys)
	require.Empty(t, all)
}

// Changes that never cease do not put off the echo of the first of them, and the last has its own.
func TestEchoesOfChangesThatGoOn(t *testing.T) {
	var e echo
	view := &cache.View{}
	start := time.Now()
	for n := range 10 {
		e.queues[0].add(change{start.Add(time.Duration(n) * time.Second), view, ""}, true)
	}
	_, all := e.take(0, start.Add(time.Second))
	require.Len(t, all, 1)
	_, all = e.take(0, start.Add(8*time.Second))
	require.Empty(t, all)
	_, all = e.take(0, start.Add(9*time.Second))
	require.Len(t, all, 1)
	require.Empty(t, e.queues[0].all)
}
