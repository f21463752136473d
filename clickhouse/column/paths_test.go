package column

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/stretchr/testify/require"
)

// everything is a plan with each family in each wrapper.
func everything(t testing.TB) *Plan {
	t.Helper()
	var fields []Field
	for name, typ := range map[string]string{
		"i8": "Int8", "u64": "UInt64", "i128": "Int128", "u256": "UInt256", "f32": "Float32", "f64": "Float64", "bf": "BFloat16", "d9": "Decimal(9, 2)", "d38": "Decimal(38, 10)",
		"b": "Bool", "s": "String", "fs": "FixedString(4)", "uuid": "UUID", "ip4": "IPv4", "ip6": "IPv6", "date": "Date", "d32": "Date32", "dt": "DateTime('Europe/Berlin')",
		"dt64": "DateTime64(3)", "t": "Time", "t64": "Time64(6)", "e": "Enum8('a' = 1, 'b' = -2)",
	} {
		fields = append(fields, columns(name, typ, name+"_n", "Nullable("+typ+")", name+"_a", "Array("+typ+")", name+"_m", "Map(String, Nullable("+typ+"))",
			name+"_t", "Tuple(a "+typ+", b Array("+typ+"))")...)
		if base, err := ParseType(typ); err == nil && dictionaryTypes[base.Name] {
			fields = append(fields, columns(name+"_l", "LowCardinality("+typ+")", name+"_ln", "LowCardinality(Nullable("+typ+"))", name+"_la", "Array(LowCardinality("+typ+"))")...)
		}
	}
	fields = append(fields, columns("json", "JSON", "point", "Point", "poly", "Polygon", "q", "QBit(BFloat16, 2)", "nest", "Nested(a UInt8, b String)", "n.a", "Array(UInt8)", "n.b", "Array(String)")...)
	return newPlan(t, Options{}, fields...)
}

// samples are JSON values that some type or other takes.
var samples = []string{
	`null`, `true`, `false`, `0`, `-0`, `1`, `-1`, `127`, `128`, `255`, `1.5`, `-1.25`, `1e2`, `1e-2`, `12345678901234567890`, `1e400`, `123456789.123456789`, `9007199254740993`,
	`""`, `"a"`, `"b"`, `"abcd"`, `"abcde"`, `"\u0000\n\ud83d\ude00"`, `"\ud800"`, `"nan"`, `"-inf"`, `"42"`, `"1.50"`, `"1.2.3.4"`, `"::1"`, `"018f3c1a-7b2e-7c41-9d55-0a1b2c3d4e5f"`,
	`"2024-02-29"`, `"2024-02-29 12:34:56"`, `"2024-02-29T12:34:56.789+02:00"`, `"2024-03-31 02:30:00"`, `"1709210096"`, `"12:34:56"`, `"-999:59:59.5"`,
	`[]`, `[1,2]`, `["a","b"]`, `[null]`, `[1,[2]]`, `{}`, `{"a":1}`, `{"a":"a","b":["a"]}`, `{"k":null}`, `[{"a":1,"b":"x"},{}]`, `[[0,0],[1,1]]`, `[[[0,0],[1,1]]]`,
}

// randomRow is a document with values for some of the columns, few of which fit.
func randomRow(p *Plan, r *rand.Rand, n int) string {
	members := make(map[string]string)
	for range n {
		members[p.fields[r.IntN(len(p.fields))].name] = samples[r.IntN(len(samples))]
	}
	var b strings.Builder
	b.WriteByte('{')
	for name, value := range members {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.WriteString(`"` + name + `":` + value)
	}
	b.WriteByte('}')
	return b.String()
}

// decoded is what a JSON processor would have made of the document.
func decoded(t testing.TB, doc string) map[string]any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(doc))
	d.UseNumber()
	var v map[string]any
	require.NoError(t, d.Decode(&v))
	return v
}

