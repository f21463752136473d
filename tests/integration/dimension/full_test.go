package dimension

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/source"
)

// A full dimension is read before the first event, and asks for nothing that it has.
func TestFull(t *testing.T) {
	server.Exec(t, `
		CREATE OR REPLACE TABLE full_t (k INT PRIMARY KEY, v VARCHAR(20), changed TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6));
		INSERT INTO full_t (k, v) SELECT seq, CONCAT('v', seq) FROM seq_1_to_5000`)
	db := server.DB(t)
	const yaml = `
dsn: "$DSN"
dimensions: [ { name: f, table: full_t, key: { k: this.k }, columns: [ v ], load: full, refresh: %s } ]
cache: { ttl: 1h, missing_ttl: 1h, refresh_after: 0s }
`
	t.Run("read once", func(t *testing.T) {
		p := join(t, fmt.Sprintf(yaml, "{ interval: 1h }"))
		run(t, p, `{"k":1}`)
		before := rowsRead(t, db, "full_t")
		docs, want := make([]string, 5000), make([]string, 5000)
		for i := range docs {
			docs[i] = fmt.Sprintf(`{"k":%d}`, i+1)
			want[i] = fmt.Sprintf(`{"k":%d,"v":"v%d"}`, i+1, i+1)
		}
		require.Equal(t, want, run(t, p, docs...))
		require.Equal(t, before, rowsRead(t, db, "full_t"))
	})
	change := func(t *testing.T, p service.BatchProcessor) {
		t.Helper()
		n := time.Now().UnixNano()
		run(t, p, `{"k":7}`, `{"k":-7}`)
		server.Exec(t, fmt.Sprintf(`UPDATE full_t SET v = '%d' WHERE k = 7; REPLACE INTO full_t (k, v) VALUES (-7, '%d')`, n%1e12, n%1e12))
		eventually(t, p, `{"k":7}`, fmt.Sprintf(`{"k":7,"v":"%d"}`, n%1e12))
		eventually(t, p, `{"k":-7}`, fmt.Sprintf(`{"k":-7,"v":"%d"}`, n%1e12))
	}
	t.Run("followed by a period", func(t *testing.T) { change(t, join(t, fmt.Sprintf(yaml, "{ interval: 50ms }"))) })
	t.Run("followed by a column", func(t *testing.T) {
		p := join(t, fmt.Sprintf(yaml, "{ interval: 1h, updated_at: changed, poll_interval: 50ms }"))
		run(t, p, `{"k":1}`)
		time.Sleep(200 * time.Millisecond) // until the first poll has noted where to begin
		change(t, p)
	})
}

// A cache that is too small for a dimension keeps within its bound and stays right.
func TestMemoryStaysWithinItsBound(t *testing.T) {
	server.Exec(t, `CREATE OR REPLACE TABLE big (k INT PRIMARY KEY, v VARCHAR(200)); INSERT INTO big SELECT seq, CONCAT(seq, REPEAT('x', 100)) FROM seq_1_to_30000`)
	for _, load := range []string{"lazy", "full"} {
		for _, bound := range []string{"max_rows: 2000", "max_rows: 0, max_bytes: 1000000", "max_rows: 1000, max_bytes: 100000000"} {
			t.Run(load+" "+bound, func(t *testing.T) {
				recorder := newRecorder()
				p := joinRecorded(t, recorder, fmt.Sprintf(`
dsn: "$DSN"
dimensions: [ { name: big, table: big, key: { k: this.k }, load: %s } ]
cache: { %s }
`, load, bound))
				for start := 0; start < 30_000; start += 3000 {
					docs := make([]string, 3000)
					for i := range docs {
						docs[i] = fmt.Sprintf(`{"k":%d}`, start+i+1)
					}
					for i, got := range run(t, p, docs...) {
						require.Contains(t, got, fmt.Sprintf(`"v":"%dxxx`, start+i+1))
					}
				}
				require.Eventually(t, func() bool {
					run(t, p, `{"k":1}`)
					entries, bytes := recorder.gauge("dimension_join_entries"), recorder.gauge("dimension_join_bytes")
					return entries > 0 && entries <= 2500 && bytes > 0 && bytes <= 1_250_000
				}, 20*time.Second, 20*time.Millisecond, "%d entries, %d bytes", recorder.gauge("dimension_join_entries"), recorder.gauge("dimension_join_bytes"))
			})
		}
	}
}

