package insert

import (
	"fmt"
	"slices"
	"strings"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/clickhouse/sharding"
)

// zoneOfKey refuses a sharding expression that has another value on another server: an INSERT into the Distributed table goes where the
// server that takes it says, and which one that would be is anybody's guess.
func zoneOfKey(f *sharding.Func, table *cluster.Table) error {
	if len(table.Zones) < 2 || !f.ServerZoned() {
		return nil
	}
	return &PermanentError{
		Err: fmt.Errorf("the sharding key %q depends on the server's time zone, and the servers' differ (%s): an INSERT into %s puts a row on a shard that depends on the server it is sent to",
			f.Expr().Source(), table.Zones, table.DistributedName),
		Advice: "set the same <timezone> on all servers, or name a zone in the table or the key, as in DateTime('UTC') or toDate(at, 'UTC'), or choose another routing.strategy",
	}
}

// warnOfZones says, once for as long as it stays as it is, that servers with different time zones read the same row differently.
func (w *Writer) warnOfZones(table *cluster.Table) {
	now := ""
	zoned := zonedColumns(table)
	if len(table.Zones) > 1 && len(zoned) > 0 {
		now = table.Zones.String() + " " + strings.Join(zoned, " ")
	}
	w.zonesMu.Lock()
	before := w.zones
	w.zones = now
	w.zonesMu.Unlock()
	if now == "" || now == before {
		return
	}
	w.log.Warn("the servers' time zones differ: dates and times that come without a zone are read in one of them, and each server reads and shows "+
		"these columns, and evaluates their defaults, in its own; set the same <timezone> on all servers, or name a zone in the columns, as in DateTime('UTC')",
		"table", w.sink, "zones", table.Zones.String(), "read_in", table.Timezone, "columns", strings.Join(zoned, ", "))
}

// zonedColumns lists the columns whose values depend on the server's time zone: times that name none, and dates that the server works out.
func zonedColumns(table *cluster.Table) []string {
	var names []string
	for _, c := range table.Columns {
		t, err := column.ParseType(c.Type)
		if err != nil || c.DefaultKind == "ALIAS" {
			continue
		}
		inner, _ := t.Unwrap()
		if zoneless(t) || strings.HasPrefix(inner.Name, "Date") && !isTime(inner) && c.DefaultExpression != "" {
			names = append(names, c.Name)
		}
	}
	return names
}

// zoneless tells whether there is a time without a zone in the type.
func zoneless(t *column.Type) bool {
	return isTime(t) && t.Zone == "" || slices.ContainsFunc(t.Args, zoneless)
}

func isTime(t *column.Type) bool { return t.Name == "DateTime" || t.Name == "DateTime64" }
