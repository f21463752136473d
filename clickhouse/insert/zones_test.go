package insert

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/clickhouse/sharding"
)

var differing = cluster.Zones{{Host: "a:9000", Zone: "UTC"}, {Host: "b:9000", Zone: "Asia/Tokyo"}}

func TestKeysThatDependOnTheServersZone(t *testing.T) {
	tests := []struct {
		key, typ string
		zones    cluster.Zones
		refused  bool
	}{
		{"toYYYYMM(at)", "DateTime", differing, true},
		{"cityHash64(toString(at))", "Nullable(DateTime64(3))", differing, true},
		{"toUInt32(toDate(at))", "UInt32", differing, true},
		{"toYYYYMM(at)", "DateTime", nil, false},
		{"toYYYYMM(at)", "DateTime('UTC')", differing, false},
		{"toYYYYMM(at, 'UTC')", "DateTime", differing, false},
		{"cityHash64(at)", "DateTime", differing, false},
		{"toUInt32(at)", "DateTime", differing, false},
		{"toUInt32(toDate(at))", "UInt16", differing, false},
	}
	for _, test := range tests {
		t.Run(test.key+" of "+test.typ, func(t *testing.T) {
			if strings.HasPrefix(test.typ, "Nullable") {
				test.key = "cityHash64(tuple(" + test.key + "))"
			}
			expr, err := sharding.Parse(test.key)
			require.NoError(t, err)
			typ, err := column.ParseType(test.typ)
			require.NoError(t, err)
			f, err := expr.Bind([]*column.Type{typ}, sharding.ServerZone("UTC"))
			require.NoError(t, err)
			err = zoneOfKey(f, &cluster.Table{Zones: test.zones, DistributedName: "`dw`.`events`"})
			if !test.refused {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, "UTC on a:9000, Asia/Tokyo on b:9000")
			var permanent *PermanentError
			require.ErrorAs(t, err, &permanent)
		})
	}
}

func TestColumnsThatDependOnTheServersZone(t *testing.T) {
	table := &cluster.Table{Columns: []cluster.TableColumn{
		{Name: "id", Type: "UInt64", DefaultKind: "DEFAULT", DefaultExpression: "rand64()"},
		{Name: "at", Type: "DateTime"},
		{Name: "at_utc", Type: "DateTime('UTC')", DefaultKind: "DEFAULT", DefaultExpression: "now()"},
		{Name: "nested", Type: "Array(Tuple(at Nullable(DateTime64(3)), name String))"},
		{Name: "nested_utc", Type: "Map(String, DateTime64(3, 'UTC'))"},
		{Name: "day", Type: "Date"},
		{Name: "today", Type: "Nullable(Date32)", DefaultKind: "MATERIALIZED", DefaultExpression: "today()"},
		{Name: "shown", Type: "DateTime", DefaultKind: "ALIAS", DefaultExpression: "now()"},
		{Name: "other", Type: "AggregateFunction(count)"},
	}}
	require.Equal(t, []string{"at", "nested", "today"}, zonedColumns(table))

	var log bytes.Buffer
	w := &Writer{log: slog.New(slog.NewTextHandler(&log, nil)), sink: "dw.events"}
	w.warnOfZones(table)
	require.Empty(t, log.String())
	table.Zones, table.Timezone = differing, "UTC"
	for range 3 {
		w.warnOfZones(table)
	}
	require.Equal(t, 1, strings.Count(log.String(), "time zones differ"))
	require.Contains(t, log.String(), "UTC on a:9000, Asia/Tokyo on b:9000")
	require.Contains(t, log.String(), `columns="at, nested, today"`)
	table.Zones = nil
	w.warnOfZones(table)
	table.Zones = differing
	w.warnOfZones(table)
	require.Equal(t, 2, strings.Count(log.String(), "time zones differ"), "it came back")
}
