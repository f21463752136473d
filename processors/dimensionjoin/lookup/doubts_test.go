package lookup

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/source"
)

// A definition that changed while the server does not tell it is asked for until it does.
func TestSchemaInDoubt(t *testing.T) {
	for name, change := range map[string]func(*Joiner){
		"of a table":    func(j *Joiner) { j.TableChanged(Watched{Table: "a"}) },
		"maybe, unseen": func(j *Joiner) { j.AnythingChanged("a test") },
	} {
		t.Run(name, func(t *testing.T) {
			j, m, _ := single(t, nil)
			m.put("x", `1`)
			joined(t, j, `{"k":"x"}`)
			before := j.current.Load()
			m.retype("LONGTEXT")
			m.set(errDown)
			change(j)
			require.Equal(t, []string{`{"k":"x","a_v":1}`}, joined(t, j, `{"k":"x"}`), "what is cached serves meanwhile")
			m.set(nil)
			require.Eventually(t, func() bool { return j.current.Load() != before }, 10*time.Second, time.Millisecond)
			joined(t, j, `{"k":"x"}`)
			require.NotEqual(t, before.dims[0].schema.Digest, j.current.Load().dims[0].schema.Digest)
		})
	}
}

// A change that comes while a plan is made, with the schema before it, is noticed when the plan is there.
func TestSchemaInDoubtWhilePlanning(t *testing.T) {
	j, m, _ := single(t, nil)
	joined(t, j, `{"k":"x"}`)
	before := j.current.Swap(nil)
	require.NoError(t, j.hold(t.Context()))
	m.retype("LONGTEXT")
	j.TableChanged(Watched{Table: "a"})
	j.current.Store(before)
	j.letGo()
	require.Eventually(t, func() bool { return j.current.Load() != before }, 10*time.Second, time.Millisecond)
}

func TestSchemaChangeSeenByARefresh(t *testing.T) {
	j, m, c := single(t, nil)
	m.put("x", `1`)
	joined(t, j, `{"k":"x"}`)
	before := j.current.Load()
	c.advance(6 * time.Minute)
	m.set(source.ErrSchemaChanged)
	require.Equal(t, []string{`{"k":"x","a_v":1}`}, joined(t, j, `{"k":"x"}`))
	require.Eventually(t, func() bool { return j.current.Load() != before }, 10*time.Second, time.Millisecond)
	m.set(nil)
}

// A batch that waits for a plan which another one makes can be stopped.
func TestWaitingForAPlanEnds(t *testing.T) {
	j, _, _ := single(t, nil)
	require.NoError(t, j.hold(t.Context()))
	defer j.letGo()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := j.Join(ctx, events(`{"k":"x"}`))
	require.ErrorIs(t, err, context.Canceled)
}

// Where changes are followed from is asked before the rows are read: one that comes in between is not missed.
func TestPollingBeginsBeforeTheScan(t *testing.T) {
	j, m, _ := single(t, func(d *Dimension) {
		d.Full = Full{Enabled: true, Interval: time.Hour, UpdatedAt: "u", PollInterval: time.Millisecond}
	})
	m.put("x", `1`)
	joined(t, j, `{"k":"x"}`)
	log := func() []string {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.log[:min(len(m.log), 3)]
	}
	require.Eventually(t, func() bool { return len(log()) == 3 }, 10*time.Second, time.Millisecond)
	require.Equal(t, []string{"changes since ", "scan", "changes since 1"}, log())
}

// The whole table is not read by an old schema, even if a scan would not notice.
func TestRescanAsksForTheSchema(t *testing.T) {
	j, m, _ := single(t, func(d *Dimension) { d.Full = Full{Enabled: true, Interval: time.Millisecond} })
	joined(t, j, `{"k":"x"}`)
	before := j.current.Load()
	m.retype("LONGTEXT")
	require.Eventually(t, func() bool { return j.current.Load() != before }, 10*time.Second, time.Millisecond)
}

func TestFailedKeyExpressionsAreCounted(t *testing.T) {
	j, _, _ := single(t, func(d *Dimension) { d.Key = []FieldRef{{Computed: 0}} })
	evs := events(`{"k":"x"}`)
	evs[0].Computed = func(int) (any, error) { return nil, errors.New("no") }
	_, err := j.Join(t.Context(), evs)
	require.NoError(t, err)
	require.Error(t, evs[0].Err)
	require.Equal(t, int64(1), j.Snapshot(0).EventErrors)
}
