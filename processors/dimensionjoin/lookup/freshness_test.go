package lookup

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/cache"
)

var errDown = errors.New("server down")

// single is a joiner of one dimension "a" on this.k, with a clock that the test moves.
func single(t testing.TB, change func(*Dimension)) (*Joiner, *memory, *clock) {
	t.Helper()
	d := dim("a", "k", "v")
	if change != nil {
		change(&d)
	}
	options := lazily
	c := newClock()
	options.Clock = c
	j, sources := newJoiner(t, Config{Dimensions: []Dimension{d}}, options, nil)
	return j, sources["a"], c
}

func TestEachKeyIsReadOnce(t *testing.T) {
	j, m, c := single(t, nil)
	m.put("x", `1`)
	want := []string{`{"k":"x","a_v":1}`, `{"k":"y","a_v":null}`, `{"k":"x","a_v":1}`}
	for range 3 {
		require.Equal(t, want, joined(t, j, `{"k":"x"}`, `{"k":"y"}`, `{"k":"x"}`))
	}
	require.Equal(t, map[string]int{"x": 1, "y": 1}, m.reads)
	require.Equal(t, 1, m.loads, "one query for the batch")
	s := j.Snapshot(0)
	require.Equal(t, []int64{3, 4, 2, 2, 2}, []int64{s.Misses, s.Hits, s.NegativeHits, s.LoadedKeys, s.Loads + 1})

	m.put("y", `2`)
	c.advance(31 * time.Second)
	require.Equal(t, `{"k":"y","a_v":2}`, joined(t, j, `{"k":"y"}`)[0], "missing_ttl is over")
	require.Equal(t, map[string]int{"x": 1, "y": 2}, m.reads)
}

func TestRefreshInTheBackground(t *testing.T) {
	j, m, c := single(t, nil)
	m.put("x", `1`)
	joined(t, j, `{"k":"x"}`)
	m.put("x", `2`)
	c.advance(6 * time.Minute)
	require.Equal(t, `{"k":"x","a_v":1}`, joined(t, j, `{"k":"x"}`)[0], "the old row serves while the new one is read")
	require.Eventually(t, func() bool { return joined(t, j, `{"k":"x"}`)[0] == `{"k":"x","a_v":2}` }, 10*time.Second, time.Millisecond)
	require.Equal(t, 2, m.reads["x"])
}

