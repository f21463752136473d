package sharding

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/clickhouse/sharding"
)

// dataset is one table of random rows (id UInt32, x T, y T), here and on the server.
type dataset struct {
	typ    *column.Type
	digits bool // text that reads as a number
	table  string
	rows   [][]column.Value
}

var tables atomic.Int64

// keyTypes are the types to try: each plain and Nullable, and those that ClickHouse has as LowCardinality.
func keyTypes(t *testing.T) []*column.Type {
	t.Helper()
	names := sharding.KeyTypes()
	for _, name := range sharding.KeyTypes() {
		names = append(names, "Nullable("+name+")")
	}
	names = append(names, "LowCardinality(String)", "LowCardinality(Nullable(String))", "LowCardinality(FixedString(7))",
		"LowCardinality(UInt64)", "LowCardinality(Nullable(Int32))", "LowCardinality(Date)", "LowCardinality(DateTime('UTC'))", "DateTime")
	types := make([]*column.Type, len(names))
	for i, name := range names {
		typ, err := column.ParseType(name)
		require.NoError(t, err)
		types[i] = typ
	}
	return types
}

func newDataset(t *testing.T, client *ch.Client, typ *column.Type, digits bool) *dataset {
	t.Helper()
	n := *rows + *rows/4
	inner, _ := typ.Unwrap()
	if inner.Name == "Bool" || inner.Name == "DateTime64" {
		n = 3 * *rows // half of them divide by zero, or do not fit 32 bits
	}
	sampled, err := sharding.Samples([]*column.Type{typ, typ}, n, *seed)
	require.NoError(t, err)
	d := &dataset{typ: typ, digits: digits, rows: sampled, table: fmt.Sprintf("rows.t%d", tables.Add(1))}
	if digits {
		d.spellNumbers(inner)
	}
	d.upload(t, client)
	return d
}

// spellNumbers replaces text by decimal numbers made of the same randomness.
func (d *dataset) spellNumbers(inner *column.Type) {
	for i, row := range d.rows {
		for j := range row {
			n := uint64(i) * 0x9e3779b97f4a7c15 >> (uint(j) + uint(i)%60)
			text := strconv.AppendUint(nil, n, 10)
			if inner.Name == "FixedString" {
				text = append(text, make([]byte, inner.Length)...)[:inner.Length]
			}
			d.rows[i][j].B = text
		}
	}
}

func (d *dataset) upload(t *testing.T, client *ch.Client) {
	t.Helper()
	ids := make(proto.ColUInt32, len(d.rows))
	for i := range ids {
		ids[i] = uint32(i)
	}
	wire, _ := wireType(d.typ)
	run := func(query string, input proto.Input) {
		require.NoError(t, client.Do(t.Context(), ch.Query{Body: query, Input: input, Settings: suspicious}), query)
	}
	run(fmt.Sprintf("CREATE TABLE %s (id UInt32, x %s, y %s) ENGINE = Memory", d.table, d.typ, d.typ), nil)
	input := proto.Input{{Name: "id", Data: ids}, {Name: "x", Data: encode(d.typ, d.rows, 0)}, {Name: "y", Data: encode(d.typ, d.rows, 1)}}
	if wire == d.typ.String() {
		run("INSERT INTO "+d.table+" (id, x, y) VALUES", input)
		return
	}
	run(fmt.Sprintf("CREATE TABLE %s_wire (id UInt32, x %s, y %s) ENGINE = Memory", d.table, wire, wire), nil)
	run("INSERT INTO "+d.table+"_wire (id, x, y) VALUES", input)
	run(fmt.Sprintf("INSERT INTO %s SELECT * FROM %s_wire", d.table, d.table), nil)
	run("DROP TABLE "+d.table+"_wire", nil)
}

var suspicious = []ch.Setting{{Key: "allow_suspicious_low_cardinality_types", Value: "1", Important: true}}

// key is a sharding expression over x and y, evaluated here for every row.
type key struct {
	function string
	expr     string
	f        *sharding.Func
	want     []uint64
	valid    []bool
	refused  int // rows that have no value, among those up to the last one that was wanted
	valued   int // rows that have one
}

// newKey is nil where the expression does not take the type.
func newKey(t *testing.T, d *dataset, function, expr string) *key {
	t.Helper()
	e, err := sharding.Parse(expr)
	require.NoError(t, err)
	types := make([]*column.Type, len(e.Columns()))
	at := make([]int, len(types))
	for i, name := range e.Columns() {
		types[i] = d.typ
		if name == "y" {
			at[i] = 1
		}
	}
	f, err := e.Bind(types, sharding.ServerZone(serverZone(t)))
	var unsupported *sharding.UnsupportedError
	if errors.As(err, &unsupported) || err == nil && !f.Deterministic() {
		return nil
	}
	require.NoError(t, err)
	k := &key{function: function, expr: expr, f: f, want: make([]uint64, len(d.rows)), valid: make([]bool, len(d.rows))}
	vals := make([]column.Value, len(types))
	for i, row := range d.rows {
		if k.valued == *rows {
			break
		}
		for j, a := range at {
			vals[j] = row[a]
		}
		v, err := f.Eval(vals, sharding.Record{})
		if err != nil {
			k.refused++
			continue
		}
		k.want[i], k.valid[i] = v, true
		k.valued++
	}
	return k
}

// plain says that nothing wraps the type.
func (d *dataset) plain() bool {
	inner, _ := d.typ.Unwrap()
	return inner == d.typ
}

func serverZone(t *testing.T) string {
	t.Helper()
	return server.Value(t, "SELECT timezone()")
}

