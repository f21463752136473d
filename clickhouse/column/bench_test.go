//go:build linux

package column

import (
	"runtime"
	"syscall"
	"testing"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/go-faster/jx"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// rowsPerBlock is how many rows the benchmarks put into a block before they empty it.
const rowsPerBlock = 50_000

// eachEvent runs the body on one event after the other and reports their size.
func eachEvent(b *testing.B, body func(doc []byte) error) {
	b.Helper()
	docs := events(64)
	total := 0
	for _, doc := range docs {
		total += len(doc)
	}
	b.SetBytes(int64(total / len(docs)))
	b.ReportAllocs()
	i := 0
	defer reportCPU(b)()
	for b.Loop() {
		if err := body(docs[i]); err != nil {
			b.Fatal(err)
		}
		if i++; i == len(docs) {
			i = 0
		}
	}
}

// reportCPU adds the processor time of the benchmark's thread, which says more than the clock where machines are shared.
func reportCPU(b *testing.B) func() {
	b.Helper()
	runtime.LockOSThread()
	used := func() int64 {
		var r syscall.Rusage
		_ = syscall.Getrusage(rusageThread, &r)
		return r.Utime.Nano() + r.Stime.Nano()
	}
	before := used()
	return func() {
		b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op")
		runtime.UnlockOSThread()
	}
}

const rusageThread = 1 // RUSAGE_THREAD, which package syscall lacks

// BenchmarkRow is the way of a row: scanned, scanned and decoded; compare with skip, which is what jx takes to pass over it.
func BenchmarkRow(b *testing.B) {
	plan, err := NewPlan(clickstream, Options{})
	require.NoError(b, err)
	b.Run("skip", func(b *testing.B) {
		var d jx.Decoder
		eachEvent(b, func(doc []byte) error {
			d.ResetBytes(doc)
			return d.Skip()
		})
	})
	b.Run("scan", func(b *testing.B) {
		r := plan.NewReader()
		eachEvent(b, r.ReadJSON)
	})
	b.Run("decode", func(b *testing.B) {
		r, block := plan.NewReader(), plan.NewBlock(0)
		eachEvent(b, func(doc []byte) error {
			if err := r.ReadJSON(doc); err != nil {
				return err
			}
			if block.Rows() == rowsPerBlock {
				block.Reset()
			}
			return block.Append(r)
		})
	})
}

// BenchmarkColumn appends one value over and over.
func BenchmarkColumn(b *testing.B) {
	for _, c := range []struct{ typ, json string }{
		{"UInt64", "184467440"},
		{"Int32", "-42"},
		{"UInt8", "7"},
		{"Int128", "12345678901234567890"},
		{"Float64", "129.95"},
		{"Float32", "129.95"},
		{"Decimal(12, 2)", "129.95"},
		{"Decimal(38, 4)", "129.95"},
		{"Bool", "true"},
		{"String", `"https://example.com/products"`},
		{"FixedString(8)", `"abcdefgh"`},
		{"UUID", `"018f3c1a-7b2e-7c41-9d55-0a1b2c3d4e5f"`},
		{"IPv4", `"192.168.17.4"`},
		{"IPv6", `"2001:db8::ff00:42:8329"`},
		{"Date", `"2026-03-14"`},
		{"DateTime", `"2026-03-14 09:26:53"`},
		{"DateTime64(3, 'UTC')", `"2026-03-14T09:26:53.589Z"`},
		{"DateTime64(3, 'Europe/Berlin')", `"2026-03-14T09:26:53.589"`},
		{"DateTime64(3)", "1773480413589"},
		{"Enum8('a' = 1, 'b' = 2)", `"b"`},
		{"LowCardinality(String)", `"product_view"`},
		{"LowCardinality(Nullable(String))", `"product_view"`},
		{"Nullable(UInt32)", "5321"},
		{"Array(String)", `["sale","new"]`},
		{"Array(LowCardinality(String))", `["sale","new"]`},
		{"Map(LowCardinality(String), String)", `{"ab":"B"}`},
		{"Tuple(a Int32, b String)", `{"a":1,"b":"x"}`},
	} {
		b.Run(c.typ, func(b *testing.B) {
			typ, err := ParseType(c.typ)
			require.NoError(b, err)
			codec, err := compile(typ, &environment{})
			require.NoError(b, err)
			src := []byte(c.json)
			s, err := jsonscan.Value(src)
			require.NoError(b, err)
			col := codec.column()
			var x scratch
			b.ReportAllocs()
			defer reportCPU(b)()
			for b.Loop() {
				if col.Rows() == rowsPerBlock {
					col.truncate(0)
				}
				if err := col.append(src, s, &x); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkEncode writes a block of 50,000 rows as ch-go does without compression; the time is per row.
func BenchmarkEncode(b *testing.B) {
	plan, err := NewPlan(clickstream, Options{})
	require.NoError(b, err)
	r, block := plan.NewReader(), plan.NewBlock(0)
	docs := events(64)
	for i := range rowsPerBlock {
		require.NoError(b, r.ReadJSON(docs[i%len(docs)]))
		require.NoError(b, block.Append(r))
	}
	var buf proto.Buffer
	encode := proto.Block{Columns: len(block.Input()), Rows: block.Rows()}
	n := 0
	defer reportCPU(b)()
	for b.Loop() {
		if n%rowsPerBlock == 0 {
			buf.Reset()
			require.NoError(b, encode.EncodeBlock(&buf, 54460, block.Input()))
		}
		n++
	}
	b.SetBytes(int64(len(buf.Buf) / rowsPerBlock))
}
