package lookup

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// Once a change has been applied, no join that begins after it sees the row from before: not from what a worker remembers, not
// from a read that was under way, not from a pass over the whole table. Readers and passes go on all the while.
func TestNoJoinSeesThePast(t *testing.T) {
	for _, keyType := range []string{"INT", "VARCHAR"} { // in row events, the one is known by its key, the other is not
		t.Run(keyType, func(t *testing.T) { noJoinSeesThePast(t, keyType) })
	}
}

func noJoinSeesThePast(t *testing.T, keyType string) {
	t.Helper()
	d := dim("a", "k", "v")
	d.Full.Enabled = true
	j, sources := newJoiner(t, Config{Dimensions: []Dimension{d}}, lazily, map[string]string{"a": keyType})
	m := sources["a"]
	const keys, changes = 8, 400
	for k := range keys {
		m.put(strconv.Itoa(k), `0`)
	}
	joined(t, j, `{"k":"0"}`)
	var stop atomic.Bool
	var others, writers sync.WaitGroup
	for range 2 {
		others.Go(func() {
			for !stop.Load() {
				joined(t, j, `{"k":"0"}`, `{"k":"1"}`, `{"k":"2"}`, `{"k":"3"}`, `{"k":"4"}`, `{"k":"5"}`, `{"k":"6"}`, `{"k":"7"}`)
			}
		})
	}
	others.Go(func() {
		for !stop.Load() {
			j.rescan(0)
		}
	})
	for k := range keys {
		writers.Go(func() {
			for n := range changes {
				m.put(strconv.Itoa(k), strconv.Itoa(n))
				j.RowChanged(Watched{Table: "a"}, []string{"k"}, []any{int64(k)}, nil)
				want := fmt.Sprintf(`{"k":"%d","a_v":%d}`, k, n)
				if got := joined(t, j, fmt.Sprintf(`{"k":"%d"}`, k))[0]; got != want {
					t.Errorf("change %d: have %s", n, got)
					return
				}
			}
		})
	}
	writers.Wait()
	stop.Store(true)
	others.Wait()
}

// A plan that is made anew while batches are under way loses none of them.
func TestReplanUnderLoad(t *testing.T) {
	j, m, _ := single(t, nil)
	for k := range 100 {
		m.put(strconv.Itoa(k), strconv.Itoa(k))
	}
	var stop atomic.Bool
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for i := 0; !stop.Load(); i++ {
				k := i % 100
				if got := joined(t, j, fmt.Sprintf(`{"k":"%d"}`, k))[0]; got != fmt.Sprintf(`{"k":"%d","a_v":%d}`, k, k) {
					t.Errorf("have %s", got)
				}
			}
		})
	}
	for range 200 {
		p, err := j.plan(t.Context())
		require.NoError(t, err)
		j.replan(p)
		j.TableChanged(Watched{Table: "a"})
	}
	stop.Store(true)
	group.Wait()
}