// What follows a column notices rows with the same value as the last, and neither a value that goes back nor a row that is deleted: those go
// with the next reading of the whole table.
func TestFullFollowedByAColumn(t *testing.T) {
	for typ, values := range map[string][3]string{
		"BIGINT NOT NULL":          {"100", "101", "90"},
		"DATETIME(3) NULL":         {"UTC_TIMESTAMP(3)", "UTC_TIMESTAMP(3)", "UTC_TIMESTAMP(3) - INTERVAL 1 DAY"},
		"TIMESTAMP NULL":           {"'2037-01-01 00:00:00'", "'2037-01-01 00:00:00'", "'2001-01-01'"}, // a clock that is ahead
		"DATETIME NULL":            {"UTC_TIMESTAMP()", "UTC_TIMESTAMP()", "'2001-01-01'"},
		"BIGINT UNSIGNED NOT NULL": {"18446744073709551614", "18446744073709551615", "0"},
	} {
		t.Run(typ, func(t *testing.T) {
			server.Exec(t, fmt.Sprintf(`
				CREATE OR REPLACE TABLE full_c (k INT PRIMARY KEY, v INT, changed %s);
				INSERT INTO full_c VALUES (1, 1, %s), (2, 2, %[2]s), (3, 3, %[2]s)`, typ, values[0]))
			p := join(t, `
dsn: "$DSN"
dimensions: [ { name: f, table: full_c, key: { k: this.k }, columns: [ v ], load: full, refresh: { interval: 500ms, updated_at: changed, poll_interval: 20ms } } ]
cache: { ttl: 1h, missing_ttl: 1h, refresh_after: 0s }
`)
			run(t, p, `{"k":1}`)
			server.Exec(t, fmt.Sprintf(`UPDATE full_c SET v = 10, changed = %s WHERE k = 1`, values[1]))
			eventually(t, p, `{"k":1}`, `{"k":1,"v":10}`)
			server.Exec(t, fmt.Sprintf(`UPDATE full_c SET v = 20, changed = %s WHERE k = 2; INSERT INTO full_c VALUES (4, 40, %[1]s)`, values[1]))
			eventually(t, p, `{"k":2}`, `{"k":2,"v":20}`)
			eventually(t, p, `{"k":4}`, `{"k":4,"v":40}`)
			server.Exec(t, fmt.Sprintf(`UPDATE full_c SET v = 30, changed = %s WHERE k = 3`, values[2]))
			eventually(t, p, `{"k":3}`, `{"k":3,"v":30}`)
			server.Exec(t, `DELETE FROM full_c WHERE k = 1`)
			eventually(t, p, `{"k":1}`, `{"k":1,"v":null}`)
		})
	}
}

// A row that is larger than the whole cache is joined, and not kept.
func TestRowsLargerThanTheCache(t *testing.T) {
	server.Exec(t, `CREATE OR REPLACE TABLE huge (k INT PRIMARY KEY, v MEDIUMTEXT CHARACTER SET ascii); INSERT INTO huge VALUES (1, REPEAT('x', 3000000)), (2, 'small')`)
	for _, load := range []string{"lazy", "full"} {
		recorder := newRecorder()
		p := joinRecorded(t, recorder, fmt.Sprintf(`
dsn: "$DSN"
dimensions: [ { name: huge, table: huge, key: { k: this.k }, load: %s } ]
cache: { max_rows: 0, max_bytes: 100000 }
`, load))
		for range 3 {
			out := run(t, p, `{"k":1}`, `{"k":2}`)
			require.Len(t, out[0], len(`{"k":1,"v":""}`)+3_000_000)
			require.Equal(t, `{"k":2,"v":"small"}`, out[1])
		}
		require.Eventually(t, func() bool {
			bytes := recorder.gauge("dimension_join_bytes")
			return bytes > 0 && bytes <= 100_000
		}, 20*time.Second, 20*time.Millisecond, "%d bytes", recorder.gauge("dimension_join_bytes"))
	}
}

// Rows of one key that is no text are handed on with the next key: a table of versions is not held in memory while it is read.
func TestVersionsAreStreamed(t *testing.T) {
	const rows, size = 20_000, 4000
	server.Exec(t, fmt.Sprintf(`CREATE OR REPLACE TABLE full_v (k INT, f INT, v VARCHAR(4000) CHARACTER SET ascii, KEY (k)); INSERT INTO full_v SELECT seq DIV 2, seq, REPEAT('x', %d) FROM seq_1_to_%d`, size, rows))
	db := server.DB(t)
	s, err := source.New(db, source.Config{Name: "versions", Table: "full_v", Keys: []string{"k"}, AsOf: &source.AsOf{From: "f", Unit: time.Second}}, nil)
	require.NoError(t, err)
	schema, err := s.Schema(t.Context())
	require.NoError(t, err)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, keys, versions := heap(), 0, 0
	require.NoError(t, s.Scan(t.Context(), schema, func(_ string, r *source.Result) error {
		if keys++; keys%2000 == 1 {
			require.Less(t, heap(), before+rows*size/4)
		}
		versions += len(r.Versions)
		return nil
	}))
	require.Equal(t, rows/2+1, keys)
	require.Equal(t, rows, versions)
}
