package kafka_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/rpc"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// warehouse stands for ClickHouse: shards that drop a block whose name they have had. It can lose answers, and the number of its shards can change.
type warehouse struct {
	addr string

	mu      sync.Mutex
	rng     *rand.Rand
	lose    float64 // chance that an insert lands and its answer does not
	refuse  float64 // chance that an insert fails and nothing lands
	shards  int
	names   map[string]bool     // shard/name
	rows    map[string]int      // topic/partition/offset → how many times
	ranges  map[string][]string // range name → layouts it was inserted with
	blocks  int
	repeats int
	hold    chan struct{}  // closed to let inserts go on
	ended   map[string]int // ranges of which it was told that they are committed
}

type Block struct {
	Shard  int
	Range  string
	Name   string
	Layout string
	Rows   []string
}

func newWarehouse(t *testing.T, seed uint64) *warehouse {
	t.Helper()
	w := &warehouse{
		rng: rand.New(rand.NewPCG(seed, 1)), shards: 2,
		names: map[string]bool{}, rows: map[string]int{}, ranges: map[string][]string{}, ended: map[string]int{},
	}
	server := rpc.NewServer()
	require.NoError(t, server.RegisterName("Warehouse", &warehouseAPI{w}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go server.ServeConn(conn)
		}
	}()
	w.addr = l.Addr().String()
	return w
}

type warehouseAPI struct{ w *warehouse }

// Layout answers with the number of shards now.
func (a *warehouseAPI) Layout(_ int, shards *int) error {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	*shards = a.w.shards
	return nil
}

// Insert takes a block unless the shard has had one of that name.
func (a *warehouseAPI) Insert(b Block, landed *bool) error {
	w := a.w
	w.mu.Lock()
	hold := w.hold
	w.mu.Unlock()
	if hold != nil {
		<-hold
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.note(b)
	if w.rng.Float64() < w.refuse {
		return errors.New("too many parts")
	}
	w.blocks++
	key := fmt.Sprintf("%d/%s", b.Shard, b.Name)
	if w.names[key] {
		w.repeats++
	} else {
		*landed, w.names[key] = true, true
		for _, r := range b.Rows {
			w.rows[r]++
		}
	}
	if w.rng.Float64() < w.lose {
		return errors.New("connection reset")
	}
	return nil
}

// Committed is told of a range whose end Kafka holds.
func (a *warehouseAPI) Committed(name string, _ *bool) error {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	a.w.ended[name]++
	return nil
}

func (w *warehouse) note(b Block) {
	for _, l := range w.ranges[b.Range] {
		if l == b.Layout {
			return
		}
	}
	w.ranges[b.Range] = append(w.ranges[b.Range], b.Layout)
}

func (w *warehouse) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *warehouse) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.rows)
}

// tried counts the ranges of which a block has arrived, landed or not.
func (w *warehouse) tried() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.ranges)
}

// requireAll waits until every one of the rows is there.
func (w *warehouse) requireAll(t *testing.T, want map[string]bool) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		w.mu.Lock()
		defer w.mu.Unlock()
		var missing []string
		for r := range want {
			if w.rows[r] == 0 {
				missing = append(missing, r)
			}
		}
		slices.Sort(missing)
		assert.Empty(c, missing[:min(len(missing), 5)], "%d of %d rows are missing", len(missing), len(want))
	}, patience, 20*time.Millisecond)
}

// compare counts the rows that are not there, that are there more than once, and that were never produced.
func (w *warehouse) compare(want map[string]bool) (lost, double, strange int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for r := range want {
		switch n := w.rows[r]; {
		case n == 0:
			lost++
		case n > 1:
			double++
		}
	}
	for r := range w.rows {
		if !want[r] {
			strange++
		}
	}
	return lost, double, strange
}

// requireExactly asserts that each of the rows is there once, and nothing else.
func (w *warehouse) requireExactly(t *testing.T, want map[string]bool) {
	t.Helper()
	lost, double, strange := w.compare(want)
	require.Zero(t, lost, "rows lost of %d", len(want))
	require.Zero(t, double, "rows inserted more than once")
	require.Zero(t, strange, "rows that were never produced")
	t.Logf("%d rows exactly once; %d blocks, %d of them repeated", len(want), w.blocks, w.repeats)
}

// requireEnds waits until it was told of every range, once, that it is committed.
func (w *warehouse) requireEnds(t *testing.T) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		w.mu.Lock()
		defer w.mu.Unlock()
		assert.Len(c, w.ended, len(w.ranges))
		for name, times := range w.ended {
			assert.Equal(c, 1, times, "range %s", name)
		}
	}, patience, 20*time.Millisecond)
}

// requireOneCut asserts that every attempt at an offset was an attempt at the same range, with the same layout.
func (w *warehouse) requireOneCut(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	ends := map[string]map[int]int{} // partition → from → to
	for name, layouts := range w.ranges {
		require.Len(t, layouts, 1, "range %s was inserted with layouts %v", name, layouts)
		at := strings.LastIndexByte(name, '/')
		var from, to int
		_, err := fmt.Sscanf(name[at+1:], "%d-%d", &from, &to)
		require.NoError(t, err)
		if ends[name[:at]] == nil {
			ends[name[:at]] = map[int]int{}
		}
		require.NotContains(t, ends[name[:at]], from, "two ranges of %s start there", name[:at])
		ends[name[:at]][from] = to
	}
	for partition, of := range ends {
		last := 0
		for _, from := range slices.Sorted(maps.Keys(of)) {
			require.GreaterOrEqual(t, from, last, "ranges of %s overlap", partition)
			last = of[from]
		}
	}
}
