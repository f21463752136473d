package sharding

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/clickhouse/sharding"
)

const vectorFile = "../../../clickhouse/sharding/testdata/vectors.tsv"

const vectorHeader = `# Values of sharding keys computed by ClickHouse: go test ./integration/sharding -run Vectors -update (in tests/)
# T type of x and y; R values of x and y (u number, b bytes in hex, null); E expression and its value on each row, - where ClickHouse refuses the row
`

// TestVectorsAreTheServers holds the vectors that the unit tests of clickhouse/sharding use to what this server computes.
func TestVectorsAreTheServers(t *testing.T) {
	client := server.Client(t)
	var b bytes.Buffer
	b.WriteString(vectorHeader)
	for _, typ := range keyTypes(t) {
		writeVectors(t, client, &b, typ)
	}
	if *update {
		require.NoError(t, os.WriteFile(vectorFile, b.Bytes(), 0o644))
	}
	committed, err := os.ReadFile(vectorFile)
	require.NoError(t, err)
	require.Equal(t, strings.Split(b.String(), "\n"), strings.Split(string(committed), "\n"), "write them again with -update")
}

func writeVectors(t *testing.T, client *ch.Client, b *bytes.Buffer, typ *column.Type) {
	t.Helper()
	sampled, err := sharding.Samples([]*column.Type{typ, typ}, 5, 1)
	require.NoError(t, err)
	d := &dataset{typ: typ, rows: sampled, table: "rows.vectors"}
	d.upload(t, client)
	fmt.Fprintf(b, "T\t%s\n", typ)
	for _, row := range d.rows {
		fmt.Fprintf(b, "R\t%s\t%s\n", vectorValue(typ, row[0]), vectorValue(typ, row[1]))
	}
	for _, f := range sharding.Functions() {
		for _, digits := range []bool{false, true} {
			d.digits = digits
			for _, k := range keysOf(t, d, f) {
				fmt.Fprintf(b, "E\t%s\t%s\n", k.expr, strings.Join(serverValues(t, client, d, k), "\t"))
			}
			if !isText(typ) {
				break
			}
		}
	}
	require.NoError(t, client.Do(t.Context(), ch.Query{Body: "DROP TABLE " + d.table}))
}

// serverValues asks for all rows at once, and for each alone where one of them is refused.
func serverValues(t *testing.T, client *ch.Client, d *dataset, k *key) []string {
	t.Helper()
	values := make([]string, len(d.rows))
	query := fmt.Sprintf("SELECT %s FROM %s", k.f.ServerValue(), d.table)
	if rows, err := server.QueryContext(t.Context(), query+" ORDER BY id"); err == nil {
		for i, row := range rows {
			values[i] = row[0]
		}
		return values
	}
	for i := range d.rows {
		values[i] = "-"
		if rows, err := server.QueryContext(t.Context(), fmt.Sprintf("%s WHERE id = %d", query, i)); err == nil {
			values[i] = rows[0][0]
		}
	}
	return values
}

func vectorValue(typ *column.Type, v column.Value) string {
	_, size := wireType(typ)
	switch {
	case v.Null:
		return "null"
	case size == 0:
		return fmt.Sprintf("b%x", v.B)
	default:
		return fmt.Sprintf("u%d", v.U)
	}
}
