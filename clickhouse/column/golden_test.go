package column

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/stretchr/testify/require"
)

// goldenRows fill one column of each kind of encoding.
var goldenRows = []string{
	`{"i":-5,"w":"-1","f":1.5,"s":"a","l":"x","n":null,"a":[["p"],[]],"m":{"k":[1,null]},"t":{"x":7,"y":"q"},"j":{"a":1},"g":[[1,2]]}`,
	`{"i":300,"w":12345678901234567890123,"f":"-inf","s":"\u0000","l":null,"n":"2024-02-29 12:34:56","a":[],"m":{},"t":[8,"r"],"g":[]}`,
	`{"l":"x","a":[["p","p"]],"t":{"y":"z"}}`,
}

// TestGolden holds the wire form of a block against testdata/block.golden, a hexadecimal line for each column. The server has read this
// form (tests/integration/column); a change of it must be meant.
func TestGolden(t *testing.T) {
	p := newPlan(t, Options{}, columns("i", "Int16", "w", "Int128", "f", "Float32", "s", "String", "l", "LowCardinality(Nullable(String))", "n", "Nullable(DateTime('Europe/Berlin'))",
		"a", "Array(Array(LowCardinality(String)))", "m", "Map(String, Array(Nullable(UInt8)))", "t", "Tuple(x UInt8, y LowCardinality(FixedString(2)))", "j", "JSON", "g", "Ring")...)
	r, b := p.NewReader(), p.NewBlock(0)
	for _, doc := range goldenRows {
		require.NoError(t, row(r, b, doc))
	}
	var text strings.Builder
	for _, c := range b.Input() {
		var buf proto.Buffer
		require.NoError(t, proto.Block{Columns: 1, Rows: b.Rows()}.EncodeRawBlock(&buf, protocol, []proto.InputColumn{c}))
		text.WriteString(c.Name + " " + string(c.Data.Type()) + "\n" + hex.EncodeToString(buf.Buf) + "\n")
	}
	path := filepath.Join("testdata", "block.golden")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text.String()), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), text.String())
}

// TestWriteColumn holds the way without compression, which hands the columns' memory to the socket, against the one with it.
func TestWriteColumn(t *testing.T) {
	p := everything(t)
	r, b := p.NewReader(), p.NewBlock(0)
	for _, f := range p.fields {
		for _, value := range samples {
			_ = row(r, b, `{"`+f.name+`":`+value+`}`)
		}
	}
	require.Greater(t, b.Rows(), 1000)
	var sent strings.Builder
	w := proto.NewWriter(&sent, new(proto.Buffer))
	require.NoError(t, proto.Block{Columns: len(b.Input()), Rows: b.Rows()}.WriteBlock(w, protocol, b.Input()))
	_, err := w.Flush()
	require.NoError(t, err)
	require.Equal(t, string(wire(t, b)), sent.String())
	require.Greater(t, b.Bytes(), sent.Len()/2)
}

// TestReadBack lets ch-go's own columns read what these have written.
func TestReadBack(t *testing.T) {
	p := newPlan(t, Options{}, columns("a", "Array(LowCardinality(String))", "m", "Map(String, Int32)", "n", "Nullable(String)", "d", "DateTime64(3, 'UTC')")...)
	r, b := p.NewReader(), p.NewBlock(0)
	require.NoError(t, row(r, b, `{"a":["x","y","x"],"m":{"k":-1},"n":"v","d":"2024-02-29T12:34:56.789Z"}`))
	require.NoError(t, row(r, b, `{"a":["y"],"m":{},"n":null}`))

	low := proto.NewArray(new(proto.ColStr).LowCardinality())
	m := proto.NewMap(new(proto.ColStr), new(proto.ColInt32))
	n := new(proto.ColStr).Nullable()
	d := new(proto.ColDateTime64).WithPrecision(proto.PrecisionMilli)
	var block proto.Block
	require.NoError(t, block.DecodeRawBlock(proto.NewReader(strings.NewReader(string(wire(t, b)[rawOffset:]))), protocol, proto.Results{
		{Name: "a", Data: low}, {Name: "m", Data: m}, {Name: "n", Data: n}, {Name: "d", Data: d},
	}))
	require.Equal(t, []string{"x", "y", "x"}, low.Row(0))
	require.Equal(t, []string{"y"}, low.Row(1))
	require.Equal(t, map[string]int32{"k": -1}, m.Row(0))
	require.Equal(t, proto.NewNullable("v"), n.Row(0))
	require.False(t, n.Row(1).Set)
	require.Equal(t, "2024-02-29T12:34:56.789Z", d.Row(0).UTC().Format("2006-01-02T15:04:05.000Z"))
}

// rawOffset is how much the description of a block takes up before its columns.
const rawOffset = 8
