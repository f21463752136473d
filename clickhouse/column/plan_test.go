package column

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/stretchr/testify/require"
)

// protocol is ch-go's version of ClickHouse's protocol, as far as the encoding of blocks depends on it.
const protocol = 54460

// row reads a document and appends it.
func row(r *Reader, b *Block, doc string) error {
	if err := r.ReadJSON([]byte(doc)); err != nil {
		return err
	}
	return b.Append(r)
}

// wire is the block as it goes to the server, without compression.
func wire(t testing.TB, b *Block) []byte {
	t.Helper()
	var buf proto.Buffer
	require.NoError(t, proto.Block{Columns: len(b.Input()), Rows: b.Rows()}.EncodeBlock(&buf, protocol, b.Input()))
	return buf.Buf
}

func newPlan(t testing.TB, opts Options, fields ...Field) *Plan {
	t.Helper()
	p, err := NewPlan(fields, opts)
	require.NoError(t, err)
	return p
}

// columns makes fields of pairs of name and type.
func columns(pairs ...string) (fields []Field) {
	for i := 0; i < len(pairs); i += 2 {
		fields = append(fields, Field{Column: pairs[i], Type: pairs[i+1]})
	}
	return fields
}

func TestNewPlanErrors(t *testing.T) {
	for _, c := range []struct {
		name        string
		fields      []Field
		errContains string
		unsupported bool
	}{
		{"state", columns("a", "AggregateFunction(sum, UInt64)"), `column "a": type AggregateFunction(sum, UInt64) cannot be written: it holds states`, true},
		{"variant", columns("a", "Variant(String, UInt8)"), "ch-go cannot carry it", true},
		{"dynamic", columns("a", "Dynamic"), "ch-go cannot carry it", true},
		{"nothing", columns("a", "Nullable(Nothing)"), "it has no values", true},
		{"nothing in an array", columns("a", "Array(Nothing)"), "it has no values", true},
		{"unknown", columns("a", "Hyper(3)"), "Hyper is not known here", true},
		{"low cardinality", columns("a", "LowCardinality(Decimal(9, 2))"), "ClickHouse has no LowCardinality(Decimal)", true},
		{"nullable array", columns("a", "Nullable(Array(Int8))"), "ClickHouse has no Nullable(Array)", true},
		{"map key", columns("a", "Map(Array(Int8), Int8)"), "cannot be the key of a Map", true},
		{"zone", columns("a", "DateTime('Mars/Olympus')"), `time zone "Mars/Olympus" is not known`, true},
		{"syntax", columns("a", "Array(Int8"), `column "a": type "Array(Int8" at byte 10: expected`, false},
		{"twice", columns("a", "Int8", "a", "Int8"), `column "a": planned twice`, false},
		{"path", []Field{{Column: "a", Type: "Int8", Source: Path("b[")}}, `column "a"`, false},
		{"constant", []Field{{Column: "a", Type: "Int8", Default: Default{Kind: Constant, JSON: []byte("300")}}}, `column "a" (Int8): default: "300" is not between`, false},
		{"constant text", []Field{{Column: "a", Type: "Int8", Default: Default{Kind: Constant, JSON: []byte("1,2")}}}, `column "a" (Int8): default`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := NewPlan(c.fields, Options{})
			require.ErrorContains(t, err, c.errContains)
			var unsupported *UnsupportedTypeError
			require.Equal(t, c.unsupported, errors.As(err, &unsupported))
		})
	}
}

// keyOfRow reads one column's value out of a row.
func keyOfRow(t *testing.T, p *Plan, doc string) (Value, error) {
	t.Helper()
	r := p.NewReader()
	require.NoError(t, r.ReadJSON([]byte(doc)))
	var v Value
	err := r.Key(0, &v)
	return v, err
}

