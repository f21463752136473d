package insert

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
)

// Where each replica of a shard gets the rows for itself, a row that one of them lacks is sent to that one, on the shard where the other has it,
// wherever it would be routed now.
func TestRowsThatAReplicaLacks(t *testing.T) {
	a, b := &cluster.Replica{}, &cluster.Replica{}
	seen := []sighting{
		{shard: 0, on: map[*cluster.Replica]map[int64]bool{nil: {10: true}}},
		{shard: 1, on: map[*cluster.Replica]map[int64]bool{a: {11: true, 12: true, 14: true}, b: {11: true, 14: false}}},
	}
	w, to, layout := rowTarget(t)
	// All of them would go to the first shard now.
	docs := debeziums{`{"tenant":0}`, `{"tenant":0}`, `{"tenant":0}`, `{"tenant":0}`, `{"tenant":1}`}
	j := &job{source: traced{docs, 10}, layout: layout, naming: naming{base: "g/t/0/10-15/t", exact: true, again: 1}}
	found, err := j.settleLanded(seen, nil)
	require.NoError(t, err)
	require.Equal(t, 2, found, "offsets 10 and 11 are where they have to be")

	c := cutOf(t, w, to, j)
	require.Equal(t, "0:[3]/1 1:[2 4]/2", shape(c))
	moved := c.byShard[1][0]
	part, err := j.lacking(to, moved, a)
	require.NoError(t, err)
	require.Nil(t, part, "it has both")
	part, err = j.lacking(to, moved, b)
	require.NoError(t, err)
	require.Same(t, moved, part)
	part, err = j.lacking(to, c.byShard[0][0], a)
	require.NoError(t, err)
	require.Equal(t, []int32{3}, part.rows)
}

// traced are records with consecutive offsets.
type traced struct {
	debeziums
	from int64
}

func (t traced) Record(i int, rec *Record) error {
	err := t.debeziums.Record(i, rec)
	rec.Provenance.Valid, rec.Provenance.Offset = true, t.from+int64(i)
	return err
}
