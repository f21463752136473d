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
			prepared := delivery.Prepared{Intent: delivery.Intent{Digest: 7}, At: test.at, Recovered: test.recovered}
			lease := pinnedLease{prepared: prepared}
			layout := &cluster.Layout{Table: &cluster.Table{Engine: "ReplicatedMergeTree"}}
			j := &job{naming: rangeNaming(lease.Range().Name(), w.sink), lease: lease, layout: layout}
			r := &promise{w: w, j: j, prepared: prepared, pinned: true}
			if !test.inProcess.IsZero() {
				w.landing.Store(r.key(), test.inProcess)
			}
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
