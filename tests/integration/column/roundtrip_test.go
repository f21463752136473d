package column

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
)

// wrapper puts a type, and a JSON value of it, into another.
type wrapper struct {
	name  string
	typ   string // with %s
	json  string // with %s
	allow func(typ string) bool

	column string // in the tables of a type
}

var wrappers = []wrapper{
	{name: "plain", typ: "%s", json: "%s", allow: always},
	{name: "Nullable", typ: "Nullable(%s)", json: "%s", allow: scalar},
	{name: "Nullable(JSON)", typ: "Nullable(%s)", json: "%s", allow: isJSON},
	{name: "Array(Nullable(JSON))", typ: "Array(Nullable(%s))", json: "[null,%s]", allow: isJSON},
	{name: "LowCardinality", typ: "LowCardinality(%s)", json: "%s", allow: lowCardinality},
	{name: "LowCardinality(Nullable)", typ: "LowCardinality(Nullable(%s))", json: "%s", allow: lowCardinality},
	{name: "Array", typ: "Array(%s)", json: "[%[1]s,%[1]s]", allow: always},
	{name: "Array(Nullable)", typ: "Array(Nullable(%s))", json: "[null,%s]", allow: scalar},
	{name: "Array(LowCardinality)", typ: "Array(LowCardinality(%s))", json: "[%[1]s,%[1]s]", allow: lowCardinality},
	{name: "Array(Array)", typ: "Array(Array(%s))", json: "[[],[%[1]s],[%[1]s,%[1]s]]", allow: always},
	{name: "Map value", typ: "Map(String, %s)", json: `{"k":%[1]s,"l":%[1]s}`, allow: always},
	{name: "Map value, LowCardinality", typ: "Map(LowCardinality(String), LowCardinality(Nullable(%s)))", json: `{"k":%[1]s,"l":null}`, allow: lowCardinality},
	{name: "Tuple", typ: "Tuple(String, %s)", json: `["x",%s]`, allow: always},
	{name: "Tuple with names", typ: "Tuple(a Nullable(Int8), `b c` %s)", json: `{"b c":%s}`, allow: always},
	{name: "Nested", typ: "Nested(a %s, b UInt8)", json: `[{"a":%[1]s},{"b":2,"a":%[1]s}]`, allow: always},
	{name: "Nested, incomplete", typ: "Nested(a %s, b UInt8)", json: `[{"a":%s},{"b":2}]`, allow: notEnum},
}

func isJSON(typ string) bool { return strings.HasPrefix(typ, "JSON") }

func always(string) bool { return true }

// notEnum keeps enumerations from where the server would store a 0 that they do not have, and then fail to read it.
func notEnum(typ string) bool { return !strings.HasPrefix(typ, "Enum") }

func scalar(typ string) bool {
	for _, composite := range []string{"Array", "Map", "Tuple", "Nested", "JSON", "Point", "Ring", "Polygon", "LineString", "Multi", "QBit"} {
		if strings.HasPrefix(typ, composite) {
			return false
		}
	}
	return !aggregated.MatchString(typ)
}

// aggregated are the aggregate functions over types that the server does not take into a Nullable.
var aggregated = regexp.MustCompile(`^Simple.*, (Array|Map|Nullable|LowCardinality)\(`)

func lowCardinality(typ string) bool {
	return scalar(typ) && !strings.HasPrefix(typ, "Decimal") && !strings.HasPrefix(typ, "Enum") && !strings.HasPrefix(typ, "DateTime64") &&
		!strings.HasPrefix(typ, "Time64") && !strings.HasPrefix(typ, "Simple")
}

// TestRoundTrip writes each value of each type in each wrapper, here and by the server, and compares what the server then has. A type
// has a table with a column for each wrapper, and a row for each value in each of them.
func TestRoundTrip(t *testing.T) {
	for _, c := range cases {
		for _, typ := range c.types {
			t.Run(typ, func(t *testing.T) { compare(t, typ, c.values) })
		}
	}
	checkDifferences(t)
}

// cell is one value in one wrapper, and what became of it here.
type cell struct {
	i       int
	wrapper wrapper
	value   string
	refused error
}

func (c *cell) doc() string {
	return `{"i":` + strconv.Itoa(c.i) + `,"` + c.wrapper.column + `":` + fmt.Sprintf(c.wrapper.json, c.value) + "}"
}

// compare writes the values plain, and then those that one side has taken in the other wrappers: a refusal is costly for the server.
func compare(t *testing.T, typ string, values []string) {
	t.Helper()
	var declared strings.Builder
	var inner []wrapper
	for i, w := range wrappers {
		if !w.allow(typ) {
			continue
		}
		w.column = "v" + strconv.Itoa(i)
		declared.WriteString(", " + w.column + " " + fmt.Sprintf(w.typ, typ))
		inner = append(inner, w)
	}
	plan := tables(t, "(i UInt32"+declared.String()+")")
	cells := cellsOf(0, inner[:1], values)
	taken := write(t, typ, plan, cells)
	write(t, typ, plan, cellsOf(len(cells), inner[1:], taken))
}

func cellsOf(first int, wrappers []wrapper, values []string) (cells []cell) {
	for _, w := range wrappers {
		for _, v := range values {
			cells = append(cells, cell{i: first + len(cells), wrapper: w, value: v})
		}
	}
	return cells
}

