package source

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A key column that has moved, or whose texts are stored otherwise, is read from row events in another way, though the
// dimension's result is the same.
func TestDigestKnowsWhereKeysAre(t *testing.T) {
	cfg := &Config{Name: "d", Table: "t", Keys: []string{"k"}, Columns: []Column{{Name: "v", Member: "v"}}}
	result := []described{{"k", "VARCHAR"}, {"v", "INT"}}
	digest := func(k tableColumn) uint64 {
		s, err := newSchema(cfg, result, map[string]tableColumn{"k": k, "v": {name: "v", dataType: "int", ordinal: 5}})
		require.NoError(t, err)
		return s.Digest
	}
	before := tableColumn{name: "k", dataType: "varchar", charset: "utf8mb4", ordinal: 1}
	moved, converted := before, before
	moved.ordinal, converted.charset = 2, "latin1"
	require.NotEqual(t, digest(before), digest(moved))
	require.NotEqual(t, digest(before), digest(converted))
}