func TestDefaults(t *testing.T) {
	constant := func(json string) Default { return Default{Kind: Constant, JSON: []byte(json)} }
	for _, c := range []struct {
		name  string
		field Field
		doc   string
		want  Value
	}{
		{"zero", Field{Type: "Int32"}, `{}`, Value{}},
		{"null", Field{Type: "Int32"}, `{"v":null}`, Value{}},
		{"zero of an Enum", Field{Type: "Enum8('b' = 5, 'a' = -3)"}, `{}`, Value{U: ^uint64(2)}},
		{"zero of a Nullable", Field{Type: "Nullable(Int32)"}, `{}`, Value{Null: true}},
		{"constant", Field{Type: "Int32", Default: constant("7")}, `{}`, Value{U: 7}},
		{"constant for null", Field{Type: "Int32", Default: constant("7")}, `{"v":null}`, Value{U: 7}},
		{"constant of a Nullable", Field{Type: "Nullable(Int32)", Default: constant("7")}, `{}`, Value{U: 7}},
		{"null in a Nullable", Field{Type: "Nullable(Int32)", Default: constant("7")}, `{"v":null}`, Value{Null: true}},
		{"constant null", Field{Type: "Nullable(Int32)", Default: constant("null")}, `{}`, Value{Null: true}},
		{"quoted constant", Field{Type: "UInt64", Default: constant(`"18446744073709551615"`)}, `{}`, Value{U: 1<<64 - 1}},
		{"string", Field{Type: "LowCardinality(String)", Default: constant(`"a\nb"`)}, `{}`, Value{B: []byte("a\nb")}},
		{"a value", Field{Type: "LowCardinality(String)", Default: constant(`"a"`)}, `{"v":"x"}`, Value{B: []byte("x")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.field.Column = "v"
			p := newPlan(t, Options{}, c.field)
			have, err := keyOfRow(t, p, c.doc)
			require.NoError(t, err)
			require.Equal(t, c.want, have)

			r, b := p.NewReader(), p.NewBlock(0)
			require.NoError(t, row(r, b, c.doc))
			require.Equal(t, 1, b.Rows())
		})
	}
}

// TestServerDefault leaves a column to the server where the row does not have it.
func TestServerDefault(t *testing.T) {
	server := Default{Kind: Server}
	p := newPlan(t, Options{}, Field{Column: "a", Type: "Int8", Default: server}, Field{Column: "b", Type: "Int8"},
		Field{Column: "c", Type: "Nullable(Int8)", Default: server})
	r := p.NewReader()
	for doc, omitted := range map[string]uint64{`{"a":1,"b":2,"c":3}`: 0, `{"c":3}`: 1, `{"a":null,"c":null}`: 1, `{"a":1}`: 2, `{}`: 3} {
		require.NoError(t, r.ReadJSON([]byte(doc)))
		require.Equal(t, omitted, r.Omitted(), doc)
		b := p.NewBlock(omitted)
		require.NoError(t, b.Append(r))
		require.Error(t, p.NewBlock(omitted^1).Append(r))
	}
	require.Len(t, p.NewBlock(3).Input(), 1)
	var v Value
	require.NoError(t, r.ReadJSON([]byte(`{}`)))
	err := r.Key(0, &v)
	require.ErrorIs(t, err, ErrServerDefault)
	require.ErrorContains(t, err, `column "a" (Int8): the column's default`)
}

func TestSources(t *testing.T) {
	p := newPlan(t, Options{},
		Field{Column: "deep", Type: "Int8", Source: Path("a.b[1].c")},
		Field{Column: "topic", Type: "String", Source: Meta("kafka_topic")},
		Field{Column: "offset", Type: "Int64", Source: Meta("kafka_offset")},
		Field{Column: "key", Type: "Nullable(String)", Source: Meta("kafka_key")},
		Field{Column: "at", Type: "DateTime64(3, 'UTC')", Source: Meta("kafka_timestamp_ms")},
		Field{Column: "other", Type: "String", Source: Meta("host")},
		Field{Column: "calc", Type: "Float64", Source: Computed(0)},
		Field{Column: "gone", Type: "UInt8", Source: Computed(1), Default: Default{Kind: Constant, JSON: []byte("9")}},
	)
	r, b := p.NewReader(), p.NewBlock(0)
	r.SetProvenance(Provenance{Topic: "clicks", Partition: 3, Offset: 42, TimestampMs: 1700000000123, Valid: true})
	r.SetMeta(func(name string) (any, bool) { return "from " + name, true })
	require.NoError(t, r.ReadJSON([]byte(`{"a":{"b":[0,{"c":5}]}}`)))
	r.SetComputed([]any{1.5, Missing{}})
	require.NoError(t, b.Append(r))

	want := []Value{{U: 5}, {B: []byte("clicks")}, {U: 42}, {Null: true}, {U: 1700000000123}, {B: []byte("from host")}, {U: 0x3ff8000000000000}, {U: 9}}
	for i := range want {
		var v Value
		require.NoError(t, r.Key(i, &v))
		require.Equal(t, want[i], v, p.Columns()[i])
	}
	// A record without provenance takes all of it from the metadata.
	r.SetProvenance(Provenance{})
	var v Value
	require.NoError(t, r.Key(1, &v))
	require.Equal(t, "from kafka_topic", string(v.B))
	r.SetComputed([]any{func() {}})
	require.ErrorContains(t, r.Key(0, &v), `column "calc"`)
	require.ErrorContains(t, b.Append(r), "a func() has no JSON form")
	require.Equal(t, 1, b.Rows())
}