// write has both sides take the cells, compares, and returns the values that at least one has taken.
func write(t *testing.T, typ string, plan *column.Plan, cells []cell) (taken []string) {
	t.Helper()
	r, b, both := plan.NewReader(), plan.NewBlock(0), newPaths(plan)
	var docs []string
	for i := range cells {
		doc := cells[i].doc()
		docs = append(docs, doc)
		err := r.ReadJSON([]byte(doc))
		if err == nil {
			err = b.Append(r)
		}
		cells[i].refused = err
		both.compare(t, typ, &cells[i], doc)
	}
	if b.Rows() > 0 {
		insert(t, node.Client(t), "ours", b)
	}
	reference(t, docs)
	ours, theirs := stored(t, "ours", cells), stored(t, "theirs", cells)
	for i := range cells {
		here, there := ours[strconv.Itoa(cells[i].i)], theirs[strconv.Itoa(cells[i].i)]
		judge(t, typ, &cells[i], here, there)
		if here != nil || there != nil {
			taken = append(taken, cells[i].value)
		}
	}
	return taken
}

// paths are the two ways of a document into a block: as text, and as the Go values that a processor has made of it.
type paths struct {
	raw, structured   *column.Reader
	here, there       *column.Block
	hereBuf, thereBuf proto.Buffer
}

func newPaths(plan *column.Plan) *paths {
	return &paths{raw: plan.NewReader(), structured: plan.NewReader(), here: plan.NewBlock(0), there: plan.NewBlock(0)}
}

// twice are values in which a name stands twice, of which decoding leaves one.
var twice = regexp.MustCompile(`"1":1,"1":2|"a":1,"a":[2{]`)

// compare demands that both ways give the same bytes, or both refuse. What decoding does not leave as it was is passed over: a name that stands
// twice, what is no UTF-8, and the text of objects and arrays.
func (p *paths) compare(t *testing.T, typ string, c *cell, doc string) {
	t.Helper()
	isText := strings.Contains(typ, "String") || isJSON(typ)
	if twice.MatchString(c.value) || !utf8.ValidString(c.value) || isText && strings.ContainsAny(c.value[:1], "{[") {
		return
	}
	p.here.Reset()
	p.there.Reset()
	d := json.NewDecoder(strings.NewReader(doc))
	d.UseNumber()
	var v map[string]any
	raw, structured := p.raw.ReadJSON([]byte(doc)), d.Decode(&v)
	if raw == nil {
		raw = p.here.Append(p.raw)
	}
	if structured == nil {
		structured = p.structured.ReadValue(v)
	}
	if structured == nil {
		structured = p.there.Append(p.structured)
	}
	require.Equal(t, raw == nil, structured == nil, "%s %.100s: as text %v, as values %v", c.wrapper.name, c.value, raw, structured)
	if raw == nil {
		require.True(t, bytes.Equal(encoded(t, &p.hereBuf, p.here), encoded(t, &p.thereBuf, p.there)), "%s %.100s", c.wrapper.name, c.value)
	}
}

func encoded(t *testing.T, buf *proto.Buffer, b *column.Block) []byte {
	t.Helper()
	buf.Reset()
	block := proto.Block{Columns: len(b.Input()), Rows: b.Rows()}
	require.NoError(t, block.EncodeRawBlock(buf, proto.Version, b.Input()))
	return buf.Buf
}

// judge demands that both sides have the same, or a difference that is known. Nil is a row that is not there.
func judge(t *testing.T, typ string, c *cell, ours, theirs *string) {
	t.Helper()
	require.Equal(t, c.refused == nil, ours != nil, "%s %.100s: %v", c.wrapper.name, c.value, c.refused)
	side := both
	switch {
	case ours == nil && theirs == nil, ours != nil && theirs != nil && *ours == *theirs:
		return
	case ours == nil:
		side = onlyThere
	case theirs == nil:
		side = onlyHere
	}
	if !known(side, typ, c.value) {
		show := func(v *string) string {
			if v == nil {
				return "nothing"
			}
			return fmt.Sprintf("%.200q", *v)
		}
		t.Errorf("%s %.100s: %s: here %s (%v), there %s", c.wrapper.name, c.value, side, show(ours), c.refused, show(theirs))
	}
}

// tables makes the tables of a type, for what is written here and by the server, and the plan for the former.
func tables(t *testing.T, declared string) *column.Plan {
	t.Helper()
	settings := url.Values{"flatten_nested": {"0"}}
	maps.Copy(settings, creating)
	for _, table := range []string{"ours", "theirs"} {
		mustPost(t, nil, "DROP TABLE IF EXISTS "+table)
		mustPost(t, settings, "CREATE TABLE "+table+" "+declared+" ENGINE = Memory")
	}
	return planOf(t, "ours")
}

// reference has the server read the documents itself. Some errors end an insert in spite of input_format_allow_errors_num, which puts
// all rows or none into a Memory table; then each half is tried.
func reference(t *testing.T, docs []string) {
	t.Helper()
	_, err := post(t.Context(), reading, "INSERT INTO theirs FORMAT JSONEachRow", strings.Join(docs, "\n"))
	if err != nil && len(docs) > 1 {
		reference(t, docs[:len(docs)/2])
		reference(t, docs[len(docs)/2:])
	}
}
