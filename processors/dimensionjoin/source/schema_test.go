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
		s, err := newSchema(cfg, result, map[string]tableColumn{"k": k, "v": {name: "v", dataType: "int", ordinal: 5}}, true)
		require.NoError(t, err)
		return s.Digest
	}
	before := tableColumn{name: "k", dataType: "varchar", charset: "utf8mb4", ordinal: 1}
	moved, converted := before, before
	moved.ordinal, converted.charset = 2, "latin1"
	require.NotEqual(t, digest(before), digest(moved))
	require.NotEqual(t, digest(before), digest(converted))
}

// What the protocol does not tell of a column decides how it is written, and whether the whole table is read key by key.
func TestDigestKnowsJSONAndUniqueKeys(t *testing.T) {
	cfg := &Config{Name: "d", Table: "t", Keys: []string{"k"}}
	digest := func(jsonCheck, unique bool) uint64 {
		s, err := newSchema(cfg, []described{{"k", "INT"}, {"v", "LONGTEXT"}}, map[string]tableColumn{"v": {name: "v", jsonCheck: jsonCheck}}, unique)
		require.NoError(t, err)
		return s.Digest
	}
	require.NotEqual(t, digest(true, true), digest(false, true))
	require.NotEqual(t, digest(true, true), digest(true, false))
}

func TestTwoColumnsOfOneName(t *testing.T) {
	for _, target := range []string{"", "product"} {
		_, err := NewSchema(Config{Name: "d", Query: "q", Keys: []string{"k"}, Target: target}, []ResultColumn{{"k", "INT"}, {"name", "TEXT"}, {"name", "TEXT"}})
		var unfit *SchemaError
		require.ErrorAs(t, err, &unfit)
		require.Equal(t, "name", unfit.Column)
	}
}

// A name that several columns of a query have says nothing about which of them is meant.
func TestAColumnOfAQueryThatIsMeant(t *testing.T) {
	for _, config := range []Config{{Keys: []string{"k"}, Columns: []Column{{Name: "Name"}}}, {Keys: []string{"name"}, Columns: []Column{{Name: "k"}}}} {
		_, err := NewSchema(config, []ResultColumn{{"k", "INT"}, {"name", "TEXT"}, {"NAME", "TEXT"}})
		require.ErrorContains(t, err, "several columns of this name")
	}
}