// TestFlattened finds the values of columns with dots in their names.
func TestFlattened(t *testing.T) {
	p := newPlan(t, Options{UnknownFields: Reject}, columns("n.a", "Array(Int8)", "n.b", "Array(String)", "geo.city", "String")...)
	want := p.NewBlock(0)
	require.NoError(t, row(p.NewReader(), want, `{"n.a":[1,2],"n.b":["x\n",""],"geo.city":"Bonn"}`))
	for _, doc := range []string{
		`{"n":{"a":[1,2],"b":["x\n",null]},"geo":{"city":"Bonn"}}`,
		`{"n":[{"a":1,"b":"x\n"},{"a":2}],"geo":{"city":"Bonn"}}`,
		`{"n":[{"b":"x\n","a":1,"z":0},{"a":7,"a":2}],"geo.city":"Bonn"}`,
	} {
		b := p.NewBlock(0)
		require.NoError(t, row(p.NewReader(), b, doc), doc)
		require.Equal(t, wire(t, want), wire(t, b), doc)
	}
	require.ErrorContains(t, row(p.NewReader(), want, `{"n":[1]}`), `column "n.a" (Array(Int8)): element 0 of "[1]" is not an array of objects`)
	require.ErrorContains(t, row(p.NewReader(), want, `{"n":[],"x":1}`), `no column takes "x"`)

	p = newPlan(t, Options{RejectDuplicates: true}, columns("n.a", "Array(Int8)")...)
	require.ErrorContains(t, row(p.NewReader(), p.NewBlock(0), `{"n":[{"a":1},{"a":7,"\u0061":2}]}`), `column "n.a" (Array(Int8)): element 1: "\\u0061" stands twice`)
	require.NoError(t, row(p.NewReader(), p.NewBlock(0), `{"n":[{"b":7,"b":2}]}`))
}

// A reader that forgot its row keeps nothing of it, and reads the next one like a new one.
func TestForget(t *testing.T) {
	p := newPlan(t, Options{UnknownFields: Report}, append(columns("a", "String"), Field{Column: "m", Type: "String", Source: Meta("m")})...)
	r := p.NewReader()
	r.SetMeta(func(string) (any, bool) { return "of the row before", true })
	require.NoError(t, r.ReadValue(map[string]any{"a": strings.Repeat("x", 2*keptScratch), "b": 1}))
	require.Len(t, r.Unknown(), 1)
	r.Forget()
	require.Empty(t, r.Unknown())
	require.Nil(t, r.doc)
	require.Nil(t, r.row)
	require.Zero(t, cap(r.aside))
	require.Error(t, p.NewBlock(0).Append(r))

	b, want := p.NewBlock(0), p.NewBlock(0)
	require.NoError(t, row(r, b, `{"a":"y"}`))
	require.Empty(t, r.Unknown())
	require.NoError(t, row(p.NewReader(), want, `{"a":"y"}`))
	require.Equal(t, wire(t, want), wire(t, b))
}

func TestUnknown(t *testing.T) {
	p := newPlan(t, Options{UnknownFields: Report}, columns("a", "Int8")...)
	r := p.NewReader()
	doc := `{"a":1,"b":true,"c":1,"d":1.5,"e\n":"x","f":{},"g":[null,[1]],"h":null,"i":[],"j":18446744073709551615}`
	want := []Unknown{
		{"b", "Nullable(Bool)"},
		{"c", "Nullable(Int64)"},
		{"d", "Nullable(Float64)"},
		{"e\n", "Nullable(String)"},
		{"f", "Nullable(String)"},
		{"g", "Array(Array(Nullable(Int64)))"},
		{"h", ""},
		{"i", ""},
		{"j", "Nullable(UInt64)"},
	}
	require.NoError(t, r.ReadJSON([]byte(doc)))
	require.Equal(t, want, r.Unknown())
	require.NoError(t, r.ReadValue(decoded(t, doc)))
	require.Equal(t, want, r.Unknown())
}

