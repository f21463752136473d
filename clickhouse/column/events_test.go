package column

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// clickstream is the wide table of the benchmarks: 21 columns of the types such tables have.
var clickstream = []Field{
	{Column: "event_id", Type: "UUID"},
	{Column: "event_type", Type: "LowCardinality(String)"},
	{Column: "ts", Type: "DateTime64(3, 'UTC')"},
	{Column: "user_id", Type: "UInt64"},
	{Column: "session_id", Type: "String"},
	{Column: "sku", Type: "String"},
	{Column: "price", Type: "Decimal(12, 2)"},
	{Column: "quantity", Type: "UInt16"},
	{Column: "currency", Type: "LowCardinality(String)"},
	{Column: "country", Type: "LowCardinality(String)"},
	{Column: "city", Type: "LowCardinality(String)"},
	{Column: "channel", Type: "LowCardinality(String)"},
	{Column: "device", Type: "LowCardinality(String)"},
	{Column: "os", Type: "LowCardinality(String)"},
	{Column: "browser", Type: "LowCardinality(String)"},
	{Column: "referrer", Type: "String"},
	{Column: "url", Type: "String"},
	{Column: "is_new", Type: "Bool"},
	{Column: "duration_ms", Type: "UInt32"},
	{Column: "score", Type: "Float64"},
	{Column: "variant", Type: "Nullable(String)"},
}

// events are documents of 490 bytes and 21 members that differ in content, as a topic's do.
func events(n int) [][]byte {
	docs := make([][]byte, n)
	words := strings.Fields("product_view add_to_cart purchase search login Berlin Hamburg München Paris London Chrome Firefox Safari email organic mobile desktop")
	for i := range docs {
		r := rand.New(rand.NewPCG(uint64(i), 0))
		word := func() string { return words[r.IntN(len(words))] }
		docs[i] = fmt.Appendf(nil, `{"event_id":"018f3c1a-7b2e-7c41-9d55-%012x","event_type":"%s","ts":"2026-03-14T09:26:53.%03dZ","user_id":%d,`+
			`"session_id":"a81bc81b-dead-4e5d-abff-%012x","sku":"SKU-%06d","price":%.2f,"quantity":%d,"currency":"EUR","country":"DE","city":"%s",`+
			`"channel":"%s","device":"%s","os":"%s","browser":"%s","referrer":"https://example.com/%s","url":"/products/%d","is_new":%t,`+
			`"duration_ms":%d,"score":0.%d,"variant":"B"}`,
			r.Uint64()>>16, word(), r.IntN(1000), r.Uint32()>>r.IntN(16), r.Uint64()>>16, r.IntN(1e6), r.Float64()*1000, r.IntN(20),
			word(), word(), word(), word(), word(), word(), r.IntN(1e5), r.IntN(2) == 0, r.IntN(1e5), r.IntN(1e6))
	}
	return docs
}
