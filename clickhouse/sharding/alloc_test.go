//go:build !race

// Under the race detector a sync.Pool forgets at random, so that what it saves cannot be counted.

package sharding

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
)

func TestEvalDoesNotAllocate(t *testing.T) {
	for _, tc := range []struct{ expr, typ string }{
		{"x", "UInt64"},
		{"cityHash64(x)", "UInt64"},
		{"cityHash64(x, (x, 'a'), 7)", "String"},
		{"sipHash64(sipHash128(x, x))", "String"},
		{"halfMD5(x, x)", "UUID"},
		{"murmurHash3_64(lower(x))", "String"},
		{"murmurHash2_64(toString(x))", "DateTime64(3, 'Asia/Kolkata')"},
		{"xxHash32(toString(x))", "UUID"},
		{"xxHash64(toString(x))", "IPv4"},
		{"farmHash64(toDate(x))", "DateTime('America/New_York')"},
		{"toYYYYMM(x)", "DateTime('America/New_York')"},
		{"toUInt64(x) % 7", "String"},
		{"(x + 1) * x % 7", "Int32"},
		{"cityHash64(tuple(x))", "Nullable(Int64)"},
		{"rand()", ""},
	} {
		t.Run(tc.expr+" of "+tc.typ, func(t *testing.T) {
			var typ *column.Type
			if tc.typ != "" {
				typ = mustType(t, tc.typ)
			}
			f := bindAll(t, tc.expr, typ)
			vals, rec := []column.Value{{U: 1577836800, B: []byte("1234567890123456")}}, Record{Topic: "clicks", Offset: 7}
			allocs := testing.AllocsPerRun(1000, func() {
				if _, err := f.Eval(vals, rec); err != nil {
					t.Fatal(err)
				}
			})
			require.Zero(t, allocs)
		})
	}
}
