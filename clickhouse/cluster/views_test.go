package cluster

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestViewTarget(t *testing.T) {
	for create, want := range map[string]relation{
		"CREATE MATERIALIZED VIEW db.v TO db.t (`id` UInt64) AS SELECT id FROM db.s":                                  {"db", "t"},
		"CREATE MATERIALIZED VIEW db.`to` TO `d-b`.`t.t` (`id` UInt64) AS SELECT id FROM db.s":                        {"d-b", "t.t"},
		"CREATE MATERIALIZED VIEW v UUID '0' TO t AS SELECT 1":                                                        {"", "t"},
		"CREATE MATERIALIZED VIEW db.v (`id` UInt64) ENGINE = MergeTree ORDER BY id AS SELECT id FROM db.s":           {},
		"CREATE MATERIALIZED VIEW db.v (`id` UInt64 COMMENT 'TO x') ENGINE = Null AS SELECT toDate(1) FROM db.s":      {},
		"CREATE MATERIALIZED VIEW db.v (`id` UInt64) AS SELECT id FROM db.s -- TO db.t":                               {},
		"CREATE MATERIALIZED VIEW db.v TO db.t (`id` UInt64 DEFAULT (1 + 2)) DEFINER = d SQL SECURITY DEFINER AS (1)": {"db", "t"},
	} {
		got, ok := viewTarget(create)
		require.Equal(t, want != relation{}, ok, create)
		require.Equal(t, want, got, create)
	}
}
