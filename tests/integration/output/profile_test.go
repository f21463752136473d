package output

import (
	"fmt"
	"testing"

	ch "github.com/ClickHouse/ch-go"
	"github.com/stretchr/testify/require"
)

// What a user's profile may have that makes a server end a query early, and say nothing.
var earlyEnds = map[string][]ch.Setting{
	"result": {{Key: "max_result_rows", Value: "10"}, {Key: "result_overflow_mode", Value: "break"}, {Key: "max_block_size", Value: "10"}},
	"read":   {{Key: "max_rows_to_read", Value: "10"}, {Key: "read_overflow_mode", Value: "break"}, {Key: "max_block_size", Value: "10"}},
}

// An INSERT that is ended so is acknowledged without its rows.
func TestAnInsertIsNotEndedEarly(t *testing.T) {
	db := tablesOf(t, "id UInt64, slow UInt8 DEFAULT sleep(1)", "id")
	cfg := settings(db, "events")
	cfg.Settings = []ch.Setting{{Key: "max_execution_time", Value: "0.2"}, {Key: "timeout_overflow_mode", Value: "break"}}
	_, err := openOn(t, cfg).Write(t.Context(), documents{`{"id":1}`, `{"id":2}`, `{"id":3}`}, nil)
	require.ErrorContains(t, err, "TIMEOUT_EXCEEDED")
	requireAll(t, db, 0)
}

// Rows that a look-up does not see are sent again.
func TestALookUpSeesEveryRow(t *testing.T) {
	for name, profile := range earlyEnds {
		t.Run(name, func(t *testing.T) {
			db := tables(t)
			l := partition().Lease(0, 1000)
			writeRange(t, open(t, db, withProvenance), rangeOf(0, 1000), l)
			changed := rangeOf(0, 1000)
			for i := range changed.documents {
				changed.documents[i] = fmt.Sprintf(`{"id":%d,"user_id":%d}`, i, i*31)
			}
			cfg := settings(db, "events")
			w := openOn(t, cfg, withProvenance)
			cfg.Settings = profile
			_, err := openOn(t, cfg, withProvenance).Write(t.Context(), changed, l.Recover())
			if err != nil {
				require.ErrorContains(t, err, "looking on")
				writeRange(t, w, changed, l.Recover())
			}
			requireAll(t, db, 1000)
		})
	}
}
