package changes

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/benthos-clickhouse/connect/clickhouse/change"
	"github.com/benthos-clickhouse/connect/clickhouse/insert"
	"github.com/benthos-clickhouse/connect/tests/leases"
)

// row is a row of the source table; its primary key is id, and that of the table in ClickHouse is (tenant, id).
type row struct {
	Tenant     uint32  `json:"tenant"`
	ID         uint64  `json:"id"`
	Name       string  `json:"name"`
	Amount     string  `json:"amount"`
	Note       *string `json:"note"`
	RowVersion uint64  `json:"row_version"`
}

func (r row) String() string {
	note := "NULL"
	if r.Note != nil {
		note = *r.Note
	}
	return fmt.Sprintf("%d|%d|%s|%s|%s", r.Tenant, r.ID, r.Name, strings.TrimSuffix(strings.TrimSuffix(r.Amount, "0"), ".0"), note)
}

// event is one change of the source table.
type event struct{ before, after *row }

// history is a random one, and the rows that are left by it.
func history(seed uint64, n int) (events []event, left []string) {
	random := rand.New(rand.NewPCG(seed, 1))
	table := map[uint64]row{}
	var ids []uint64
	fresh := func(id, version uint64) row {
		r := row{Tenant: random.Uint32N(20), ID: id, Name: "name \"" + strconv.Itoa(random.IntN(1000)) + "\" ö", Amount: fmt.Sprintf("%d.%02d", random.IntN(1000), 1+random.IntN(98)), RowVersion: version}
		if random.IntN(3) > 0 {
			note := "note " + strconv.Itoa(random.IntN(10))
			r.Note = &note
		}
		return r
	}
	for version := uint64(1); len(events) < n; version++ {
		switch k := random.IntN(10); {
		case k < 3 || len(ids) == 0: // ids come back after they were deleted
			id := random.Uint64N(600)
			if _, ok := table[id]; ok {
				continue
			}
			r := fresh(id, version)
			table[id], ids = r, append(ids, id)
			events = append(events, event{after: &r})
		case k < 8:
			was := table[ids[random.IntN(len(ids))]]
			is := fresh(was.ID, version)
			if k < 7 {
				is.Tenant = was.Tenant
			}
			table[was.ID] = is
			events = append(events, event{before: &was, after: &is})
		default:
			i := random.IntN(len(ids))
			was := table[ids[i]]
			delete(table, was.ID)
			ids = slices.Delete(ids, i, i+1)
			events = append(events, event{before: &was})
		}
	}
	rows := make([]row, 0, len(table))
	for _, r := range table {
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b row) int {
		if a.Tenant != b.Tenant {
			return int(a.Tenant) - int(b.Tenant)
		}
		return int(a.ID) - int(b.ID)
	})
	for _, r := range rows {
		left = append(left, r.String())
	}
	return events, left
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// kind picks the format's word for the event.
func (e event) kind(insert, update, remove string) string {
	switch {
	case e.before == nil:
		return insert
	case e.after == nil:
		return remove
	}
	return update
}

// tellers write an event as the records of a format.
var tellers = map[string]func(n int, e event) []string{
	"debezium": func(_ int, e event) []string {
		return []string{text(map[string]any{"before": e.before, "after": e.after, "op": e.kind("c", "u", "d"), "source": map[string]any{"lsn": 1}})}
	},
	"debezium with schemas and tombstones": func(n int, e event) []string {
		out := []string{text(map[string]any{"schema": map[string]any{"type": "struct"}, "payload": map[string]any{
			"before": e.before, "after": e.after, "op": e.kind([]string{"c", "r"}[n%2], "u", "d"),
		}})}
		if e.after == nil {
			out = append(out, "")
		}
		return out
	},
	"canal": func(_ int, e event) []string {
		m := map[string]any{"type": e.kind("INSERT", "UPDATE", "DELETE"), "isDdl": false, "old": nil}
		switch {
		case e.after == nil:
			m["data"] = []any{e.before}
		case e.before == nil:
			m["data"] = []any{e.after}
		default:
			m["data"], m["old"] = []any{e.after}, []any{changed(*e.before, *e.after)}
		}
		return []string{text(m)}
	},
	"flink": func(_ int, e event) []string {
		tell := func(op string, r *row) string { return text(map[string]any{"op": op, "data": r}) }
		switch {
		case e.before == nil:
			return []string{tell("+I", e.after)}
		case e.after == nil:
			return []string{tell("-D", e.before)}
		}
		return []string{tell("-U", e.before), tell("+U", e.after)}
	},
}

