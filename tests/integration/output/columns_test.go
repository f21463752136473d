package output

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/clickhouse/insert"
)

// narrow gives columns types that hold less, under a writer that has not heard of it.
func narrow(t *testing.T, db string) {
	t.Helper()
	for _, table := range []string{"events_local", "events"} {
		servers.Exec(t, "ALTER TABLE "+db+"."+table+" MODIFY COLUMN n Int8, MODIFY COLUMN d Decimal(9, 2), MODIFY COLUMN at DateTime64(0, 'UTC')")
	}
}

const wideColumns = "id UInt64, n Int64, d Decimal(18, 4), at DateTime64(6, 'UTC'), topic LowCardinality(String), partition Int32, offset Int64"

// The server would wrap 300 around to 44, and cut 1.2345 to 1.23.
func TestATypeChangedWhileRunning(t *testing.T) {
	db := tablesOf(t, wideColumns, "id")
	w := open(t, db)
	write(t, w, documents{`{"id":1,"n":1,"d":1}`})
	narrow(t, db)
	result := write(t, w, documents{`{"id":2,"n":300}`, `{"id":3,"d":1.2345}`, `{"id":4,"n":7,"d":1.23,"at":"2024-01-01 00:00:00.5"}`})
	require.Equal(t, []int{0, 1}, indexes(result.Rejected))
	require.Equal(t, "Int8", result.Rejected[0].Type)
	require.Equal(t, [][]string{{"1", "1", "1"}, {"4", "7", "1.23"}}, servers.Servers[0].Query(t, "SELECT id, n, d FROM "+db+".events ORDER BY id"))
}

func TestATypeChangedUnderARange(t *testing.T) {
	db := tablesOf(t, wideColumns, "id")
	keep := func(o *insert.Options) { o.Columns = provenance }
	w := open(t, db, keep)
	kafka := partition()
	writeRange(t, w, rangeOf(0, 100), kafka.Lease(0, 100))
	narrow(t, db)
	l := kafka.Lease(100, 200)
	source := rangeOf(100, 200)
	source.documents[5] = `{"id":105,"n":300}`
	require.Equal(t, []int{5}, indexes(writeRange(t, w, source, l).Rejected))
	require.Equal(t, []int{5}, indexes(writeRange(t, open(t, db, keep), source, l.Recover()).Rejected))
	requireAll(t, db, 199)
}

