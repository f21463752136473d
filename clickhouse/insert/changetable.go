package insert

import (
	"fmt"
	"slices"
	"strings"

	"github.com/benthos-clickhouse/connect/clickhouse/change"
	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/clickhouse/column"
)

// Engines that change streams are written to.
const (
	replacingEngine = "ReplacingMergeTree"
	collapsing      = "CollapsingMergeTree"
	versioned       = "VersionedCollapsingMergeTree"
)

// merged names the columns by which the table's engine merges changes; "" where it has none.
type merged struct{ kind, version, isDeleted, sign string }

// wrongTable says that the table, as it is, cannot take the changes.
func wrongTable(table *cluster.Table, advice, format string, args ...any) error {
	return &PermanentError{
		Err:    fmt.Errorf("write_mode: table %s.%s %s", table.Database, table.Name, fmt.Sprintf(format, args...)),
		Advice: advice,
	}
}

// mergedBy finds out what the engine merges by, and that it is what the configuration says.
func (c *Changes) mergedBy(table *cluster.Table) (merged, error) {
	engine, err := table.Merging()
	if err != nil {
		return merged{}, &PermanentError{Err: err}
	}
	m := merged{kind: engine.Kind}
	args := append(slices.Clone(engine.Columns), "", "")
	switch {
	case c.Mode == change.Replacing && engine.Kind == replacingEngine:
		m.version, m.isDeleted = args[0], args[1]
	case c.Mode == change.Collapsing && (engine.Kind == collapsing || engine.Kind == versioned):
		m.sign, m.version = args[0], args[1]
	case c.Mode == change.Replacing:
		return m, wrongTable(table, "create it with ENGINE = ReplacingMergeTree(version, is_deleted)", "is a %s, which does not replace rows", table.Engine)
	default:
		return m, wrongTable(table, "create it with ENGINE = VersionedCollapsingMergeTree(sign, version), or CollapsingMergeTree(sign)", "is a %s, which does not collapse rows", table.Engine)
	}
	if m.isDeleted == "" {
		m.isDeleted = c.IsDeleted // a flag that readers filter by themselves
	}
	return m, c.matches(table, m)
}

// matches holds what the configuration names against the engine.
func (c *Changes) matches(table *cluster.Table, m merged) error {
	if c.Mode == change.Replacing && m.version == "" {
		return wrongTable(table, "create it with ENGINE = ReplacingMergeTree(version, is_deleted)",
			"has no version column, so which of two changes counts would depend on which comes last")
	}
	if c.Mode == change.Replacing && m.isDeleted == "" {
		return wrongTable(table, "create it with ENGINE = ReplacingMergeTree("+m.version+", is_deleted), or name a column in changes.is_deleted by which readers pass deleted rows over",
			"has no is_deleted column, so deletions could not be told")
	}
	for _, f := range []struct{ field, want, got string }{
		{"changes.version.column", c.Version, m.version}, {"changes.is_deleted", c.IsDeleted, m.isDeleted}, {"changes.sign", c.Sign, m.sign},
	} {
		if f.want != "" && f.want != f.got {
			return &PermanentError{Err: &cluster.ConfigError{Field: f.field, Reason: fmt.Sprintf("is %q, but the table's engine is %s, which has %q there", f.want, table.EngineFull, f.got)}}
		}
	}
	return nil
}

// changeColumns puts the columns that the operation fills in among the ones with a source of their own.
func (w *Writer) changeColumns(table *cluster.Table, special map[string]Column) error {
	c := w.opts.Changes
	if c == nil {
		return nil
	}
	m, err := c.mergedBy(table)
	if err != nil {
		return err
	}
	for _, name := range []string{m.isDeleted, m.sign} {
		if name == "" {
			continue
		}
		if _, ok := special[name]; ok {
			return noColumn(table, name, "it is filled in from the operation")
		}
		if col, ok := table.Column(name); !ok || !col.Insertable() {
			return noColumn(table, name, "the operation fills it in, and the table has no such column to insert into")
		}
		special[name] = Column{Name: name, Source: column.Meta(metaRemoves)}
	}
	if m.version == "" {
		return nil
	}
	source, err := c.versionSource(table, m, special)
	if err == nil {
		special[m.version] = Column{Name: m.version, Source: source}
	}
	return err
}

// versionSource is where the version comes from, and whether that can be.
func (c *Changes) versionSource(table *cluster.Table, m merged, special map[string]Column) (column.Source, error) {
	fail := func(reason string) (column.Source, error) {
		return column.Source{}, &PermanentError{Err: &cluster.ConfigError{Field: "changes.version.from", Reason: reason}}
	}
	source, given := column.Source{}, false // the member of an image that is called as the column
	if listed, ok := special[m.version]; ok {
		source, given = listed.Source, true
	}
	if c.VersionFrom != nil {
		if given && source != *c.VersionFrom {
			return fail(fmt.Sprintf("and columns give the column %q two sources", m.version))
		}
		source, given = *c.VersionFrom, true
	}
	path, inRow := source.DocumentPath()
	if m.kind == versioned {
		if given && !inRow {
			return fail("must be a member of the row: a row is taken back under the version that it was put with, and only the row itself still says which that was")
		}
		return source, nil
	}
	if !given {
		source, inRow = column.Meta(metaOffset), false
	}
	if inRow {
		return fail(fmt.Sprintf("is %q, a member of the row, but a deleted row has no version later than its last one: take @kafka_offset, or something of the record such as @envelope.source.lsn", path))
	}
	if name, _ := source.MetaName(); name == metaOffset {
		if col, ok := table.Column(m.version); ok && !slices.Contains([]string{"UInt64", "Int64", "UInt128", "Int128", "UInt256", "Int256"}, col.Type) {
			return fail(fmt.Sprintf("is the Kafka offset, which the version column %q of type %s does not hold: make it UInt64", m.version, col.Type))
		}
	}
	return source, nil
}

