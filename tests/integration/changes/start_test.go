package changes

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/change"
	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/clickhouse/insert"
)

// plain is a Source of records that come from nowhere.
type plain []string

func (p plain) Len() int { return len(p) }

func (p plain) Record(i int, rec *insert.Record) error {
	rec.JSON = []byte(p[i])
	return nil
}

func source(from string) *column.Source {
	s := column.Path(from)
	if name, ok := strings.CutPrefix(from, "@"); ok {
		s = column.Meta(name)
	}
	return &s
}

func TestWhatCannotWorkIsRefusedAtStart(t *testing.T) {
	replace, collapse := insert.Changes{Mode: change.Replacing}, insert.Changes{Mode: change.Collapsing}
	for name, test := range map[string]struct {
		engine, order, sharding string
		changes                 insert.Changes
		options                 func(*insert.Options)
		errContains             string
	}{
		"no ReplacingMergeTree":  {engine: "MergeTree", changes: replace, errContains: "is a MergeTree, which does not replace rows: create it with ENGINE = ReplacingMergeTree(version, is_deleted)"},
		"no CollapsingMergeTree": {engine: replacing, changes: collapse, errContains: "is a ReplacingMergeTree, which does not collapse rows"},
		"no version":             {engine: "ReplacingMergeTree", changes: replace, errContains: "has no version column"},
		"no deletion flag":       {engine: "ReplacingMergeTree(version)", changes: replace, errContains: "has no is_deleted column, so deletions could not be told"},
		"another version":        {engine: replacing, changes: insert.Changes{Mode: change.Replacing, Version: "row_version"}, errContains: "field `changes.version.column`: is \"row_version\", but the table's engine is"},
		"another sign":           {engine: versioned, changes: insert.Changes{Mode: change.Collapsing, Sign: "s"}, errContains: "field `changes.sign`"},
		"version of the row":     {engine: replacing, changes: insert.Changes{Mode: change.Replacing, VersionFrom: source("row_version")}, errContains: "has no version later than its last one"},
		"version of the record":  {engine: versioned, changes: insert.Changes{Mode: change.Collapsing, VersionFrom: source("@kafka_offset")}, errContains: "must be a member of the row"},
		"narrow version":         {engine: "ReplacingMergeTree(tenant, is_deleted)", changes: replace, errContains: "which the version column \"tenant\" of type UInt32 does not hold"},
		"sharded by no key":      {engine: replacing, sharding: "cityHash64(name)", changes: replace, errContains: "is sharded by the column \"name\", which is not one of those it is ordered by (tenant, id)"},
		"sharded by a version":   {engine: versioned, sharding: "row_version", changes: collapse, errContains: "is sharded by the column \"row_version\""},
		"sharded within a key":   {engine: replacing, order: "id, intDiv(tenant, 10)", changes: replace, errContains: "is sharded by the column \"tenant\""},
		"sharded by chance":      {engine: replacing, sharding: "rand()", changes: replace, errContains: "is sharded by chance"},
		"strategy of chance":     {engine: replacing, changes: replace, options: func(o *insert.Options) { o.Strategy = insert.StrategyRoundRobin }, errContains: "is sharded by chance"},
		"hash of no key": {engine: replacing, changes: replace, options: func(o *insert.Options) {
			o.Strategy, o.Key = insert.StrategyHash, []string{"amount"}
		}, errContains: "is sharded by the column \"amount\""},
		"ordered by the record": {engine: "ReplacingMergeTree(version, is_deleted)", order: "tenant, id, row_version", changes: replace, options: func(o *insert.Options) {
			o.Columns = []insert.Column{{Name: "row_version", Source: column.Meta("kafka_timestamp_ms")}}
		}, errContains: "is ordered by the column \"row_version\", which does not come from the row"},
		"ordered by what is not inserted": {engine: replacing, order: "tenant, id, name", changes: replace, options: func(o *insert.Options) {
			o.Columns = []insert.Column{{Name: "name", Skip: true}}
		}, errContains: "is ordered by the column \"name\", which is not inserted"},
		"a flag of one's own": {engine: replacing, changes: replace, options: func(o *insert.Options) {
			o.Columns = []insert.Column{{Name: "is_deleted", Source: column.Path("deleted")}}
		}, errContains: "it is filled in from the operation"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.order == "" {
				test.order = ordered
			}
			if test.sharding == "" {
				test.sharding = sharding
			}
			db := tables(t, test.engine, test.order, test.sharding)
			more := []func(*insert.Options){}
			if test.options != nil {
				more = append(more, test.options)
			}
			_, err := open(t, db, test.changes, more...)
			var permanent *insert.PermanentError
			require.ErrorAs(t, err, &permanent)
			require.ErrorContains(t, err, test.errContains)
		})
	}
}

func TestWhatCanWorkStarts(t *testing.T) {
	for name, test := range map[string]struct {
		engine  string
		changes insert.Changes
	}{
		"flag that readers filter": {"ReplacingMergeTree(version)", insert.Changes{Mode: change.Replacing, IsDeleted: "is_deleted"}},
		"named as the engine does": {replacing, insert.Changes{Mode: change.Replacing, Version: "version", IsDeleted: "is_deleted"}},
		"version of the envelope":  {replacing, insert.Changes{Mode: change.Replacing, VersionFrom: source("@envelope.ts_ms")}},
		"version of the row":       {versioned, insert.Changes{Mode: change.Collapsing, VersionFrom: source("version")}},
	} {
		t.Run(name, func(t *testing.T) {
			w := mustOpen(t, tables(t, test.engine, ordered, sharding), test.changes)
			result, err := w.Write(t.Context(), inserted(image(1, 1, "a", "1")), nil)
			require.NoError(t, err)
			require.Empty(t, result.Rejected)
		})
	}
}
