package insert

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/delivery"
)

func TestNamesOfARangeAreTheSameAfterACrash(t *testing.T) {
	r := delivery.Range{Group: "g", Topic: "clicks", TopicID: [16]byte{0xab}, Partition: 7, From: 10, To: 20}
	n := rangeNaming(r.Name(), "dw.events")
	require.Equal(t, "g/ab000000000000000000000000000000/7/10-20/dw.events/3", n.block(2, 0, 0, 0))
	require.Equal(t, n.block(2, 0, 0, 0), rangeNaming(r.Name(), "dw.events").block(2, 0, 4, 9), "neither the cut nor the part counts")
}

func TestNoTwoBlocksShareAName(t *testing.T) {
	r := delivery.Range{Group: "g", Topic: "clicks", From: 10, To: 20}
	other := r
	other.To = 21
	exact := rangeNaming(r.Name(), "dw.events")
	rest := exact
	rest.again = 1
	again := exact
	again.again = 2
	fresh := freshNaming("dw.events")
	seen := map[string]bool{}
	for _, name := range []string{
		exact.block(0, 0, 0, 0), exact.block(1, 0, 0, 0), exact.block(0, 1, 0, 0), rest.block(0, 0, 0, 0), again.block(0, 0, 0, 0),
		rangeNaming(other.Name(), "dw.events").block(0, 0, 0, 0), rangeNaming(r.Name(), "dw.other").block(0, 0, 0, 0),
		fresh.block(0, 0, 0, 0), fresh.block(1, 0, 0, 0), fresh.block(0, 0, 1, 0), fresh.block(0, 0, 0, 1), fresh.block(0, 1, 0, 0),
		freshNaming("dw.events").block(0, 0, 0, 0),
	} {
		require.Falsef(t, seen[name], "%s", name)
		seen[name] = true
	}
}

func TestBackoffDoublesWithinItsBounds(t *testing.T) {
	r := Retries{InitialInterval: 100 * time.Millisecond, MaxInterval: time.Second}
	for n, millis := range []int{100, 200, 400, 800, 1000, 1000} {
		most := time.Duration(millis) * time.Millisecond
		for range 100 {
			d := r.backoff(n + 1)
			require.LessOrEqual(t, d, most)
			require.GreaterOrEqual(t, d, most/2)
		}
	}
	require.LessOrEqual(t, r.backoff(1<<20), time.Second)
}

func TestPaceHoldsBackAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := new(pace)
		took := func() time.Duration {
			began := time.Now()
			require.NoError(t, p.wait(context.Background()))
			return time.Since(began)
		}
		require.Zero(t, took())
		p.slower(10 * time.Second)
		require.Equal(t, time.Second, took())
		p.slower(10 * time.Second)
		require.Equal(t, 2*time.Second, took())
		for range 5 {
			p.slower(10 * time.Second)
		}
		require.Equal(t, 10*time.Second, p.delay, "bounded")
		for range 100 {
			p.faster()
		}
		time.Sleep(time.Minute)
		require.Zero(t, took(), "as before")
	})
}