// changed are the columns that an update changed, as they were.
func changed(before, after row) map[string]any {
	was, is := map[string]any{}, map[string]any{}
	if json.Unmarshal([]byte(text(before)), &was) != nil || json.Unmarshal([]byte(text(after)), &is) != nil {
		panic("a row is no JSON")
	}
	for name := range was {
		if text(was[name]) == text(is[name]) {
			delete(was, name)
		}
	}
	return was
}

func tell(events []event, format string) records {
	var r records
	for n, e := range events {
		r.values = append(r.values, tellers[format](n, e)...)
	}
	return r
}

const changesInAll = 10_000

// each cuts the records into ranges of uneven size.
func each(r records, seed uint64, f func(part records)) {
	random := rand.New(rand.NewPCG(seed, 2))
	for from := 0; from < r.Len(); {
		to := min(from+1+random.IntN(900), r.Len())
		f(r.slice(from, to))
		from = to
	}
}

func TestARandomHistoryEndsAsTheSourceDid(t *testing.T) {
	formats := map[string]change.Format{
		"debezium": change.FormatDebezium, "debezium with schemas and tombstones": change.FormatDebezium, "canal": change.FormatCanal, "flink": change.FormatFlink,
	}
	for n, mode := range []struct {
		engine, order string
		mode          change.Mode
	}{
		{replacing, ordered, change.Replacing},
		{replacing, "tenant, bracket, id", change.Replacing},
		{versioned, ordered, change.Collapsing},
		{collapsing, ordered, change.Collapsing},
	} {
		for format, f := range formats {
			name, _, _ := strings.Cut(mode.engine, "(")
			if mode.order != ordered && f != change.FormatDebezium && f != change.FormatCanal {
				continue
			}
			t.Run(name+" by "+mode.order+"/"+format, func(t *testing.T) {
				seed := uint64(n + 1)
				db := tables(t, mode.engine, mode.order, sharding)
				events, left := history(seed, changesInAll)
				w := mustOpen(t, db, insert.Changes{Mode: mode.mode, Format: f})
				kafka := partition()
				random := rand.New(rand.NewPCG(seed, 3))
				var sent []records
				each(tell(events, format), seed, func(part records) { sent = append(sent, part) })
				inFlight := 4
				if mode.engine == collapsing {
					inFlight = 1 // it pairs rows in the order in which they come
				}
				for from := 0; from < len(sent); from += inFlight {
					writeAll(t, w, sent[from:min(from+inFlight, len(sent))], kafka, false)
					if random.IntN(3) == 0 { // a crash behind the insert: the same range again, in other hands
						writeAll(t, w, sent[random.IntN(from+1):][:1], kafka, true)
					}
				}
				require.Equal(t, left, final(t, db))
				if mode.mode == change.Replacing {
					// Blocks that ClickHouse does not recognise change nothing either, in whatever order they come.
					random.Shuffle(len(sent), func(a, b int) { sent[a], sent[b] = sent[b], sent[a] })
					for _, part := range sent {
						result, err := w.Write(t.Context(), part, nil)
						require.NoError(t, err)
						require.Empty(t, result.Rejected)
					}
					require.Equal(t, left, final(t, db))
				} else {
					require.Equal(t, strconv.Itoa(len(left)), servers.Servers[0].Query(t, "SELECT sum(sign) FROM "+db+".orders")[0][0])
				}
				for shard := range servers.Nodes {
					require.NotEqual(t, "0", local(t, db, shard, "count()"))
					servers.Nodes[shard][0].Exec(t, "OPTIMIZE TABLE "+db+".orders_local FINAL")
				}
				require.Equal(t, left, final(t, db))
			})
		}
	}
}

// writeAll writes ranges side by side.
func writeAll(t *testing.T, w *insert.Writer, parts []records, kafka *leases.Kafka, recovered bool) {
	t.Helper()
	var all errgroup.Group
	for _, part := range parts {
		all.Go(func() error {
			result, err := w.Write(t.Context(), part, lease(kafka, part, recovered))
			if err == nil && len(result.Rejected) > 0 {
				err = &insert.RejectedError{Records: result.Rejected}
			}
			return err
		})
	}
	require.NoError(t, all.Wait())
}

func write(t *testing.T, w *insert.Writer, part records, kafka *leases.Kafka, recovered bool) {
	t.Helper()
	result, err := w.Write(t.Context(), part, lease(kafka, part, recovered))
	require.NoError(t, err)
	require.Empty(t, result.Rejected)
}
