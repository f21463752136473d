package insert

import (
	"fmt"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/clickhouse/spool"
)

// fits tells whether a table's columns still have room for a spooled block. It is sent as it was encoded, and the server would make other
// values of what has no room, and say nothing.
func fits(h *spool.Header, t *cluster.Table) error {
	now := make(map[string]string, len(t.Columns))
	for _, c := range t.Columns {
		now[c.Name] = c.Type
	}
	for _, c := range h.Columns {
		typ, ok := now[c.Name]
		switch {
		case !ok:
			return fmt.Errorf("column %q (%s) is no longer in %s.%s: add it again, if only for the time of the replay", c.Name, c.Type, h.Database, h.Table)
		case typ == c.Type:
			continue
		}
		was, err := column.ParseType(c.Type)
		if err != nil {
			return fmt.Errorf("column %q: %w", c.Name, err)
		}
		is, err := column.ParseType(typ)
		if err != nil {
			return fmt.Errorf("column %q: %w", c.Name, err)
		}
		if !is.Holds(was) {
			return fmt.Errorf("%w; ALTER it to a type that holds all values of the old one, and replay the block then",
				&column.TypeChangedError{Column: c.Name, Planned: c.Type, Now: typ})
		}
	}
	return nil
}
