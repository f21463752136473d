package output

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// insertThroughDistributed puts the documents into the reference table the way ClickHouse does it.
func insertThroughDistributed(t *testing.T, db string, docs documents) {
	t.Helper()
	servers.Servers[0].Exec(t, fmt.Sprintf(
		"INSERT INTO %s.reference SETTINGS distributed_foreground_insert = 1, input_format_skip_unknown_fields = 1, date_time_input_format = 'best_effort', async_insert = 0 FORMAT JSONEachRow %s",
		db, strings.Join(docs, "\n")))
}

func TestRowsLandWhereTheDistributedTablePutsThem(t *testing.T) {
	for _, key := range []string{"cityHash64(user_id)", "user_id", "sipHash64(name)", "intHash64(user_id) + id"} {
		t.Run(key, func(t *testing.T) {
			db := tablesOf(t, columns, key)
			docs := events(0, 3000)
			insertThroughDistributed(t, db, docs)
			w := open(t, db)
			result := write(t, w, docs)
			require.Equal(t, 3000, result.Inserted)
			require.Empty(t, result.Rejected)

			require.Equal(t, ids(t, db, "reference_local"), ids(t, db, "events_local"))
			for _, n := range servers.Servers {
				const sum = "SELECT count(), sum(cityHash64(*)) FROM %s.%s"
				require.Equal(t,
					n.Query(t, fmt.Sprintf(sum, db, "reference_local")),
					n.Query(t, fmt.Sprintf(sum, db, "events_local")), "the values differ")
			}
		})
	}
}
