package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/source"
)

type clock struct{ now atomic.Int64 }

func (c *clock) NowNano() int64                      { return c.now.Load() }
func (c *clock) Tick(time.Duration) <-chan time.Time { return nil }

func options() Options {
	return Options{MaxRows: 1000, TTL: 100 * time.Second, RefreshAfter: 50 * time.Second, MissingTTL: 10 * time.Second, MaxStale: 1000 * time.Second}
}

func newStore(t *testing.T, o Options) (*Store, *clock) {
	t.Helper()
	c := &clock{}
	c.now.Store(int64(time.Hour))
	o.Clock = c
	s, err := New(o)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s, c
}

var shape = source.NewShape("", []string{"v"})

func result(v string) *source.Result {
	return &source.Result{Versions: []source.Version{{From: source.Beginning, To: source.Forever, Row: shape.Restore([][]byte{[]byte(v)})}}}
}

// loading answers with the key as the value; "none" is missing.
func loading(_ context.Context, keys []string) (map[string]*source.Result, error) {
	out := map[string]*source.Result{}
	for _, k := range keys {
		out[k] = result(k)
		if k == "none" {
			out[k] = &source.Result{}
		}
	}
	return out, nil
}

func TestLife(t *testing.T) {
	s, c := newStore(t, options())
	v := s.View("d", false)
	_, err := v.Fetch(t.Context(), []string{"1", "none"}, nil, 10, loading)
	require.NoError(t, err)
	start := c.now.Load()
	for _, tc := range []struct {
		after     time.Duration
		row, none State
	}{
		{0, Fresh, Fresh},
		{9 * time.Second, Fresh, Fresh},
		{10 * time.Second, Fresh, Stale},
		{49 * time.Second, Fresh, Stale},
		{50 * time.Second, Due, Stale},
		{99 * time.Second, Due, Stale},
		{100 * time.Second, Stale, Stale},
		{1009 * time.Second, Stale, Stale},
		{1010 * time.Second, Stale, Absent},
		{1099 * time.Second, Stale, Absent},
		{1100 * time.Second, Absent, Absent},
	} {
		c.now.Store(start + int64(tc.after))
		_, state := v.Get([]byte("1"), s.Now())
		require.Equal(t, tc.row, state, "row after %v", tc.after)
		_, state = v.Get([]byte("none"), s.Now())
		require.Equal(t, tc.none, state, "missing after %v", tc.after)
	}
}

func TestJitter(t *testing.T) {
	o := options()
	o.Jitter = 0.5
	s, c := newStore(t, o)
	v := s.View("d", false)
	var keys []string
	for i := range 500 {
		keys = append(keys, fmt.Sprint(i))
	}
	got, err := v.Fetch(t.Context(), keys, nil, 100, loading)
	require.NoError(t, err)
	least, most := int64(1<<62), int64(0)
	for _, e := range got {
		life := e.FreshUntil - c.now.Load()
		least, most = min(least, life), max(most, life)
	}
	require.GreaterOrEqual(t, least, int64(50*time.Second))
	require.LessOrEqual(t, most, int64(100*time.Second))
	require.Greater(t, most-least, int64(25*time.Second), "spread out")
}

func TestBoundsAndUsage(t *testing.T) {
	for _, tc := range []struct {
		rows  int
		bytes int64
	}{{100, 0}, {0, 40_000}, {50, 1 << 30}, {1 << 20, 40_000}} {
		t.Run(fmt.Sprint(tc), func(t *testing.T) {
			o := options()
			o.MaxRows, o.MaxBytes = tc.rows, tc.bytes
			s, _ := newStore(t, o)
			v, other := s.View("d", false), s.View("other", false)
			for i := range 2000 {
				_, err := v.Fetch(t.Context(), []string{fmt.Sprint(i)}, nil, 10, loading)
				require.NoError(t, err)
				_, err = other.Fetch(t.Context(), []string{fmt.Sprint(i)}, []string{fmt.Sprint(i - 1)}, 10, loading)
				require.NoError(t, err)
			}
			require.Eventually(t, func() bool {
				s.otter.CleanUp()
				a, ab := v.Usage()
				b, bb := other.Usage()
				if tc.rows > 0 && int(a+b) > tc.rows {
					return false
				}
				if tc.bytes > 0 && ab+bb > tc.bytes {
					return false
				}
				return int(a+b) == s.otter.EstimatedSize() && a+b > 0
			}, 10*time.Second, time.Millisecond)
			v.Drop()
			entries, size := v.Usage()
			require.Zero(t, entries)
			require.Zero(t, size)
		})
	}
}

