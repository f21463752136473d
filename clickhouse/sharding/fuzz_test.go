package sharding

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
)

// FuzzEval binds whatever parses to types picked by the input, and evaluates what binds: no input panics, and the same
// row has the same value twice.
func FuzzEval(f *testing.F) {
	for _, seed := range []string{"user_id % 4", "cityHash64(a, (b, 'x'), -5)", "toUInt64(lower(a)) % b", "sipHash64(sipHash128(a), toString(b))", "toYYYYMM(toDate(a), 'UTC') - abs(-b)"} {
		f.Add(seed, uint64(1), uint64(2))
	}
	f.Fuzz(func(t *testing.T, expr string, pick, seed uint64) {
		e, err := Parse(expr)
		if err != nil {
			return
		}
		var types []*column.Type
		for range e.Columns() {
			name := KeyTypes()[pick%uint64(len(KeyTypes()))]
			if pick = mix64(pick + 1); pick%3 == 0 {
				name = "Nullable(" + name + ")"
			}
			types = append(types, mustType(t, name))
		}
		fn, err := e.Bind(types, ServerZone("UTC"))
		if err != nil {
			var unsupported *UnsupportedError
			require.ErrorAs(t, err, &unsupported)
			return
		}
		rows, err := Samples(types, 10, seed)
		require.NoError(t, err)
		for i, vals := range rows {
			rec := Record{Topic: "t", Offset: int64(i)}
			first, err := fn.Eval(vals, rec)
			again, errAgain := fn.Eval(vals, rec)
			require.Equal(t, first, again)
			require.Equal(t, err, errAgain)
		}
	})
}
