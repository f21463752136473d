package changes

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/change"
	"github.com/benthos-clickhouse/connect/clickhouse/insert"
)

func TestADeletionNeedsItsWholeKey(t *testing.T) {
	db := tables(t, replacing, ordered, sharding)
	w := mustOpen(t, db, insert.Changes{Mode: change.Replacing, Tombstones: change.PolicyDelete})
	r := inserted(image(1, 1, "a", "1"), image(2, 2, "b", "2"))
	r.values = append(r.values, `{"op":"d","before":{"id":1}}`, "", `{"op":"d","before":{"tenant":2,"id":2}}`)
	r.keys = []string{"", "", "", `{"id":1}`, ""}
	result, err := w.Write(t.Context(), r, nil)
	require.NoError(t, err)
	require.Equal(t, []int{2, 3}, rejected(result))
	require.Contains(t, result.Rejected[0].Reason, `does not have "tenant"`)
	require.Equal(t, []string{"1|1|a|1|NULL"}, final(t, db))
}

// A column of the sorting key whose name has dots may stand within an object; an update that moves the row is seen there, too.
func TestAKeyWithinAnObject(t *testing.T) {
	const db = "a_key_within_an_object"
	servers.Exec(t, fmt.Sprintf(`
		DROP DATABASE IF EXISTS %[1]s SYNC; CREATE DATABASE %[1]s ENGINE = Atomic;
		CREATE TABLE %[1]s.orders_local (`+"`user.id`"+` UInt64, name String, version UInt64, is_deleted UInt8) ENGINE = %[2]s ORDER BY `+"`user.id`"+`;
		CREATE TABLE %[1]s.orders AS %[1]s.orders_local ENGINE = Distributed('events_cluster', %[1]s, orders_local, cityHash64(`+"`user.id`"+`))`, db, replacing))
	w := mustOpen(t, db, insert.Changes{Mode: change.Replacing})
	result, err := w.Write(t.Context(), records{values: []string{
		`{"op":"c","after":{"user":{"id":1},"name":"a"}}`, `{"op":"c","after":{"user":{"id":2},"name":"b"}}`, `{"op":"c","after":{"user.id":3,"name":"c"}}`,
		`{"op":"u","before":{"user":{"id":1},"name":"a"},"after":{"user":{"id":11},"name":"a"}}`,
		`{"op":"u","before":{"user.id":3,"name":"c"},"after":{"user.id":13,"name":"c"}}`,
		`{"op":"d","before":{"user":{"id":2}}}`,
	}}, nil)
	require.NoError(t, err)
	require.Empty(t, result.Rejected)
	require.Equal(t, [][]string{{"11", "a"}, {"13", "c"}}, servers.Servers[0].Query(t, "SELECT `user.id`, name FROM "+db+".orders FINAL ORDER BY `user.id`"))
}

// Bytes that a mapping leaves are text in an image, as they are in a row.
func TestStreamWhoseImagesHoldBytes(t *testing.T) {
	db := tables(t, replacing, ordered, sharding)
	send := pipeline(t, db, "  write_mode: replacing\n", `mapping: |
  root = this
  root.after.name = content().slice(0, 5)`)
	require.NoError(t, send(t.Context(), messages(inserted(image(1, 1, "a", "1")))))
	require.Equal(t, []string{`1|1|{"op"|1|NULL`}, final(t, db))
}

// A type that is narrowed and a column that comes are taken up without a restart, also by rows that move between shards, which are tried first.
func TestColumnsThatChangeUnderAStream(t *testing.T) {
	db := tables(t, replacing, ordered, sharding)
	w := mustOpen(t, db, insert.Changes{Mode: change.Replacing})
	first := records{}
	for n := range tenants {
		first.values = append(first.values, `{"op":"c","after":`+image(n, 1, "old", "1.25")+`}`)
	}
	_, err := w.Write(t.Context(), first, nil)
	require.NoError(t, err)
	for _, table := range []string{"orders_local", "orders"} {
		servers.Exec(t, "ALTER TABLE "+db+"."+table+" MODIFY COLUMN row_version UInt8, ADD COLUMN extra String")
	}
	moves := records{from: 100}
	var want []string
	for n := range tenants {
		was, is := image(n, 1, "old", "1.25"), fmt.Sprintf(`{"tenant":%d,"id":1,"name":"new","amount":"2","row_version":%d,"extra":"e"}`, n+tenants, 255+n%2)
		moves.values = append(moves.values, update(was, is))
		if n%2 == 0 {
			want = append(want, fmt.Sprintf("%d|1|new|2|NULL", n+tenants))
		}
	}
	result, err := w.Write(t.Context(), moves, nil)
	require.NoError(t, err)
	require.Len(t, result.Rejected, tenants/2)
	require.Equal(t, "UInt8", result.Rejected[0].Type)
	left := final(t, db)
	require.Equal(t, want, left[len(left)-len(want):])
	require.Len(t, left, tenants, "what was rejected is as it was")
	require.Equal(t, fmt.Sprint(len(want)), servers.Servers[0].Query(t, "SELECT countIf(extra = 'e') FROM "+db+".orders FINAL")[0][0])
}