func TestFailuresAreNotRepeatedAtOnce(t *testing.T) {
	s, c := newStore(t, options())
	v := s.View("d", false)
	fails := func(context.Context, []string) (map[string]*source.Result, error) { return nil, errors.New("down") }
	require.False(t, v.Down(s.Now()))
	pause := firstPause
	for range 10 {
		_, err := v.Fetch(t.Context(), []string{"1"}, nil, 10, fails)
		require.ErrorContains(t, err, "down")
		require.True(t, v.Down(s.Now()+int64(pause)-1))
		require.False(t, v.Down(s.Now()+int64(pause)))
		c.now.Add(int64(pause))
		pause = min(2*pause, longPause)
	}
	_, err := v.Fetch(t.Context(), []string{"1"}, nil, 10, loading)
	require.NoError(t, err)
	require.False(t, v.Down(s.Now()))
}

// What some reads of a Fetch got is kept when another one fails.
func TestPartialFetch(t *testing.T) {
	s, _ := newStore(t, options())
	v := s.View("d", false)
	got, err := v.Fetch(t.Context(), []string{"1", "2", "bad"}, nil, 1, func(ctx context.Context, keys []string) (map[string]*source.Result, error) {
		if keys[0] == "bad" {
			return nil, errors.New("cut")
		}
		return loading(ctx, keys)
	})
	require.ErrorContains(t, err, "cut")
	require.Len(t, got, 2)
	_, state := v.Get([]byte("1"), s.Now())
	require.Equal(t, Fresh, state)
}

// A pass over the whole table keeps neither what is older than a row read by its key, nor what changed while it ran.
func TestScan(t *testing.T) {
	s, c := newStore(t, options())
	v := s.View("d", false)
	scan := v.BeginScan()
	c.now.Add(1)
	_, err := v.Fetch(t.Context(), []string{"read"}, nil, 10, loading)
	require.NoError(t, err)
	v.Invalidate("changed")
	scan.Put("read", result(`"old"`))
	scan.Put("changed", result(`"old"`))
	scan.Put("plain", result(`"row"`))
	v.Flush()
	scan.Put("after a flush", result(`"old"`))
	scan.End()
	e, state := v.Get([]byte("read"), s.Now())
	require.Equal(t, "read", string(e.Row.Value(0)))
	require.Equal(t, Stale, state, "flushed")
	_, state = v.Get([]byte("changed"), s.Now())
	require.Equal(t, Stale, state)
	_, state = v.Get([]byte("after a flush"), s.Now())
	require.Equal(t, Stale, state)
	scan = v.BeginScan()
	c.now.Add(1)
	scan.Put("plain", result(`"row"`))
	scan.End()
	_, state = v.Get([]byte("plain"), s.Now())
	require.Equal(t, Fresh, state)
}

// A pass that has come to its end knows which rows are gone; what was read by its key meanwhile, and what is another view's, stays.
func TestCompleteScan(t *testing.T) {
	s, c := newStore(t, options())
	v, other := s.View("d", false), s.View("other", false)
	for _, view := range []*View{v, other} {
		_, err := view.Fetch(t.Context(), []string{"gone", "there", "none"}, nil, 10, loading)
		require.NoError(t, err)
	}
	c.now.Add(1)
	scan := v.BeginScan()
	c.now.Add(1)
	scan.Put("there", result(`"row"`))
	_, err := v.Fetch(t.Context(), []string{"new"}, nil, 10, loading)
	require.NoError(t, err)
	scan.Complete()
	scan.End()
	for key, want := range map[string]State{"gone": Stale, "there": Fresh, "none": Fresh, "new": Fresh} {
		_, state := v.Get([]byte(key), s.Now())
		require.Equal(t, want, state, key)
	}
	_, state := other.Get([]byte("gone"), s.Now())
	require.Equal(t, Fresh, state)
}

