package output

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/insert"
	"github.com/benthos-clickhouse/connect/tests/services"
)

// view puts a materialized view behind the events on every node: into a table of its own, whose name is the view's.
func view(t *testing.T, db, name, engine string) {
	t.Helper()
	servers.Exec(t, fmt.Sprintf("CREATE TABLE %[1]s.%[2]s (id UInt64) ENGINE = %[3]s; CREATE MATERIALIZED VIEW %[1]s.%[2]s_mv TO %[1]s.%[2]s AS SELECT id FROM %[1]s.events_local", db, name, engine))
}

const remembers = "MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100"

// inView counts the rows of a view's table on all nodes.
func inView(t *testing.T, db, name string) (rows string) {
	t.Helper()
	sum := 0
	for _, n := range servers.Servers {
		var rows int
		_, err := fmt.Sscan(n.Value(t, "SELECT count() FROM "+db+"."+name), &rows)
		require.NoError(t, err)
		sum += rows
	}
	return fmt.Sprint(sum)
}

// What is promised for views, and what is not: a view's table that remembers blocks has each row once however often a range is written, one that
// does not gets the rows again with each repetition.
func TestViewsOfARepeatedRange(t *testing.T) {
	db := tables(t)
	view(t, db, "remembering", remembers)
	view(t, db, "forgetting", "MergeTree ORDER BY id")
	l := partition().Lease(0, 1000)
	writeRange(t, open(t, db), rangeOf(0, 1000), l)
	writeRange(t, open(t, db), rangeOf(0, 1000), l.Recover())
	requireAll(t, db, 1000)
	require.Equal(t, "1000", inView(t, db, "remembering"))
	require.Equal(t, "2000", inView(t, db, "forgetting"))
}

// The bound on tables that are not Replicated: a server that was killed between writing the name of a view's block and renaming its part has
// the rows in the table and never in the view. Nothing tells, so it is said at start.
func TestAViewThatRemembersABlockWithoutItsRows(t *testing.T) {
	db := tables(t)
	view(t, db, "seen", remembers)
	var left string
	restartUnder(t, db, "events", func(n *services.Node) {
		n.Exec(t, "DELETE FROM "+db+".seen WHERE true")
		left = inView(t, db, "seen")
	})
	requireAll(t, db, 1000)
	require.Equal(t, left, inView(t, db, "seen"))
}

func TestViewsWithLessOfAPromiseAreToldAtStart(t *testing.T) {
	db := tables(t)
	view(t, db, "remembering", remembers)
	view(t, db, "forgetting", "MergeTree ORDER BY id")
	view(t, db, "joined", "Join(ANY, LEFT, id)")
	view(t, db, "passing", "Null")
	servers.Exec(t, fmt.Sprintf(`CREATE MATERIALIZED VIEW %[1]s.inner_mv (id UInt64) ENGINE = MergeTree ORDER BY id AS SELECT id FROM %[1]s.passing`, db))
	var text bytes.Buffer
	open(t, db, func(o *insert.Options) {
		o.Delivery, o.Logger = insert.DeliveryExactlyOnce, slog.New(slog.NewTextHandler(&text, nil))
	})
	said := text.String()
	require.Contains(t, said, "forgetting_mv` on ")
	require.Contains(t, said, "ALTER TABLE `"+db+"`.`forgetting` MODIFY SETTING non_replicated_deduplication_window = 10000")
	require.Contains(t, said, "engine Join does not recognise a repeated block")
	require.Contains(t, said, "ALTER TABLE `"+db+"`.`.inner_id.", "a view behind a view, with a table of its own")
	require.Contains(t, said, "remembering_mv` on ")
	require.Contains(t, said, "compare the view with the table")
	require.NotContains(t, said, "passing_mv")
}
