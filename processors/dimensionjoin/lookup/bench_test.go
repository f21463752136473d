package lookup

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// clickstream is a batch of events of 21 fields and about 490 bytes: skewed products, few places and channels.
func clickstream(n, products int) []Event {
	random := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(random, 1.1, 8, uint64(products-1))
	out := make([]Event, n)
	for i := range out {
		out[i].Doc = fmt.Appendf(nil, `{"event_id":"%08x-0000-4000-8000-%012x","ts":"2026-11-20T09:%02d:%02d.%03dZ","user_id":%d,"session_id":"s-%08x",`+
			`"event":"page_view","url":"https://shop.example/p/%d?ref=home","referrer":"https://search.example/","sku":"SKU-%06d","price":%d.99,"quantity":%d,`+
			`"geo_id":%d,"channel_code":"ch-%02d","device":"mobile","os":"android","browser":"chrome","lang":"en","width":1080,"height":2400,`+
			`"tags":["a","b","c"],"props":{"experiment":"blue","variant":"%d"},"bounce":false}`,
			random.Uint32(), random.Uint64N(1<<48), i%60, i%60, i%1000, random.IntN(1_000_000), random.Uint32(), i, zipf.Uint64(), random.IntN(500), random.IntN(5),
			random.IntN(250), random.IntN(12), i%2)
	}
	return out
}

func benchJoiner(b *testing.B, products int) *Joiner {
	b.Helper()
	j, sources := newJoiner(b, Config{Dimensions: []Dimension{
		dim("product", "sku", "name", "category", "brand"),
		dim("geo", "geo_id", "country", "city"),
		dim("channel", "channel_code", "name", "medium"),
	}}, lazily, map[string]string{"geo": "UNSIGNED INT"})
	for i := range products {
		sources["product"].put(fmt.Sprintf("SKU-%06d", i), quoted(i), `"category"`, `"a brand"`)
	}
	for i := range 250 {
		sources["geo"].put(strconv.Itoa(i), `"de"`, quoted(i))
	}
	for i := range 12 {
		sources["channel"].put(fmt.Sprintf("ch-%02d", i), quoted(i), `"paid"`)
	}
	return j
}

// BenchmarkJoin is the cached join of three dimensions on raw events; ns/op is per event.
func BenchmarkJoin(b *testing.B) {
	for _, size := range []int{20, 1000, 10_000} {
		for _, products := range []int{1000, 100_000} {
			b.Run(fmt.Sprintf("batch=%d/products=%d", size, products), func(b *testing.B) {
				j := benchJoiner(b, products)
				// Several batches, so that the documents do not stay in the CPU's cache.
				var batches [][]Event
				for range max(1, 40_000/size) {
					batches = append(batches, clickstream(size, products))
				}
				for _, batch := range batches {
					_, err := j.Join(b.Context(), batch)
					require.NoError(b, err)
				}
				b.SetBytes(int64(len(batches[0][0].Doc)))
				b.ReportAllocs()
				b.ResetTimer()
				before := cpuTime(b)
				for i := 0; i < b.N; i += size {
					if _, err := j.Join(b.Context(), batches[(i/size)%len(batches)]); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// cpuTime is what the process has used: on a shared machine it says more than the time that passed.
func cpuTime(b *testing.B) int64 {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return u.Utime.Nano() + u.Stime.Nano()
}

// BenchmarkFloor is what no join can do without: one scan of the event for its fields, and one copy of its bytes.
func BenchmarkFloor(b *testing.B) {
	j := benchJoiner(b, 1000)
	p, err := j.plan(b.Context())
	require.NoError(b, err)
	w := newWorker(p)
	var batches [][]Event
	for range 40 {
		batches = append(batches, clickstream(1000, 1000))
	}
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime(b)
	for i := 0; i < b.N; i += 1000 {
		batch := batches[(i/1000)%len(batches)]
		arena := make([]byte, 0, 650*len(batch))
		for n := range batch {
			if err := w.scanner.Scan(batch[n].Doc, w.spans); err != nil {
				b.Fatal(err)
			}
			arena = append(arena, batch[n].Doc...)
		}
		runtime.KeepAlive(arena)
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
}