// TestPaths holds the structured path against the raw one: the same errors, the same bytes.
func TestPaths(t *testing.T) {
	p := everything(t)
	raw, structured := p.NewReader(), p.NewReader()
	here, there := p.NewBlock(0), p.NewBlock(0)
	taken := 0
	for _, f := range p.fields {
		for _, value := range samples {
			doc := `{"` + f.name + `":` + value + `}`
			rawErr := row(raw, here, doc)
			err := structured.ReadValue(decoded(t, doc))
			if err == nil {
				err = there.Append(structured)
			}
			if rawErr == nil {
				taken++
				require.NoError(t, err, "%s %s", f.typ, doc)
				continue
			}
			if !strings.Contains(doc, `\`) {
				require.EqualError(t, err, rawErr.Error())
			}
			require.Error(t, err, doc)
		}
	}
	require.Greater(t, taken, len(p.fields))
	require.Equal(t, taken, here.Rows())
	require.Equal(t, wire(t, here), wire(t, there))
}

// TestGoValues takes the Go types that JSON decoding does not give.
func TestGoValues(t *testing.T) {
	p := newPlan(t, Options{}, columns("i", "Int64", "f", "Float64", "s", "String", "t", "DateTime64(9, 'UTC')", "a", "Array(Float32)", "d", "Decimal(9, 2)")...)
	r := p.NewReader()
	for i, v := range []any{int(5), int8(5), int16(5), int32(5), int64(5), uint(5), uint8(5), uint16(5), uint32(5), uint64(5), float32(5), 5.0, json.Number("5"), "5", []byte("5")} {
		require.NoError(t, r.ReadValue(map[string]any{"i": v, "f": v, "s": v, "d": v}), i)
		for col, want := range map[int]Value{0: {U: 5}, 1: {U: 0x4014000000000000}, 2: {B: []byte("5")}, 5: {U: 500}} {
			var have Value
			require.NoError(t, r.Key(col, &have))
			require.Equal(t, want, have, "%T", v)
		}
	}
	require.ErrorContains(t, r.ReadValue([]any{}), "the row is a []interface {}, not an object")
	require.ErrorContains(t, r.ReadValue(map[string]any{"i": make(chan int)}), "has no JSON form")
	require.NoError(t, r.ReadValue(map[string]any{"i": json.Number("x")}))
	require.ErrorContains(t, p.NewBlock(0).Append(r), `"x" is not a number`)
	var loop []any
	loop = append(loop, nil)
	loop[0] = loop
	require.ErrorContains(t, r.ReadValue(map[string]any{"a": loop}), "nests too deep")
}

// TestRollback mixes rows that fail into a block: what remains is what a block without them would be.
func TestRollback(t *testing.T) {
	p := everything(t)
	random := rand.New(rand.NewPCG(1, 2))
	r, good, mixed := p.NewReader(), p.NewBlock(0), p.NewBlock(0)
	failed := 0
	for range 20_000 {
		doc := randomRow(p, random, 1+random.IntN(3))
		if err := row(r, mixed, doc); err != nil {
			failed++
			continue
		}
		require.NoError(t, row(r, good, doc))
	}
	require.Greater(t, failed, 1000)
	require.Greater(t, good.Rows(), 1000)
	require.Equal(t, wire(t, good), wire(t, mixed))

	mixed.Reset()
	require.Zero(t, mixed.Rows())
	require.NoError(t, row(r, mixed, `{"s_l":"x"}`))
	good.Reset()
	require.NoError(t, row(r, good, `{"s_l":"x"}`))
	require.Equal(t, wire(t, good), wire(t, mixed))
}

// TestWideDictionaries grows dictionaries over the widths of their indexes, with failing rows at the borders.
func TestWideDictionaries(t *testing.T) {
	p := newPlan(t, Options{}, columns("l", "LowCardinality(UInt32)", "n", "Array(LowCardinality(Nullable(String)))", "z", "UInt8")...)
	r, good, mixed := p.NewReader(), p.NewBlock(0), p.NewBlock(0)
	for i := range 70_000 {
		n := json.Number(mustJSON(t, i))
		doc := `{"l":` + string(n) + `,"n":["` + string(n) + `",null,"a value of more than sixteen bytes ` + string(n) + `"]`
		require.NoError(t, row(r, good, doc+`}`))
		if i%250 < 10 {
			require.Error(t, row(r, mixed, strings.ReplaceAll(doc, `"l":`, `"l":9`)+`,"z":-1}`))
		}
		require.NoError(t, row(r, mixed, doc+`}`))
	}
	require.True(t, bytes.Equal(wire(t, good), wire(t, mixed)))
}

// TestDictionariesStartAgain brings rows that fail to an empty block that has been full.
func TestDictionariesStartAgain(t *testing.T) {
	p := newPlan(t, Options{}, columns("l", "LowCardinality(String)", "n", "LowCardinality(Nullable(UInt32))", "z", "UInt8")...)
	r, b, want := p.NewReader(), p.NewBlock(0), p.NewBlock(0)
	for i := range 5000 {
		require.NoError(t, row(r, b, `{"l":"value `+strconv.Itoa(i)+`","n":`+strconv.Itoa(i)+`}`))
	}
	b.Reset()
	for i := range 300 {
		require.Error(t, row(r, b, `{"l":"value `+strconv.Itoa(i)+`","n":`+strconv.Itoa(i)+`,"z":-1}`))
	}
	for _, c := range b.cols {
		if dict, ok := c.column.(*lowCardinalityColumn); ok {
			require.Zero(t, slices.Max(dict.dict.table), "a failed row's value stays in the table")
			require.Greater(t, len(dict.dict.table), 64*smallestTable, "the table is large")
		}
	}
	for i := range 1000 {
		doc := `{"l":"value ` + strconv.Itoa(i%300) + `","n":` + strconv.Itoa(i%500) + `}`
		require.NoError(t, row(r, b, doc))
		require.NoError(t, row(r, want, doc))
	}
	require.Equal(t, wire(t, want), wire(t, b))
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

// TestNoAllocations is the promise of the flat case: once the columns have grown, a row allocates nothing.
func TestNoAllocations(t *testing.T) {
	p := newPlan(t, Options{}, append(clickstream, Field{Column: "o", Type: "Int64", Source: Meta("kafka_offset")})...)
	r, b := p.NewReader(), p.NewBlock(0)
	r.SetProvenance(Provenance{Topic: "clicks", Offset: 1, Valid: true})
	docs := events(64)
	fill := func() {
		b.Reset()
		for _, doc := range docs {
			require.NoError(t, r.ReadJSON(doc))
			require.NoError(t, b.Append(r))
		}
	}
	fill()
	require.Zero(t, testing.AllocsPerRun(100, fill))
	var v Value
	require.Zero(t, testing.AllocsPerRun(100, func() {
		require.NoError(t, r.ReadJSON(docs[0]))
		require.NoError(t, r.Key(0, &v))
	}))
}

// TestSharedPlan uses one plan from several goroutines; go test -race watches.
func TestSharedPlan(t *testing.T) {
	p := everything(t)
	random := rand.New(rand.NewPCG(3, 4))
	var docs []string
	for range 500 {
		docs = append(docs, randomRow(p, random, 2))
	}
	results := make(chan []byte)
	for range 4 {
		go func() {
			r, b := p.NewReader(), p.NewBlock(0)
			for _, doc := range docs {
				_ = row(r, b, doc)
			}
			var buf proto.Buffer
			_ = proto.Block{Columns: len(b.Input()), Rows: b.Rows()}.EncodeBlock(&buf, protocol, b.Input())
			results <- buf.Buf
		}()
	}
	want := <-results
	require.NotEmpty(t, want)
	for range 3 {
		require.Equal(t, want, <-results)
	}
}
