package clickhouse

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/change"
	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/clickhouse/insert"
)

func TestConfigOfChanges(t *testing.T) {
	const server = "addresses: [ a:9000 ]\ntable: orders\n"
	from := column.Meta("envelope.source.lsn")
	for name, test := range map[string]struct {
		yaml string
		want *insert.Changes
		key  bool
	}{
		"none":     {"", nil, false},
		"not used": {"changes: { format: canal }", nil, false},
		"defaults": {"write_mode: replacing", &insert.Changes{Mode: change.Replacing, Format: change.FormatDebezium, Tombstones: change.PolicyIgnore, Truncations: change.PolicyReject}, false},
		"all": {
			"write_mode: replacing\nchanges: { format: canal, tombstones: delete, truncations: ignore, is_deleted: gone, version: { column: v, from: '@envelope.source.lsn' } }",
			&insert.Changes{Mode: change.Replacing, Format: change.FormatCanal, Tombstones: change.PolicyDelete, Truncations: change.PolicyIgnore, IsDeleted: "gone", Version: "v", VersionFrom: &from}, true,
		},
		"sign": {"write_mode: collapsing\nchanges: { sign: s }", &insert.Changes{Mode: change.Collapsing, Format: change.FormatDebezium, Tombstones: change.PolicyIgnore, Truncations: change.PolicyReject, Sign: "s"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := parse(t, server+test.yaml)
			require.NoError(t, err)
			require.Equal(t, test.want, c.insert.Changes)
			require.Equal(t, test.key, c.wants.key, "whether each record's key is looked up")
			require.Nil(t, c.operation)
		})
	}
}

func TestConfigOfAMappedOperation(t *testing.T) {
	c, err := parse(t, "addresses: [ a:9000 ]\ntable: orders\nwrite_mode: replacing\nchanges: { format: mapping, operation: 'root = this.op' }")
	require.NoError(t, err)
	require.NotNil(t, c.operation)
}
