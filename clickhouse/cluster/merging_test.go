package cluster

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMerging(t *testing.T) {
	for full, want := range map[string]Merging{
		"MergeTree ORDER BY id SETTINGS index_granularity = 8192":                                                                                     {Kind: "MergeTree"},
		"ReplacingMergeTree(version, `is deleted`) ORDER BY id":                                                                                       {Kind: "ReplacingMergeTree", Columns: []string{"version", "is deleted"}},
		"ReplicatedReplacingMergeTree('/clickhouse/{shard}/t', '{replica}', version) PARTITION BY a ORDER BY id":                                      {Kind: "ReplacingMergeTree", Columns: []string{"version"}},
		"SharedVersionedCollapsingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', sign, v) ORDER BY id SETTINGS index_granularity = 8192": {Kind: "VersionedCollapsingMergeTree", Columns: []string{"sign", "v"}},
	} {
		got, err := (&Table{EngineFull: full}).Merging()
		require.NoError(t, err)
		require.Equal(t, want, got, full)
	}
}

func TestKeyColumns(t *testing.T) {
	for key, want := range map[string][]string{
		"":                                    nil,
		"id":                                  {"id"},
		"user_id, `order id`":                 {"user_id", "order id"},
		"toDate(ts), id, cityHash64(a, b), c": {"id", "c"},
		"(a, b), c DESC":                      nil,
	} {
		got, err := (&Table{SortingKey: key}).KeyColumns()
		require.NoError(t, err)
		require.Equal(t, want, got, key)
	}
}
