package column

import (
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
)

// wrapper puts a type, and a JSON value of it, into another.
type wrapper struct {
	name  string
	typ   string // with %s
	json  string // with %s
	allow func(typ string) bool
}

var wrappers = []wrapper{
	{"plain", "%s", "%s", always},
	{"Nullable", "Nullable(%s)", "%s", scalar},
	{"LowCardinality", "LowCardinality(%s)", "%s", lowCardinality},
	{"LowCardinality(Nullable)", "LowCardinality(Nullable(%s))", "%s", lowCardinality},
	{"Array", "Array(%s)", "[%[1]s,%[1]s]", always},
	{"Array(Nullable)", "Array(Nullable(%s))", "[null,%s]", scalar},
	{"Array(LowCardinality)", "Array(LowCardinality(%s))", "[%[1]s,%[1]s]", lowCardinality},
	{"Array(Array)", "Array(Array(%s))", "[[],[%[1]s],[%[1]s,%[1]s]]", always},
	{"Map value", "Map(String, %s)", `{"k":%[1]s,"l":%[1]s}`, always},
	{"Map value, LowCardinality", "Map(LowCardinality(String), LowCardinality(Nullable(%s)))", `{"k":%[1]s,"l":null}`, lowCardinality},
	{"Tuple", "Tuple(String, %s)", `["x",%s]`, always},
	{"Tuple with names", "Tuple(a Nullable(Int8), `b c` %s)", `{"b c":%s}`, always},
	{"Nested", "Nested(a %s, b UInt8)", `[{"a":%[1]s},{"b":2,"a":%[1]s}]`, always},
	{"Nested, incomplete", "Nested(a %s, b UInt8)", `[{"a":%s},{"b":2}]`, notEnum},
}

func always(string) bool { return true }

// notEnum keeps enumerations from where the server would store a 0 that they do not have, and then fail to read it.
func notEnum(typ string) bool { return !strings.HasPrefix(typ, "Enum") }

func scalar(typ string) bool {
	for _, composite := range []string{"Array", "Map", "Tuple", "Nested", "JSON", "Point", "Ring", "Polygon", "LineString", "Multi", "QBit"} {
		if strings.HasPrefix(typ, composite) {
			return false
		}
	}
	return true
}

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

// cell is one value in one wrapper: what it looks like in the document, and what became of it here.
type cell struct {
	wrapper wrapper
	column  string
	value   string
	refused error
}

func (c *cell) doc(i int) string {
	return `{"i":` + strconv.Itoa(i) + `,"` + c.column + `":` + fmt.Sprintf(c.wrapper.json, c.value) + "}"
}

func compare(t *testing.T, typ string, values []string) {
	var cells []cell
	var declared strings.Builder
	for w, wrapper := range wrappers {
		if !wrapper.allow(typ) {
			continue
		}
		name := "v" + strconv.Itoa(w)
		declared.WriteString(", " + name + " " + fmt.Sprintf(wrapper.typ, typ))
		for _, v := range values {
			cells = append(cells, cell{wrapper: wrapper, column: name, value: v})
		}
	}
	plan := tables(t, "(i UInt32"+declared.String()+")")
	r, b := plan.NewReader(), plan.NewBlock(0)
	var docs strings.Builder
	for i := range cells {
		doc := cells[i].doc(i)
		docs.WriteString(doc + "\n")
		err := r.ReadJSON([]byte(doc))
		if err == nil {
			err = b.Append(r)
		}
		cells[i].refused = err
	}
	insert(t, node.Client(t), "ours", b)
	reference(t, docs.String())
	ours, theirs := stored(t, "ours", cells), stored(t, "theirs", cells)
	for i := range cells {
		judge(t, typ, &cells[i], ours[strconv.Itoa(i)], theirs[strconv.Itoa(i)])
	}
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

// reference has the server read the documents itself. Some errors end an insert in spite of input_format_allow_errors_num; then it goes row by row.
func reference(t *testing.T, docs string) {
	t.Helper()
	if _, err := post(t.Context(), reading, "INSERT INTO theirs FORMAT JSONEachRow", docs); err == nil {
		return
	}
	mustPost(t, nil, "TRUNCATE TABLE theirs")
	for doc := range strings.Lines(docs) {
		_, _ = post(t.Context(), reading, "INSERT INTO theirs FORMAT JSONEachRow", doc)
	}
}