// A member that is called as a column which takes another one, or none, is not reported; it is refused all the same.
func TestUnknownMembersCalledAsColumns(t *testing.T) {
	fields := []Field{{Column: "a", Type: "Int8", Source: Path("b")}}
	doc := `{"a":1,"b":2,"made":3,"new":4}`
	existing := []string{"a", "made"}
	r := newPlan(t, Options{UnknownFields: Report, Existing: existing}, fields...).NewReader()
	require.NoError(t, r.ReadJSON([]byte(doc)))
	require.Equal(t, []Unknown{{"new", "Nullable(Int64)"}}, r.Unknown())
	require.NoError(t, r.ReadValue(decoded(t, doc)))
	require.Equal(t, []Unknown{{"new", "Nullable(Int64)"}}, r.Unknown())
	r = newPlan(t, Options{UnknownFields: Reject, Existing: existing}, fields...).NewReader()
	require.ErrorContains(t, r.ReadJSON([]byte(`{"made":3,"b":2}`)), `no column takes "made"`)
}

// A new column's type can be read back, and holds the value that it was picked for, however deep that nests.
func TestUnknownDeepArrays(t *testing.T) {
	p := newPlan(t, Options{UnknownFields: Report}, columns("a", "Int8")...)
	r := p.NewReader()
	for _, depth := range []int{1, maxSuggested - 1, maxSuggested, maxSuggested + 1, 900} {
		doc := `{"x":` + strings.Repeat("[", depth) + "1" + strings.Repeat("]", depth) + `}`
		require.NoError(t, r.ReadJSON([]byte(doc)))
		grown := newPlan(t, Options{}, columns("x", r.Unknown()[0].Type)...)
		require.NoError(t, row(grown.NewReader(), grown.NewBlock(0), doc), depth)
	}
}

func TestRowErrors(t *testing.T) {
	p := newPlan(t, Options{RejectDuplicates: true}, columns("a", "Array(Tuple(x Int8, y Map(String, UUID)))", "s", "FixedString(3)")...)
	r, b := p.NewReader(), p.NewBlock(0)
	for doc, reason := range map[string]string{
		`[1]`:                        "reading \"[1]\"",
		`{"a":`:                      "expected a value",
		`{"s":"abcd"}`:               `column "s" (FixedString(3)): "abcd" is longer than 3 bytes`,
		`{"a":[{},{"y":{"k":"z"}}]}`: `element 1: member 2: value of "k": "z" is not a UUID`,
		`{"a":[{"x":1,"x":2}]}`:      "stands twice",
		`{"s":"a","s":"b"}`:          `duplicate member "s"`,
		`{"a":[{"x":1000}]}`:         `"1000" is not between -128 and 127`,
	} {
		err := row(r, b, doc)
		var rowErr *RowError
		require.ErrorAs(t, err, &rowErr, doc)
		require.ErrorContains(t, err, reason)
	}
	long := `{"s":"0123456789012345678901234567890123456789012345678901234567890123456789"}`
	require.ErrorContains(t, row(r, b, long), `… (70 bytes)`)
	require.Zero(t, b.Rows())
	require.Error(t, p.NewBlock(0).Append(p.NewReader()))
}

// TestZones takes local times as ClickHouse does; what the server itself says is compared in tests/integration/column.
func TestZones(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	p := newPlan(t, Options{Location: berlin}, columns("v", "DateTime")...)
	for text, want := range map[string]string{
		"2024-03-31 01:59:59": "2024-03-31T00:59:59Z", "2024-03-31 02:30:00": "2024-03-31T00:30:00Z", "2024-03-31 03:00:00": "2024-03-31T01:00:00Z",
		"2024-10-27 02:30:00": "2024-10-27T00:30:00Z", "2024-10-27 03:00:00": "2024-10-27T02:00:00Z", "2024-02-29": "2024-02-28T23:00:00Z",
		"2024-02-29 12:00:00Z": "2024-02-29T12:00:00Z",
	} {
		v, err := keyOfRow(t, p, `{"v":"`+text+`"}`)
		require.NoError(t, err)
		require.Equal(t, want, time.Unix(int64(v.U), 0).UTC().Format(time.RFC3339), text)
	}
}