// bindChanges prepares the target for a change stream, and makes sure that all changes of one row meet in one place.
func (w *Writer) bindChanges(t *target, fields []column.Field) error {
	c := w.opts.Changes
	if c == nil {
		return nil
	}
	table := t.layout.Table
	m, err := c.mergedBy(table)
	if err != nil {
		return err
	}
	if err := w.checkPlacement(t, m); err != nil {
		return err
	}
	s := &changes{mode: c.Mode, spare: make(chan *expander, t.spare)}
	s.opts = change.Options{Mode: c.Mode, Format: c.Format, Tombstones: c.Tombstones, Truncations: c.Truncations}
	for _, f := range fields {
		if err := s.field(table, &f, m); err != nil {
			return err
		}
	}
	if err := s.workedOut(t, fields); err != nil {
		return err
	}
	if _, err := change.NewDecoder(s.opts); err != nil {
		return &PermanentError{Err: &cluster.ConfigError{Field: "columns", Reason: err.Error()}}
	}
	if m.kind == collapsing {
		w.collapsingOnce.Do(func() {
			w.log.Warn("the engine CollapsingMergeTree merges rows in the order in which they come: sum(sign) is right in any order, FINAL is not; use VersionedCollapsingMergeTree, or set max_in_flight and the input's ranges_in_flight to 1",
				"table", w.sink)
		})
	}
	t.changes = s
	return nil
}

// field takes note of a column: whether it tells rows apart, and what it wants of the envelope.
func (c *changes) field(table *cluster.Table, f *column.Field, m merged) error {
	col, _ := table.Column(f.Column)
	name, meta := f.Source.MetaName()
	if meta && strings.HasPrefix(name, metaEnvelope) {
		if c.envelope == nil {
			c.envelope = map[string]int{}
		}
		if _, ok := c.envelope[name]; !ok {
			c.envelope[name] = len(c.opts.Envelope)
			c.opts.Envelope = append(c.opts.Envelope, strings.TrimPrefix(name, metaEnvelope))
		}
	}
	if f.Column == m.version && meta {
		c.version = name
	}
	if !col.InSortingKey || f.Column == m.version {
		return nil
	}
	if paths := keyPaths(f); len(paths) > 0 {
		c.opts.Keys = append(c.opts.Keys, paths...)
		if len(paths) == 1 && f.Default.Kind == column.Zero {
			c.opts.Complete = append(c.opts.Complete, paths...)
		}
		return nil
	}
	if name == metaTopic || name == metaPartition {
		return nil
	}
	return wrongTable(table, "order the table by columns that the rows have",
		"is ordered by the column %q, which does not come from the row but from its record: changes of one row would differ in it", f.Column)
}

// workedOut deals with columns of the sorting key that the server fills in. What a MATERIALIZED one is made of is not known here, so any
// change of a row may move it; and a row that is deleted and put again under one key and version is, in this order, put.
func (c *changes) workedOut(t *target, fields []column.Field) error {
	for _, col := range t.layout.Table.Columns {
		if _, _, planned := t.plan.Column(col.Name); !col.InSortingKey || planned {
			continue
		}
		if col.DefaultKind != "MATERIALIZED" {
			return wrongTable(t.layout.Table, "insert the column, or order the table by columns that the rows have",
				"is ordered by the column %q, which is not inserted: changes of one row would differ in it", col.Name)
		}
		c.opts.Keys = nil
		for i := range fields {
			c.opts.Keys = append(c.opts.Keys, keyPaths(&fields[i])...)
		}
		return nil
	}
	return nil
}

// keyPaths is where a column's value may stand in an image, as change.Options has it: a column whose name has dots may be the member called
// so, or one within an object.
func keyPaths(f *column.Field) []string {
	path, ok := f.Source.DocumentPath()
	switch {
	case !ok:
		return nil
	case path != "":
		return []string{path}
	}
	quote := func(name string) string {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
	}
	paths := []string{quote(f.Column)}
	if steps := strings.Split(f.Column, "."); len(steps) > 1 && !slices.Contains(steps, "") {
		for i := range steps {
			steps[i] = quote(steps[i])
		}
		paths = append(paths, strings.Join(steps, "."))
	}
	return paths
}

// checkPlacement refuses a way of routing by which two changes of one row may come to two shards, where they would never meet.
func (w *Writer) checkPlacement(t *target, m merged) error {
	if len(t.layout.Shards) < 2 {
		return nil
	}
	table := t.layout.Table
	const advice = "shard by columns of the sorting key, or with routing.strategy hash and such columns in routing.key"
	if t.volatile || slices.Contains([]Strategy{StrategyRoundRobin, StrategyRandom, StrategyFreeSpace}, w.opts.Strategy) {
		return wrongTable(table, advice, "is sharded by chance (routing.strategy %s, sharding key %q): changes of one row would come to several shards", w.opts.Strategy, table.ShardingKey)
	}
	keys, err := table.KeyColumns()
	if err != nil {
		return &PermanentError{Err: err}
	}
	names := t.plan.Columns()
	for _, k := range t.keys {
		if name := names[k]; !slices.Contains(keys, name) || name == m.version {
			return wrongTable(table, advice, "is sharded by the column %q, which is not one of those it is ordered by (%s): changes of one row would come to several shards", name, table.SortingKey)
		}
	}
	return nil
}
