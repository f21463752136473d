package dimension

import (
	"fmt"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"
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
