package sharding

import (
	"bufio"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/clickhouse/sharding"
)

// TestKeysReadFromJSON: what clickhouse/column reads out of an event as a key is what the server holds for the same
// event, so that routing starts from the right value.
func TestKeysReadFromJSON(t *testing.T) {
	client := server.Client(t)
	for _, typ := range keyTypes(t) {
		t.Run(typ.String(), func(t *testing.T) {
			sampled, err := sharding.Samples([]*column.Type{typ, typ}, 2000, *seed)
			require.NoError(t, err)
			d := &dataset{typ: typ, rows: sampled, table: fmt.Sprintf("rows.json_%d", tables.Add(1))}
			d.upload(t, client)
			plan, err := column.NewPlan([]column.Field{{Column: "x", Type: typ.String(), Source: column.Path("")}}, column.Options{})
			require.NoError(t, err)
			compareKeys(t, plan.NewReader(), d)
			server.Exec(t, "DROP TABLE "+d.table)
		})
	}
}

func compareKeys(t *testing.T, reader *column.Reader, d *dataset) {
	t.Helper()
	query := "SELECT x FROM " + d.table + " ORDER BY id FORMAT JSONEachRow SETTINGS output_format_json_quote_64bit_integers = 0"
	answer, err := http.Post("http://"+server.HTTPAddr(), "", strings.NewReader(query))
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, http.StatusOK, answer.StatusCode)
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	read := 0
	for row := 0; lines.Scan(); row++ {
		want := d.rows[row][0]
		if !printable(d.typ, want) {
			continue
		}
		var got column.Value
		require.NoError(t, reader.ReadJSON(lines.Bytes()), lines.Text())
		require.NoError(t, reader.Key(0, &got), lines.Text())
		require.Equal(t, want.Null, got.Null, lines.Text())
		if !want.Null {
			require.Equal(t, want.U, got.U, lines.Text())
			require.Equal(t, string(want.B), string(got.B), lines.Text())
		}
		read++
	}
	require.NoError(t, lines.Err())
	require.Greater(t, read, 500)
}

// printable says that JSON can hold the value: no NaN, no infinity, no bytes that are not text, no hour that the end of
// summer time repeats.
func printable(typ *column.Type, v column.Value) bool {
	inner, _ := typ.Unwrap()
	switch inner.Name {
	case "Float32":
		f := float64(math.Float32frombits(uint32(v.U)))
		return !math.IsNaN(f) && !math.IsInf(f, 0)
	case "Float64":
		f := math.Float64frombits(v.U)
		return !math.IsNaN(f) && !math.IsInf(f, 0)
	case "String", "FixedString":
		return utf8.Valid(v.B)
	case "DateTime":
		zone, err := time.LoadLocation(inner.Zone)
		if err != nil {
			return false
		}
		at := time.Unix(int64(v.U), 0).In(zone)
		clock := at.Format(time.DateTime)
		return at.Add(time.Hour).Format(time.DateTime) != clock && at.Add(-time.Hour).Format(time.DateTime) != clock
	}
	return true
}
