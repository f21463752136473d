package output

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/tests/leases"
	"github.com/benthos-clickhouse/connect/tests/services"
)

// restartUnder writes a range, does to one server what a crash might have, starts that server again, and has the next owner of the
// partition write the range.
func restartUnder(t *testing.T, db, table string, crash func(n *services.Node)) {
	t.Helper()
	restartBefore(t, db, table, crash, (*leases.Lease).Recover)
}

// restartBefore is restartUnder with another way to come by the range a second time.
func restartBefore(t *testing.T, db, table string, crash func(n *services.Node), next func(*leases.Lease) *leases.Lease) {
	t.Helper()
	l := partition().Lease(0, 1000)
	writeRange(t, openOn(t, settings(db, table), withProvenance), rangeOf(0, 1000), l)
	n := servers.Nodes[1][0]
	crash(n)
	require.NoError(t, n.Kill())
	require.NoError(t, n.Start(context.Background()))
	writeRange(t, openOn(t, settings(db, table), withProvenance), rangeOf(0, 1000), next(l))
}

// A server that was killed between writing a block's name and renaming its part has the name and not the rows.
func TestANameWithoutItsRows(t *testing.T) {
	db := tables(t)
	restartUnder(t, db, "events", func(n *services.Node) { n.Exec(t, "DELETE FROM "+db+".events_local WHERE true") })
	requireAll(t, db, 1000)
}

// A range that was written is delivered again when another output, or another range of its batch, has failed: that its blocks may be in is not forgotten.
func TestARangeThatWasWrittenComesBackToItsOwner(t *testing.T) {
	db := tables(t)
	restartBefore(t, db, "events", func(n *services.Node) { n.Exec(t, "DELETE FROM "+db+".events_local WHERE true") }, (*leases.Lease).Again)
	requireAll(t, db, 1000)
}

// A server that was killed between the table and a view has the rows in the table only. The view takes the block when it comes again.
func TestAViewThatMissedABlock(t *testing.T) {
	db := tables(t)
	var before string
	restartUnder(t, db, "events", func(n *services.Node) {
		before = n.Value(t, "SELECT count() FROM "+db+".events_local")
		n.Exec(t, "CREATE TABLE "+db+".seen (id UInt64) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100;"+
			"CREATE MATERIALIZED VIEW "+db+".seen_mv TO "+db+".seen AS SELECT id FROM "+db+".events_local")
	})
	requireAll(t, db, 1000)
	require.Equal(t, before, servers.Nodes[1][0].Value(t, "SELECT count() FROM "+db+".seen"))
}

// Rows that were merged away since their block landed are not missing.
func TestRowsThatAreGoneSinceTheirBlockLanded(t *testing.T) {
	db := tables(t)
	servers.Exec(t, "CREATE OR REPLACE TABLE "+db+".reference_local ("+columns+") ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100")
	count := "SELECT count() FROM " + db + ".reference_local"
	var left string
	restartUnder(t, db, "reference", func(n *services.Node) {
		n.Exec(t, "DELETE FROM "+db+".reference_local WHERE id % 3 = 0")
		left = n.Value(t, count)
	})
	require.Equal(t, left, servers.Nodes[1][0].Value(t, count))
}
