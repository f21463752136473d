package clickstream

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGeneratorMakesTheSameStreamForTheSameSeed(t *testing.T) {
	a, b, c := New(Options{Seed: 1}), New(Options{Seed: 1}), New(Options{Seed: 2})
	same := true
	for range 1000 {
		x, ex := a.Next(nil)
		y, ey := b.Next(nil)
		z, _ := c.Next(nil)
		require.Equal(t, string(x), string(y))
		require.Equal(t, ex, ey)
		same = same && string(x) == string(z)
	}
	require.False(t, same)
}

func TestGeneratorShape(t *testing.T) {
	opts := Options{Seed: 3, Malformed: 50}
	g, ledger := New(opts), NewLedger(opts)
	var bytes, good int
	for range 4000 {
		doc, ev := g.Next(nil)
		ledger.Add(ev)
		var m map[string]any
		err := json.Unmarshal(doc, &m)
		switch ev.Malformed {
		case "truncated", "not an object":
			require.Error(t, err)
			continue
		case "":
			require.NoError(t, err, "%s", doc)
		}
		require.Len(t, m, 21)
		bytes += len(doc)
		good++
	}
	require.InDelta(t, 490, float64(bytes)/float64(good), 30)
	require.EqualValues(t, 80, ledger.MalformedTotal())
	require.Len(t, ledger.Malformed, len(malformed))
	require.EqualValues(t, 4000-80, ledger.Total().Events)
	per := ledger.PerShard(3, func(u uint64) int { return int(u % 3) })
	require.Equal(t, ledger.Total().PriceCents, per[0].PriceCents+per[1].PriceCents+per[2].PriceCents)
}