// keysOf are a function's calls with one argument and with two; what is not a key itself is hashed.
func keysOf(t *testing.T, d *dataset, f sharding.Function) (keys []*key) {
	t.Helper()
	if f.Name == "tuple" {
		return nil
	}
	if isText(d.typ) && d.digits != readsNumbers(f.Name) {
		return nil
	}
	var calls []string
	if f.MinArgs == 1 {
		calls = append(calls, f.Name+"(x)")
	}
	if f.MaxArgs < 0 || f.MinArgs == 2 {
		calls = append(calls, f.Name+"(x, y)")
	}
	for _, call := range calls {
		for _, expr := range []string{call, "cityHash64(" + call + ")", "cityHash64(tuple(" + call + "))"} {
			if k := newKey(t, d, f.Name, expr); k != nil {
				keys = append(keys, k)
				break
			}
		}
	}
	return keys
}

func readsNumbers(function string) bool {
	return strings.HasPrefix(function, "toUInt") || strings.HasPrefix(function, "toInt")
}

// isText says that only some values of the type read as numbers.
func isText(t *column.Type) bool {
	inner, _ := t.Unwrap()
	return inner.Name == "String" || inner.Name == "FixedString"
}

// TestEveryFunctionOnEveryType compares values with the server's, and shards with where a Distributed table puts the rows.
func TestEveryFunctionOnEveryType(t *testing.T) {
	var pairs atomic.Int64
	t.Run("type", func(t *testing.T) {
		for i, typ := range keyTypes(t) {
			t.Run(typ.String(), func(t *testing.T) {
				t.Parallel()
				client := server.Client(t)
				compared := compare(t, client, newDataset(t, client, typ, false), i)
				if isText(typ) {
					compared += compare(t, client, newDataset(t, client, typ, true), i)
				}
				require.Greater(t, compared, 10, "every hash takes every type")
				pairs.Add(int64(compared))
			})
		}
	})
	t.Logf("%d pairs of function and type compared by value on %d rows and more each, seed %d", pairs.Load(), *rows, *seed)
}

func compare(t *testing.T, client *ch.Client, d *dataset, turn int) (pairs int) {
	t.Helper()
	placed := newPlacement(t, client, d, turn%len(weightSets))
	var whole []*key // keys with a value for every row, compared in one query
	for _, f := range sharding.Functions() {
		keys := keysOf(t, d, f)
		for _, k := range keys {
			require.Equal(t, *rows, k.valued, "%s of %s has a value for too few rows", k.expr, d.typ)
			if k.refused == 0 {
				whole = append(whole, k)
				continue
			}
			compareValues(t, client, d, []*key{k})
		}
		if len(keys) > 0 {
			pairs++
			// Nullable and LowCardinality give the values of the type inside, which are compared above in any case: there
			// every third function is inserted too, another third in the next type.
			if d.plain() || (turn+pairs)%3 == 0 {
				placed.insert(t, client, keys[0])
			}
		}
	}
	if len(whole) > 0 {
		compareValues(t, client, d, whole)
	}
	placed.compare(t, client)
	placed.run(t, client, "DROP TABLE "+d.table)
	return pairs
}

// validRows limits a query to as many rows as are wanted that have a value; ClickHouse fails the whole query otherwise.
func (k *key) validRows(q *ch.Query) string {
	if k.refused == 0 {
		return fmt.Sprintf(" WHERE id < %d", k.valued)
	}
	var ids proto.ColUInt32
	for i, ok := range k.valid {
		if ok {
			ids = append(ids, uint32(i))
		}
	}
	q.ExternalTable, q.ExternalData = "valid", []proto.InputColumn{{Name: "id", Data: ids}}
	return " WHERE id IN valid"
}

// compareValues compares the keys' values, row by row. Keys that refuse rows go alone.
func compareValues(t *testing.T, client *ch.Client, d *dataset, keys []*key) {
	t.Helper()
	var ids proto.ColUInt32
	values := make([]proto.ColUInt64, len(keys))
	differ := make([]int, len(keys))
	q := ch.Query{Result: proto.Results{{Name: "id", Data: &ids}}}
	selected := []string{"id"}
	for i, k := range keys {
		name := fmt.Sprintf("v%d", i)
		q.Result = append(q.Result.(proto.Results), proto.ResultColumn{Name: name, Data: &values[i]})
		selected = append(selected, k.f.ServerValue()+" AS "+name)
	}
	seen := 0
	q.OnResult = func(context.Context, proto.Block) error {
		seen += len(ids)
		for i, k := range keys {
			for row, id := range ids {
				if values[i][row] == k.want[id] {
					continue
				}
				if differ[i]++; differ[i] < 3 {
					t.Errorf("%s of %s, seed %d: for %s the server computes %d, we %d", k.expr, d.typ, *seed, show(d.rows[id]), values[i][row], k.want[id])
				}
			}
		}
		return nil
	}
	q.Body = fmt.Sprintf("SELECT %s FROM %s", strings.Join(selected, ", "), d.table) + keys[0].validRows(&q)
	require.NoError(t, client.Do(t.Context(), q), q.Body)
	require.Equal(t, keys[0].valued, seen)
}

func show(row []column.Value) string {
	var parts []string
	for _, v := range row {
		switch {
		case v.Null:
			parts = append(parts, "NULL")
		case v.B != nil:
			parts = append(parts, fmt.Sprintf("%q", v.B))
		default:
			parts = append(parts, fmt.Sprint(v.U))
		}
	}
	return strings.Join(parts, ", ")
}