// Members that no column takes are columns all the same: one that is skipped, one that takes another member, one that the server fills in.
func TestMembersCalledAsColumnsAddNone(t *testing.T) {
	db := tablesOf(t, `id UInt64, skipped String, renamed String, made String MATERIALIZED 'm', shown String ALIAS 'a'`, "id")
	var log bytes.Buffer
	w := open(t, db, evolving(100), func(o *insert.Options) {
		o.Columns = []insert.Column{{Name: "skipped", Skip: true}, {Name: "renamed", Source: column.Path("b")}}
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	write(t, w, documents{`{"id":1,"skipped":"x","renamed":"x","made":"x","shown":"x","b":"b"}`})
	require.NotContains(t, log.String(), "columns added")
	write(t, w, documents{`{"id":2,"skipped":"x","renamed":"x","made":"x","shown":"x","b":"b","new":"n"}`})
	require.Contains(t, log.String(), "columns added")
	require.Equal(t, [][]string{{"1", "", "b", "m", "a", ""}, {"2", "", "b", "m", "a", "n"}},
		servers.Servers[0].Query(t, "SELECT id, skipped, renamed, made, shown, ifNull(new, '') FROM "+db+".events ORDER BY id"))
}

// EPHEMERAL columns are taken from the document, so that DEFAULTs may be made of them; MATERIALIZED and ALIAS ones never are.
func TestColumnsOfEveryKind(t *testing.T) {
	db := tablesOf(t, `id UInt64, a String, made String MATERIALIZED concat('m', a), shown String ALIAS concat('s', a),
		raw String EPHEMERAL 'none', n UInt8 EPHEMERAL, upper String DEFAULT upper(raw), next UInt8 DEFAULT n + 1`, "id")
	docs := documents{
		`{"id":1,"a":"x"}`, `{"id":2,"a":"y","made":"given","shown":"given","raw":"q"}`, `{"id":3,"raw":null,"upper":"given"}`,
		`{"id":4,"upper":null,"n":7}`, `{"id":5,"n":7,"next":3}`,
	}
	require.Equal(t, 5, write(t, open(t, db), docs).Inserted)
	const rows = "SELECT id, a, made, shown, upper, next FROM %s.%s ORDER BY id"
	got := servers.Servers[0].Query(t, fmt.Sprintf(rows, db, "events"))
	require.Equal(t, [][]string{
		{"1", "x", "mx", "sx", "NONE", "1"}, {"2", "y", "my", "sy", "Q", "1"}, {"3", "", "m", "s", "given", "1"}, {"4", "", "m", "s", "NONE", "8"}, {"5", "", "m", "s", "NONE", "3"},
	}, got)
	servers.Servers[0].Exec(t, fmt.Sprintf("INSERT INTO %s.reference_local (id, a, raw, n, upper, next) SETTINGS async_insert = 0 FORMAT JSONEachRow %s", db, strings.Join(docs, "\n")))
	require.Equal(t, servers.Servers[0].Query(t, fmt.Sprintf(rows, db, "reference_local")), got)
}

// The server reads an object of arrays with input_format_import_nested_json, and an array of objects as well.
func TestNestedInEveryForm(t *testing.T) {
	db := tablesOf(t, "id UInt64, n Nested(a UInt8, b String)", "id")
	docs := documents{
		`{"id":1,"n":{"a":[1,2],"b":["x","y"]}}`, `{"id":2,"n.a":[1],"n.b":["q"]}`, `{"id":3,"n":[]}`, `{"id":4,"n":null}`, `{"id":5,"n":{"a":[],"b":[]}}`, `{"id":6}`,
		`{"id":7,"n":[{"a":1,"b":"x"},{"b":"y","a":2,"c":3}]}`, `{"id":8,"n":[{"a":1},{"b":"y"}]}`, `{"id":9,"n":{"a":[1,2]},"n.b":["q","r"]}`,
		`{"id":10,"n":{"a":[1,2],"b":["x"]}}`, `{"id":11,"n":{"a":[1]}}`, `{"id":12,"n":[{"a":1},null]}`, `{"id":13,"n":[{"a":300}]}`, `{"id":14,"n":[1]}`, `{"id":15,"n":{"a":1}}`,
	}
	result := write(t, open(t, db), docs)
	require.Equal(t, []int{9, 10, 11, 12, 13, 14}, indexes(result.Rejected))
	require.Equal(t, 190, result.Rejected[0].Code)
	require.Equal(t, "n.a", result.Rejected[2].Column)
	require.Equal(t, [][]string{
		{"1", "[1,2]", "['x','y']"},
		{"2", "[1]", "['q']"},
		{"3", "[]", "[]"},
		{"4", "[]", "[]"},
		{"5", "[]", "[]"},
		{"6", "[]", "[]"},
		{"7", "[1,2]", "['x','y']"},
		{"8", "[1,0]", "['','y']"},
		{"9", "[1,2]", "['q','r']"},
	}, servers.Servers[0].Query(t, "SELECT id, n.a, n.b FROM "+db+".events ORDER BY id"))
}

// The text of a JSON column is taken apart by the server; what it does not take there holds up no other row.
func TestJSONThatTheServerRefuses(t *testing.T) {
	deep := func(opening, closing string) string {
		return strings.Repeat(opening, 900) + "1" + strings.Repeat(closing, 900)
	}
	bad := []string{
		`1`, `[]`, `"{}"`, `{"a":1,"a":2}`, `{"a":1e400}`, `{"a":"\ud83d"}`, "{\"a\":\"\xff\"}", `{"a":18446744073709551616}`, `{"t":"x"}`, `{"b":1,"a":` + deep("[", "]") + `}`,
	}
	good := []string{`{}`, `null`, `{"b":1}`, `{"t":"7","b":1}`, `{"b":1,"a":` + deep(`{"d":`, "}") + `}`}
	db := tablesOf(t, "id UInt64, j JSON(max_dynamic_paths = 1, t UInt8)", "id")
	var docs documents
	var want []int
	for i, j := range append(bad, good...) {
		docs = append(docs, fmt.Sprintf(`{"id":%d,"j":%s}`, i, j))
		if i < len(bad) {
			want = append(want, i)
		}
	}
	result := write(t, open(t, db), docs)
	require.Equal(t, want, indexes(result.Rejected))
	require.Equal(t, len(good), result.Inserted)
	requireAll(t, db, len(good))
}

// Only the row that a mapping fails on is a dead letter. A path that leads nowhere is a missing member.
func TestStreamMappingsAndPathsThatLeadNowhere(t *testing.T) {
	db := tablesOf(t, "id UInt64, n Int64, x String DEFAULT 'none', y Nullable(UInt8)", "id")
	path := filepath.Join(t.TempDir(), "letters")
	s := pipeline(t, common(db)+fmt.Sprintf(`
  columns:
    - { name: n, mapping: 'root = this.text.number() * 2' }
    - { name: x, from: 'list[2].x' }
    - { name: y, from: 'deep.y[0]' }
  dead_letter:
    file: { path: %q, codec: lines }
    processors:
      - mapping: 'root = {"body": content().string(), "error": @clickhouse_native_error}'
`, path))
	require.NoError(t, s.sendAll(t.Context(), batch([]string{
		`{"id":1,"text":"4","list":[0,1,{"x":"third"}],"deep":{"y":[7]}}`,
		`{"id":2,"text":"four"}`,
		`{"id":3,"text":"5","list":[0,1],"deep":{"y":[]}}`,
		`{"id":4,"text":"6","list":{"2":{"x":"no"}},"deep":[7]}`,
		`{"id":5,"text":"7","list":null,"deep":null}`,
		`{"id":6,"text":"8","list":[0,1,2],"deep":{"y":[null]}}`,
		`{"id":7}`,
	})))
	require.Equal(t, [][]string{{"1", "8", "third", "7"}, {"3", "10", "none", "-"}, {"4", "12", "none", "-"}, {"5", "14", "none", "-"}, {"6", "16", "none", "-"}},
		servers.Servers[0].Query(t, "SELECT id, n, x, ifNull(toString(y), '-') FROM "+db+".events ORDER BY id"))
	letters, err := os.ReadFile(path)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(letters)), "\n")
	require.Len(t, lines, 2)
	require.Contains(t, lines[0], `four`)
	require.Contains(t, lines[0], `mapping of column \"n\"`)
	require.Contains(t, lines[1], `{\"id\":7}`)
}

// A server that is told to keep LowCardinality out of the native format announces, and takes, what is within.
func TestLowCardinalityIsNotAnnounced(t *testing.T) {
	db := tablesOf(t, "id UInt64, s LowCardinality(String), n LowCardinality(Nullable(String))", "id")
	w := open(t, db, func(o *insert.Options) { o.Settings = map[string]string{"low_cardinality_allow_in_native_format": "0"} })
	write(t, w, documents{`{"id":1,"s":"a","n":null}`, `{"id":2,"s":"b","n":"c"}`})
	require.Equal(t, [][]string{{"1", "a", ""}, {"2", "b", "c"}}, servers.Servers[0].Query(t, "SELECT id, s, ifNull(n, '') FROM "+db+".events ORDER BY id"))
}
