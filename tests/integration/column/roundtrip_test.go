package column

import (
	"fmt"
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

// TestRoundTrip writes each value of each type in each wrapper, here and by the server, and compares what the server then has.
func TestRoundTrip(t *testing.T) {
	for _, c := range cases {
		for _, typ := range c.types {
			for _, w := range wrappers {
				if !w.allow(typ) {
					continue
				}
				t.Run(typ+"/"+w.name, func(t *testing.T) { compare(t, typ, w, c.values) })
			}
		}
	}
	checkDifferences(t)
}

func compare(t *testing.T, typ string, w wrapper, values []string) {
	full := fmt.Sprintf(w.typ, typ)
	for _, table := range []string{"ours", "theirs"} {
		mustPost(t, nil, "DROP TABLE IF EXISTS "+table)
		settings := map[string][]string{"flatten_nested": {"0"}}
		for k, v := range creating {
			settings[k] = v
		}
		mustPost(t, settings, "CREATE TABLE "+table+" (i UInt32, v "+full+") ENGINE = Memory")
	}
	full = mustPost(t, nil, "SELECT type FROM system.columns WHERE database = currentDatabase() AND table = 'ours' AND name = 'v' FORMAT TSVRaw")
	plan, err := column.NewPlan([]column.Field{{Column: "i", Type: "UInt32"}, {Column: "v", Type: strings.TrimSpace(full)}}, options(t))
	require.NoError(t, err)
	r, b := plan.NewReader(), plan.NewBlock(0)
	refused := make(map[string]error)
	var docs strings.Builder
	for n, v := range values {
		doc := `{"i":` + strconv.Itoa(n) + `,"v":` + fmt.Sprintf(w.json, v) + "}"
		docs.WriteString(doc + "\n")
		err := r.ReadJSON([]byte(doc))
		if err == nil {
			err = b.Append(r)
		}
		if err != nil {
			refused[strconv.Itoa(n)] = err
		}
	}
	if b.Rows() > 0 {
		insert(t, node.Client(t), "ours", b)
	}
	reference(t, docs.String())
	ours, theirs := stored(t, "ours"), stored(t, "theirs")
	for n, v := range values {
		i := strconv.Itoa(n)
		here, taken := ours[i]
		there, alsoTaken := theirs[i]
		require.Equal(t, refused[i] == nil, taken, "%s: %v", v, refused[i])
		if taken == alsoTaken && here == there {
			continue
		}
		side := both
		if !taken {
			side = onlyThere
		} else if !alsoTaken {
			side = onlyHere
		}
		if !known(side, typ, v) {
			t.Errorf("%.100s: %s: here %.200q (%v), there %.200q", v, side, here, refused[i], there)
		}
	}
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
