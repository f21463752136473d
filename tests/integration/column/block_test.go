package column

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
)

// wideTable has each kind of encoding, and dictionaries that outgrow one and two bytes.
const wideTable = `(i UInt64, l LowCardinality(String), n LowCardinality(Nullable(FixedString(6))), s Nullable(String), d DateTime64(3, 'Europe/Berlin'),
	a Array(LowCardinality(Nullable(String))), m Map(LowCardinality(String), Array(Nullable(Float64))), t Tuple(x Decimal(20, 5), y Array(UUID)),
	e Enum8('off' = 0, 'on' = 1), p Polygon, ip IPv6, f Bool, b Array(Array(Int128))) ENGINE = MergeTree ORDER BY i`

func wideEvent(r *rand.Rand, i int) string {
	list := func(n int, item func() string) string {
		items := make([]string, r.IntN(n))
		for j := range items {
			items[j] = item()
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	maybe := func(text string) string {
		if r.IntN(4) == 0 {
			return "null"
		}
		return text
	}
	number := func() string { return maybe(fmt.Sprintf("%g", r.NormFloat64())) }
	uuid := func() string {
		return fmt.Sprintf(`"%08x-%04x-%04x-%04x-%012x"`, r.Uint32(), r.IntN(1<<16), r.IntN(1<<16), r.IntN(1<<16), r.Uint64()>>16)
	}
	word := func() string { return maybe(fmt.Sprintf(`"w%d"`, r.IntN(300))) }
	return fmt.Sprintf(`{"i":%d,"l":"value %d","n":%s,"s":%s,"d":"2024-%02d-%02d %02d:%02d:%02d.%03d","a":%s,"m":{"k%d":%s},"t":{"x":%d.%05d,"y":%s},"e":"%s","p":[[[%d,1],[2,3.5]]],"ip":"2001:db8::%x","f":%t,"b":[%s,[]]}`,
		i, i, maybe(fmt.Sprintf(`"%06d"`, r.IntN(1000))), maybe(fmt.Sprintf(`"text\n%d"`, i)),
		1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(1000), list(4, word), r.IntN(500), list(3, number),
		r.IntN(1e9), r.IntN(1e5), list(3, uuid), []string{"on", "off"}[r.IntN(2)], r.IntN(100), r.IntN(1<<16), r.IntN(2) == 0, list(3, func() string { return fmt.Sprint(r.Int64()) }))
}

// TestBlocks sends large blocks of every encoding, compressed and not, and again after a reset, and compares what arrived with what
// the server reads from the same events itself.
func TestBlocks(t *testing.T) {
	const rows = 70_000 // all with another value of l: more than two bytes can number
	for _, table := range []string{"blocks", "blocks_reference"} {
		mustPost(t, creating, "DROP TABLE IF EXISTS "+table)
		mustPost(t, creating, "CREATE TABLE "+table+" "+wideTable)
	}
	plan := planOf(t, "blocks")
	r, b := plan.NewReader(), plan.NewBlock(0)
	random := rand.New(rand.NewPCG(7, 7))
	next := 0
	for compression, n := range map[ch.Compression]int{ch.CompressionDisabled: rows, ch.CompressionLZ4: rows / 10, ch.CompressionZSTD: rows / 10} {
		client, err := ch.Dial(t.Context(), ch.Options{Address: node.Addr(), Compression: compression})
		require.NoError(t, err)
		b.Reset()
		var docs strings.Builder
		for range n {
			doc := wideEvent(random, next)
			next++
			docs.WriteString(doc + "\n")
			require.NoError(t, r.ReadJSON([]byte(doc)))
			require.NoError(t, b.Append(r))
		}
		insert(t, client, "blocks", b)
		require.NoError(t, client.Close())
		_, err = post(t.Context(), nil, "INSERT INTO blocks_reference SETTINGS async_insert = 0 FORMAT JSONEachRow", docs.String())
		require.NoError(t, err)
	}
	check := "SELECT count(), uniqExact(l), sum(sipHash64(toString(tuple(*)))) FROM "
	want := mustPost(t, nil, check+"blocks_reference")
	require.True(t, strings.HasPrefix(want, fmt.Sprint(next)), want)
	require.Equal(t, want, mustPost(t, nil, check+"blocks"))
}

// TestOmitted leaves columns to the server whose defaults depend on others.
func TestOmitted(t *testing.T) {
	mustPost(t, creating, "DROP TABLE IF EXISTS omitted")
	mustPost(t, creating, "CREATE TABLE omitted (id UInt32, name String DEFAULT concat('n', toString(id)), kind LowCardinality(String) DEFAULT 'none', at Nullable(UInt8) DEFAULT id + 1) ENGINE = MergeTree ORDER BY id")
	plan, err := column.NewPlan([]column.Field{
		{Column: "id", Type: "UInt32"},
		{Column: "name", Type: "String", Default: column.Default{Kind: column.Server}},
		{Column: "kind", Type: "LowCardinality(String)", Default: column.Default{Kind: column.Constant, JSON: []byte(`"none"`)}},
		{Column: "at", Type: "Nullable(UInt8)", Default: column.Default{Kind: column.Server}},
	}, options(t))
	require.NoError(t, err)
	r, blocks := plan.NewReader(), map[uint64]*column.Block{}
	for _, doc := range []string{`{"id":1}`, `{"id":2,"name":"x"}`, `{"id":3,"at":null}`, `{"id":4,"name":null,"kind":"k","at":9}`, `{"id":5}`} {
		require.NoError(t, r.ReadJSON([]byte(doc)))
		if blocks[r.Omitted()] == nil {
			blocks[r.Omitted()] = plan.NewBlock(r.Omitted())
		}
		require.NoError(t, blocks[r.Omitted()].Append(r))
	}
	require.Len(t, blocks, 3)
	for _, b := range blocks {
		insert(t, node.Client(t), "omitted", b)
	}
	require.Equal(t, "1\tn1\tnone\t2\n2\tx\tnone\t3\n3\tn3\tnone\t\\N\n4\tn4\tk\t9\n5\tn5\tnone\t6\n", mustPost(t, nil, "SELECT * FROM omitted ORDER BY id FORMAT TSV"))
}

// TestNullableTuple is behind a setting of the server.
func TestNullableTuple(t *testing.T) {
	settings := map[string][]string{"enable_nullable_tuple_type": {"1"}}
	mustPost(t, settings, "DROP TABLE IF EXISTS nullable_tuple")
	mustPost(t, settings, "CREATE TABLE nullable_tuple (i UInt8, v Nullable(Tuple(a Int32, b Array(String)))) ENGINE = MergeTree ORDER BY i")
	plan, err := column.NewPlan([]column.Field{{Column: "i", Type: "UInt8"}, {Column: "v", Type: "Nullable(Tuple(a Int32, b Array(String)))"}}, options(t))
	require.NoError(t, err)
	r, b := plan.NewReader(), plan.NewBlock(0)
	for _, doc := range []string{`{"i":1,"v":{"a":1,"b":["x"]}}`, `{"i":2,"v":null}`, `{"i":3}`, `{"i":4,"v":[5,[]]}`} {
		require.NoError(t, r.ReadJSON([]byte(doc)))
		require.NoError(t, b.Append(r))
	}
	insert(t, node.Client(t), "nullable_tuple", b)
	require.Equal(t, "1\t(1,['x'])\n2\t\\N\n3\t\\N\n4\t(5,[])\n", mustPost(t, nil, "SELECT * FROM nullable_tuple ORDER BY i FORMAT TSV"))
}