func TestStaleWhileTheServerIsDown(t *testing.T) {
	j, m, c := single(t, nil)
	m.put("x", `1`)
	joined(t, j, `{"k":"x"}`, `{"k":"none"}`)
	m.put("x", `2`)
	m.set(errDown)
	c.advance(11 * time.Minute)
	for range 3 {
		require.Equal(t, []string{`{"k":"x","a_v":1}`, `{"k":"none","a_v":null}`}, joined(t, j, `{"k":"x"}`, `{"k":"none"}`))
	}
	require.Equal(t, int64(6), j.Snapshot(0).StaleServed)
	require.Equal(t, 2, m.loads, "a server that did not answer is not asked again at once for what can be served")

	m.set(nil)
	c.advance(time.Minute)
	require.Equal(t, `{"k":"x","a_v":2}`, joined(t, j, `{"k":"x"}`)[0])

	m.set(errDown)
	c.advance(10*time.Minute + time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	evs := events(`{"k":"x"}`)
	_, err := j.Join(ctx, evs)
	require.ErrorIs(t, err, context.DeadlineExceeded, "past max_stale the batch waits")
	m.set(nil)
	require.Equal(t, `{"k":"x","a_v":2}`, joined(t, j, `{"k":"x"}`)[0])
}

// A key that was never read cannot be served stale: the batch waits and goes on by itself.
func TestWaitForTheServer(t *testing.T) {
	j, m, _ := single(t, nil)
	m.put("x", `1`)
	m.set(errDown)
	done := inBackground(t, j, `{"k":"x"}`)
	require.Eventually(t, func() bool { return blocked(j) }, 10*time.Second, time.Millisecond)
	m.set(nil)
	require.Equal(t, []string{`{"k":"x","a_v":1}`}, <-done)
}

// blocked tells whether some batch waits for the server.
func blocked(j *Joiner) bool {
	j.outage.mu.Lock()
	defer j.outage.mu.Unlock()
	return !j.outage.last["blocked"].IsZero()
}

// Many batches that miss the same keys at the same time ask for each key once.
func TestNoStampede(t *testing.T) {
	j, m, _ := single(t, nil)
	const keys, threads, perBatch = 20_000, 8, 500
	for i := range keys {
		m.rows[strconv.Itoa(i)] = []string{strconv.Itoa(i)}
	}
	var group sync.WaitGroup
	for thread := range threads {
		group.Go(func() {
			for start := 0; start < keys; start += perBatch {
				docs := make([]string, perBatch)
				for i := range docs {
					docs[i] = fmt.Sprintf(`{"k":"%d"}`, (start+i*7+thread*13)%keys)
				}
				for i, got := range joined(t, j, docs...) {
					k := (start + i*7 + thread*13) % keys
					if got != fmt.Sprintf(`{"k":"%d","a_v":%d}`, k, k) {
						t.Errorf("key %d was joined to %s", k, got)
					}
				}
			}
		})
	}
	group.Wait()
	for k, n := range m.reads {
		require.Equal(t, 1, n, "key %s", k)
	}
}

// Nor are rows read more than once that become due, in the background or before they are joined, whoever has looked at them before the
// first has read them.
func TestNoStampedeOfDueRows(t *testing.T) {
	const keys, threads = 5000, 8
	j, m, c := single(t, nil)
	docs := make([]string, keys)
	for i := range docs {
		m.rows[strconv.Itoa(i)] = []string{"1"}
		docs[i] = fmt.Sprintf(`{"k":"%d"}`, i)
	}
	joined(t, j, docs...)
	for round := range 6 {
		c.advance([]time.Duration{6 * time.Minute, 11 * time.Minute}[round%2])
		var group sync.WaitGroup
		for range threads {
			group.Go(func() {
				if _, err := tryJoin(t.Context(), j, docs...); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		read := func() (least, most int) {
			m.mu.Lock()
			defer m.mu.Unlock()
			least = keys
			for _, n := range m.reads {
				least, most = min(least, n), max(most, n)
			}
			return least, most
		}
		// A refresh that was asked for before the clock moved on, and found nothing to do then, stands in for the reads of this round.
		require.Eventually(t, func() bool {
			_, err := tryJoin(t.Context(), j, docs...)
			least, _ := read()
			return err == nil && least >= round+2
		}, 20*time.Second, time.Millisecond)
		_, most := read()
		require.Equal(t, round+2, most)
	}
	require.Eventually(t, func() bool { return j.Usage(0).Entries == keys }, 20*time.Second, time.Millisecond, "%+v", j.Usage(0))
}

func TestRetryMissing(t *testing.T) {
	j, m, _ := single(t, func(d *Dimension) { d.RetryMissing = Retry{Attempts: 3, Delay: time.Millisecond} })
	require.Equal(t, `{"k":"late","a_v":null}`, joined(t, j, `{"k":"late"}`)[0])
	require.Equal(t, 4, m.reads["late"], "once, and three times again")
	joined(t, j, `{"k":"late"}`)
	require.Equal(t, 4, m.reads["late"], "a key known to be missing is not waited for again")

	m.put("soon", `1`)
	require.Equal(t, `{"k":"soon","a_v":1}`, joined(t, j, `{"k":"soon"}`)[0])
	require.Equal(t, 1, m.reads["soon"])
}

func TestInvalidate(t *testing.T) {
	j, m, _ := single(t, nil)
	m.put("x", `1`)
	joined(t, j, `{"k":"x"}`, `{"k":"new"}`)
	m.put("x", `2`)
	m.put("new", `3`)
	view := j.current.Load().dims[0].view
	require.True(t, view.Invalidate("x"))
	require.True(t, view.Invalidate("new"))
	require.False(t, view.Invalidate("unknown"))
	require.Equal(t, []string{`{"k":"x","a_v":2}`, `{"k":"new","a_v":3}`}, joined(t, j, `{"k":"x"}`, `{"k":"new"}`))

	m.put("x", `4`)
	view.Flush()
	require.Equal(t, `{"k":"x","a_v":4}`, joined(t, j, `{"k":"x"}`)[0])
	reads := m.reads["x"]
	joined(t, j, `{"k":"x"}`)
	require.Equal(t, reads, m.reads["x"])

	m.set(errDown)
	view.Invalidate("x")
	require.Equal(t, `{"k":"x","a_v":4}`, joined(t, j, `{"k":"x"}`)[0], "an invalidated row still stands in for a server that is down")
}

// A read that began before a change was noticed must not be kept as fresh.
func TestInvalidateDuringRead(t *testing.T) {
	j, m, _ := single(t, nil)
	m.put("other", `0`)
	joined(t, j, `{"k":"other"}`)
	view := j.current.Load().dims[0].view
	m.put("x", `1`)
	m.mu.Lock()
	m.block = make(chan struct{})
	m.mu.Unlock()
	done := inBackground(t, j, `{"k":"x"}`)
	require.Never(t, func() bool { return len(done) > 0 }, 20*time.Millisecond, time.Millisecond)
	view.Invalidate("x")
	close(m.block)
	<-done
	require.Equal(t, 2, m.reads["x"], "what the first read saw may be old")
}

func TestFull(t *testing.T) {
	j, m, c := single(t, func(d *Dimension) { d.Full = Full{Enabled: true} })
	m.put("x", `1`)
	m.put("y", `2`)
	require.Equal(t, []string{`{"k":"x","a_v":1}`, `{"k":"y","a_v":2}`}, joined(t, j, `{"k":"x"}`, `{"k":"y"}`))
	require.Empty(t, m.reads, "everything was there already")
	require.Equal(t, `{"k":"z","a_v":null}`, joined(t, j, `{"k":"z"}`)[0])

	m.put("x", `3`)
	c.advance(time.Second)
	j.rescan(0)
	require.Equal(t, `{"k":"x","a_v":3}`, joined(t, j, `{"k":"x"}`)[0])
	require.NotContains(t, m.reads, "x")
}

func TestCycle(t *testing.T) {
	a, b := dim("a", "b_x", "x"), dim("b", "a_x", "x")
	j, _ := newJoiner(t, Config{Dimensions: []Dimension{a, b}}, lazily, nil)
	_, err := j.plan(t.Context())
	var cycle *CycleError
	require.ErrorAs(t, err, &cycle)
	require.Equal(t, []string{"a", "b"}, cycle.Dimensions)
}

func TestTwoDimensionsCannotAddOneMember(t *testing.T) {
	a, b := dim("a", "k", "x"), dim("b", "k", "x")
	b.Source.Columns[0].Member = "a_x"
	j, _ := newJoiner(t, Config{Dimensions: []Dimension{a, b}}, lazily, nil)
	_, err := j.plan(t.Context())
	require.ErrorContains(t, err, `dimension "b": it adds the member "a_x", and so does "a"`)
}

func TestConfig(t *testing.T) {
	store, err := cache.New(lazily)
	require.NoError(t, err)
	defer store.Close()
	for _, tc := range []struct {
		name        string
		change      func(*Config)
		errContains string
	}{
		{"none", func(c *Config) { c.Dimensions = nil }, "no dimensions"},
		{"no name", func(c *Config) { c.Dimensions[0].Source.Name = "" }, "has no name"},
		{"same name", func(c *Config) { c.Dimensions = append(c.Dimensions, c.Dimensions[0]) }, `two dimensions named "a"`},
		{"on_missing", func(c *Config) { c.Dimensions[0].OnMissing = "ignore" }, `on_missing cannot be "ignore"`},
		{"no key", func(c *Config) { c.Dimensions[0].Key = nil }, "0 key fields for 1 key columns"},
		{"full query", func(c *Config) {
			c.Dimensions[0].Source.Table, c.Dimensions[0].Source.Query = "", "SELECT {keys}"
			c.Dimensions[0].Full.Enabled = true
		}, "load: full needs a table"},
		{"no placeholder", func(c *Config) {
			c.Dimensions[0].Source.Table, c.Dimensions[0].Source.Query = "", "SELECT 1"
		}, "{keys}"},
		{"both", func(c *Config) { c.Dimensions[0].Source.Query = "SELECT {keys}" }, "exactly one of table and query"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := Config{Dimensions: []Dimension{dim("a", "k", "v")}}
			tc.change(&c)
			_, err := New(c, nil, store)
			require.ErrorContains(t, err, tc.errContains)
		})
	}
}

// Batches of many events, of which some can be joined before others are read, come out whole and in order.
func TestLargeBatches(t *testing.T) {
	j, m, _ := single(t, func(d *Dimension) { d.OnMissing = DropOnMissing })
	for k := range 3000 {
		if k%7 != 0 {
			m.put(strconv.Itoa(k), strconv.Itoa(k))
		}
	}
	for _, perArray := range []int{1000, 300, 1} { // events
		for _, line := range []bool{false, true} {
			for _, from := range []int{0, 500, 900, 1500, 0} { // nothing known, the first part known, all known
				evs := make([]Event, 1000)
				for i := range evs {
					evs[i] = Event{Doc: fmt.Appendf(nil, `{"k":"%d"}`, from+i), Line: line, First: i%perArray == 0}
					if i%11 == 5 {
						evs[i].Doc = []byte("no JSON")
					}
				}
				arrays, err := j.Join(t.Context(), evs)
				require.NoError(t, err)
				require.Len(t, arrays, (len(evs)+perArray-1)/perArray)
				for n := range arrays {
					part := evs[n*perArray : min((n+1)*perArray, len(evs))]
					requireWhole(t, part, from+n*perArray, n*perArray, arrays[n])
				}
			}
		}
	}
}

// requireWhole looks at the events of one array, the first of which is number i of its batch and asks for key k.
func requireWhole(t *testing.T, evs []Event, k, i int, array []byte) {
	t.Helper()
	at := 0
	for n := range evs {
		ev := &evs[n]
		switch {
		case (i+n)%11 == 5:
			require.Error(t, ev.Err)
			if !ev.Line {
				continue
			}
			require.Equal(t, "no JSON\n", string(array[ev.Start:ev.End+1]))
		case (k+n)%7 == 0:
			require.True(t, ev.Drop)
			continue
		default:
			require.Equal(t, fmt.Sprintf(`{"k":"%d","a_v":%d}`, k+n, k+n), string(array[ev.Start:ev.End]))
		}
		require.Equal(t, at, ev.Start, "one after the other")
		if at = ev.End; ev.Line {
			at++
		}
	}
	require.Len(t, array, at)
}
