package sharding

import (
	"bufio"
	"encoding/hex"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
)

// TestVectorsOfTheServer evaluates what ClickHouse has evaluated; tests/integration/sharding writes the file.
func TestVectorsOfTheServer(t *testing.T) {
	file, err := os.Open("testdata/vectors.tsv")
	require.NoError(t, err)
	defer file.Close()
	var (
		typ      *column.Type
		rows     [][]column.Value
		compared int
	)
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "\t")
		switch fields[0] {
		case "T":
			rows = nil
			typ, err = column.ParseType(fields[1])
			require.NoError(t, err)
		case "R":
			rows = append(rows, []column.Value{vectorValue(t, fields[1]), vectorValue(t, fields[2])})
		case "E":
			f := bindAll(t, fields[1], typ)
			for i, want := range fields[2:] {
				require.Equal(t, want, evalXY(t, f, rows[i]), "%s of %s, row %v", fields[1], typ, rows[i])
				compared++
			}
		}
	}
	require.NoError(t, lines.Err())
	require.Greater(t, compared, 5000)
}

// evalXY evaluates an expression over x and y; "-" where the row has no value.
func evalXY(t *testing.T, f *Func, row []column.Value) string {
	t.Helper()
	vals := row[:1]
	switch columns := f.Columns(); {
	case len(columns) == 2:
		vals = row
	case columns[0] == "y":
		vals = row[1:]
	}
	v, err := f.Eval(vals, Record{})
	if err != nil {
		var eval *EvalError
		require.ErrorAs(t, err, &eval)
		return "-"
	}
	return strconv.FormatUint(v, 10)
}

func vectorValue(t *testing.T, text string) (v column.Value) {
	t.Helper()
	var err error
	switch text[0] {
	case 'n':
		v.Null = true
	case 'u':
		v.U, err = strconv.ParseUint(text[1:], 10, 64)
	case 'b':
		v.B, err = hex.DecodeString(text[1:])
	}
	require.NoError(t, err)
	return v
}

// bindAll binds an expression whose columns all have the same type.
func bindAll(t testing.TB, expr string, typ *column.Type) *Func {
	t.Helper()
	e, err := Parse(expr)
	require.NoError(t, err, expr)
	types := make([]*column.Type, len(e.Columns()))
	for i := range types {
		types[i] = typ
	}
	f, err := e.Bind(types, ServerZone("UTC"))
	require.NoError(t, err, "%s of %s", expr, typ)
	return f
}

func mustType(t testing.TB, name string) *column.Type {
	t.Helper()
	typ, err := column.ParseType(name)
	require.NoError(t, err)
	return typ
}
