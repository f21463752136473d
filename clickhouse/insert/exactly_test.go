package insert

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/delivery"
)

// pinnedLease is a lease whose intent is recorded already.
type pinnedLease struct {
	delivery.Lease
	prepared delivery.Prepared
}

func (pinnedLease) Range() delivery.Range {
	return delivery.Range{Group: "g", Topic: "clicks", From: 0, To: 10}
}

// What the window of a Replicated table is held against needs no server: no row may go out under a name that may be forgotten.
func TestTheHorizonOfAnIntent(t *testing.T) {
	now := time.Now()
	for name, test := range map[string]struct {
		window    time.Duration
		at        time.Time
		recovered bool
		inProcess time.Time
		refused   bool
	}{
		"young":                    {time.Hour, now.Add(-59 * time.Minute), true, time.Time{}, false},
		"old":                      {time.Hour, now.Add(-61 * time.Minute), true, time.Time{}, true},
		"remembered for ever":      {0, now.Add(-1000 * time.Hour), true, time.Time{}, false},
		"old, but never sent":      {time.Hour, now.Add(-61 * time.Minute), false, time.Time{}, false},
		"old, and sent by us":      {time.Hour, now.Add(-90 * time.Minute), false, now.Add(-61 * time.Minute), true},
		"old, but sent by us late": {time.Hour, now.Add(-90 * time.Minute), false, now.Add(-time.Minute), false},
	} {
		t.Run(name, func(t *testing.T) {
			w := &Writer{log: slog.New(slog.DiscardHandler), sink: "dw.events"}
			w.window.Store(int64(test.window))
			prepared := delivery.Prepared{Intent: delivery.Intent{Digest: 7}, At: test.at, Landed: test.inProcess}
			if test.recovered {
				prepared.Recovered, prepared.Landed = true, test.at
			}
			lease := pinnedLease{prepared: prepared}
			layout := &cluster.Layout{Table: &cluster.Table{Engine: "ReplicatedMergeTree"}}
			j := &job{naming: rangeNaming(lease.Range().Name(), w.sink), lease: lease, layout: layout}
			r := &promise{w: w, j: j, prepared: prepared, pinned: true}
			err := r.keep(context.Background(), &cut{target: &target{}, digest: 7})
			if !test.refused {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, ErrHorizon)
			var permanent *PermanentError
			require.ErrorAs(t, err, &permanent)
			require.ErrorContains(t, err, "@kafka_offset", "it says what the table lacks")
			require.ErrorContains(t, err, "clicks/0 [0, 10)")
		})
	}
}

// landingLease keeps what is noted of its range.
type landingLease struct {
	delivery.Lease
	at time.Time
}

func (l *landingLease) MayHaveLanded(_ string, at time.Time) { l.at = at }

// What is remembered of an attempt is when its first block was sent, however long the others took.
func TestAnAttemptIsAsOldAsItsFirstBlock(t *testing.T) {
	first := time.Now().Add(-2 * time.Hour)
	for name, test := range map[string]struct {
		after func(*job)
		want  time.Time
	}{
		"refused before anything was written": {func(*job) {}, time.Time{}},
		"acknowledged":                        {func(j *job) { j.settle(nil, "name/1") }, first},
		"a later one unknown":                 {func(j *job) { j.mayLand(time.Now()) }, first},
	} {
		t.Run(name, func(t *testing.T) {
			lease := &landingLease{}
			j := &job{lease: lease, source: nil, settled: []bool{}}
			r := &promise{w: &Writer{}, j: j}
			j.begin(first)
			j.begin(time.Now())
			test.after(j)
			r.remember()
			require.Equal(t, test.want, lease.at)
			require.Equal(t, test.want, r.prepared.Landed)
		})
	}
}

func TestProgressIsTakenOnceAndForgotten(t *testing.T) {
	var u unfinished
	require.True(t, u.empty())
	for i := range uint64(rememberedBatches + 10) {
		u.put(i, progress{cuts: int(i)})
	}
	_, ok := u.take(3)
	require.False(t, ok, "the oldest are forgotten")
	p, ok := u.take(40)
	require.True(t, ok)
	require.Equal(t, 40, p.cuts)
	_, ok = u.take(40)
	require.False(t, ok)
	require.Len(t, u.by, rememberedBatches-1)
	require.Len(t, u.order, rememberedBatches-1)
}
