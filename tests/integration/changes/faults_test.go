package changes

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/change"
	"github.com/benthos-clickhouse/connect/clickhouse/insert"
	"github.com/benthos-clickhouse/connect/delivery"
)

func update(before, after string) string {
	return `{"op":"u","before":` + before + `,"after":` + after + `}`
}

func image(tenant, id int, name, amount string) string {
	return fmt.Sprintf(`{"tenant":%d,"id":%d,"name":%q,"amount":%q,"row_version":1}`, tenant, id, name, amount)
}

func inserted(images ...string) records {
	var r records
	for _, i := range images {
		r.values = append(r.values, `{"op":"c","ts_ms":1,"after":`+i+`}`)
	}
	return r
}

func rejected(result insert.Result) []int {
	var out []int
	for _, r := range result.Rejected {
		out = append(out, r.Index)
	}
	return out
}

// tenants is enough for every move to the next one to cross shards somewhere.
const tenants = 20

func TestARecordIsRejectedWhole(t *testing.T) {
	for name, update := range map[string]func(tenant int) string{
		"the row as it is cannot be read": func(n int) string { return update(image(n, 1, "old", "1"), image(n+tenants, 1, "new", "many")) },
		"the row as it was cannot be read": func(n int) string {
			return update(image(n, 1, "old", "many"), image(n+tenants, 1, "new", "2"))
		},
		"the server refuses the row as it is": func(n int) string { return update(image(n, 1, "old", "1"), image(n+tenants, 1, "nobody", "2")) },
		"the server refuses the row as it was": func(n int) string {
			return update(image(n, 1, "nobody", "1"), image(n+tenants, 1, "new", "2"))
		},
	} {
		for _, mode := range []struct {
			engine string
			mode   change.Mode
		}{{replacing, change.Replacing}, {versioned, change.Collapsing}} {
			t.Run(name+"/"+string(mode.mode), func(t *testing.T) {
				db := tables(t, mode.engine, ordered, sharding)
				w := mustOpen(t, db, insert.Changes{Mode: mode.mode})
				kafka := partition()
				first := records{}
				var want []string
				for n := range tenants {
					first.values = append(first.values, `{"op":"c","after":`+image(n, 1, "old", "1")+`}`)
					want = append(want, fmt.Sprintf("%d|1|old|1|NULL", n))
				}
				write(t, w, first, kafka, false)
				moves := records{from: 100}
				for n := range tenants {
					moves.values = append(moves.values, update(n))
				}
				moves.values = append(moves.values, `{"op":"c","after":`+image(99, 9, "good", "3")+`}`)
				for _, recovered := range []bool{false, true} {
					result, err := w.Write(t.Context(), moves, lease(kafka, moves, recovered))
					require.NoError(t, err)
					require.Len(t, result.Rejected, tenants)
					require.Equal(t, append(append([]string(nil), want...), "99|9|good|3|NULL"), final(t, db), "half a change is in")
				}
			})
		}
	}
}

func TestAShardThatWasDownGetsItsHalfOnce(t *testing.T) {
	db := tables(t, versioned, ordered, sharding)
	w := mustOpen(t, db, insert.Changes{Mode: change.Collapsing}, func(o *insert.Options) { o.MaxBlockRows = 100 })
	events, left := history(77, 3000)
	r := tell(events, "debezium")
	_, err := w.Write(t.Context(), r.slice(0, 1500), nil)
	require.NoError(t, err)
	require.NoError(t, servers.Nodes[1][0].Stop())
	_, err = w.Write(t.Context(), r.slice(1500, 3000), nil)
	require.Error(t, err)
	require.NoError(t, servers.Nodes[1][0].Start(t.Context()))
	require.Eventually(t, func() bool { return w.Ready(t.Context()) == nil }, 20e9, 100e6)
	_, err = w.Write(t.Context(), r.slice(1500, 3000), nil)
	require.NoError(t, err)
	require.Equal(t, left, final(t, db))
	require.Equal(t, fmt.Sprint(len(left)), servers.Servers[0].Query(t, "SELECT sum(sign) FROM "+db+".orders")[0][0])
}

func TestARangeWhoseBlocksCannotBeNamedAgain(t *testing.T) {
	for _, mode := range []struct {
		engine, err string
		mode        change.Mode
	}{{replacing, "", change.Replacing}, {versioned, "rows that collapse leave no trace", change.Collapsing}} {
		t.Run(string(mode.mode), func(t *testing.T) {
			db := tables(t, mode.engine, ordered, sharding)
			w := mustOpen(t, db, insert.Changes{Mode: mode.mode})
			events, left := history(5, 500)
			r := tell(events, "debezium")
			kafka := partition()
			write(t, w, r, kafka, false)
			kafka.Change(func(p *delivery.Prepared) { p.Digest++ }) // as if the columns had changed since
			result, err := w.Write(t.Context(), r, lease(kafka, r, true))
			if mode.err != "" {
				var permanent *insert.PermanentError
				require.ErrorAs(t, err, &permanent)
				require.ErrorContains(t, err, mode.err)
			} else {
				require.NoError(t, err)
				require.Empty(t, result.Rejected)
			}
			require.Equal(t, left, final(t, db))
		})
	}
}

func TestRecordsThatAreNoChangesOfRows(t *testing.T) {
	db := tables(t, replacing, ordered, sharding)
	w := mustOpen(t, db, insert.Changes{Mode: change.Replacing, Tombstones: change.PolicyDelete})
	r := inserted(image(1, 1, "a", "1"), image(2, 2, "b", "2"), image(3, 3, "c", "3"))
	r.values = append(r.values, "", `{"op":"t"}`, `{"op":"m"}`, `{"a":1}`, `null`, "")
	r.keys = []string{"", "", "", `{"tenant":1,"id":1}`, "", "", "", `{"schema":{},"payload":{"tenant":2,"id":2}}`, "7"}
	result, err := w.Write(t.Context(), r, nil)
	require.NoError(t, err)
	require.Equal(t, []int{4, 6, 8}, rejected(result))
	require.Contains(t, result.Rejected[0].Reason, "TRUNCATE TABLE")
	require.Equal(t, []string{"3|3|c|3|NULL"}, final(t, db))
}

func TestVersionsFromTheEnvelope(t *testing.T) {
	db := tables(t, replacing, ordered, sharding)
	w := mustOpen(t, db, insert.Changes{Mode: change.Replacing, VersionFrom: source("@envelope.source.lsn")})
	tell := func(lsn int, name string) string {
		return fmt.Sprintf(`{"payload":{"op":"u","after":%s,"source":{"lsn":%d}}}`, image(1, 1, name, "1"), lsn)
	}
	result, err := w.Write(t.Context(), plain{tell(9, "last"), tell(7, "first"), `{"op":"c","after":` + image(1, 1, "unversioned", "1") + `}`}, nil)
	require.NoError(t, err)
	require.Equal(t, []int{2}, rejected(result))
	require.Contains(t, result.Rejected[0].Reason, "has no @envelope.source.lsn")
	require.Equal(t, []string{"1|1|last|1|NULL"}, final(t, db))
}

func TestWithoutAnOffsetThereIsNoVersion(t *testing.T) {
	db := tables(t, replacing, ordered, sharding)
	w := mustOpen(t, db, insert.Changes{Mode: change.Replacing})
	result, err := w.Write(t.Context(), plain(inserted(image(1, 1, "a", "1")).values), nil)
	require.NoError(t, err)
	require.Contains(t, result.Rejected[0].Reason, "changes.version.from")
}