func TestSnapshot(t *testing.T) {
	s, _ := newStore(t, options())
	v, versions := s.View("d", false), s.View("versions", true)
	_, err := v.Fetch(t.Context(), []string{"1", "none"}, nil, 10, loading)
	require.NoError(t, err)
	_, err = versions.Fetch(t.Context(), []string{"k"}, nil, 10, func(context.Context, []string) (map[string]*source.Result, error) {
		return map[string]*source.Result{"k": {Versions: []source.Version{
			{From: source.Beginning, To: 5, Row: shape.Restore([][]byte{[]byte("1")})}, {From: 5, To: source.Forever, Row: shape.Restore([][]byte{[]byte("2")})},
		}}}, nil
	})
	require.NoError(t, err)
	var buf bytes.Buffer
	require.NoError(t, s.Save(&buf, []Section{{"d", v, 1}, {"versions", versions, 1}}))

	read, err := ReadSnapshot(buf.Bytes())
	require.NoError(t, err)
	for _, stale := range []bool{false, true} {
		next, clock := newStore(t, options())
		restored := next.View("d", false)
		require.Equal(t, 2, restored.Restore(read, "d", shape, stale))
		e, state := restored.Get([]byte("1"), next.Now())
		require.Equal(t, `"v":1`, string(e.Row.Members))
		require.Equal(t, map[bool]State{false: Fresh, true: Stale}[stale], state)
		again := next.View("versions", true)
		require.Equal(t, 1, again.Restore(read, "versions", shape, stale))
		e, _ = again.Get([]byte("k"), next.Now())
		require.Len(t, e.Versions, 2)
		require.Equal(t, "1", string(source.At(e.Versions, 4).Value(0)))
		require.Equal(t, "2", string(source.At(e.Versions, 5).Value(0)))
		require.Zero(t, restored.Restore(read, "d", shape, stale), "what is there already is newer")

		clock.now.Add(int64(2000 * time.Second))
		require.Zero(t, next.View("late", false).Restore(Snapshot{"late": read["d"]}, "late", shape, stale), "too old")
	}
	for i := range buf.Len() {
		_, err := ReadSnapshot(buf.Bytes()[:i])
		require.ErrorIs(t, err, errSnapshot, "the first %d bytes", i)
		damaged := bytes.Clone(buf.Bytes())
		damaged[i] ^= 0x40
		_, err = ReadSnapshot(damaged)
		require.ErrorIs(t, err, errSnapshot, "byte %d damaged", i)
	}
}

func TestShared(t *testing.T) {
	a, err := Shared(t.Name(), options())
	require.NoError(t, err)
	b, err := Shared(t.Name(), options())
	require.NoError(t, err)
	require.Same(t, a, b)
	other := options()
	other.TTL++
	_, err = Shared(t.Name(), other)
	require.ErrorContains(t, err, "already in use with other settings")
	require.Same(t, a.View("d", false), b.View("d", false))
	a.Close()
	_, err = b.View("d", false).Fetch(t.Context(), []string{"1"}, nil, 10, loading)
	require.NoError(t, err)
	b.Close()
	c, err := Shared(t.Name(), other)
	require.NoError(t, err, "the label is free again")
	c.Close()
}

// A read is bounded in keys and in bytes, but has one key at least.
func TestReadsAreBounded(t *testing.T) {
	long := strings.Repeat("x", readBytes/2)
	var got []int
	for keys := range reads([]string{"1", "2", "3", long, long, long + long + "x", "4"}, 2) {
		got = append(got, len(keys))
	}
	require.Equal(t, []int{2, 2, 1, 1, 1}, got)
}

// A server that answers is not taken for one that does not, because it answers with other columns.
func TestAChangedSchemaIsNoSilence(t *testing.T) {
	s, c := newStore(t, options())
	v := s.View("d", false)
	_, err := v.Fetch(t.Context(), []string{"1"}, nil, 10, func(context.Context, []string) (map[string]*source.Result, error) {
		return nil, source.ErrSchemaChanged
	})
	require.ErrorIs(t, err, source.ErrSchemaChanged)
	require.False(t, v.Down(c.now.Load()))
}

// Rows saved by a clock that was ahead are as old as the restart, at least.
func TestSnapshotFromTheFuture(t *testing.T) {
	s, c := newStore(t, options())
	v := s.View("d", false)
	saved := Snapshot{"d": {{key: "1", loadedAt: c.now.Load() + int64(1000*time.Hour), versions: []savedVersion{{from: source.Beginning, to: source.Forever, values: [][]byte{[]byte("1")}}}}}}
	require.Equal(t, 1, v.Restore(saved, "d", shape, false))
	_, state := v.Get([]byte("1"), c.now.Load()+int64(101*time.Second))
	require.Equal(t, Stale, state)
}
