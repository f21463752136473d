package clickhouse

import (
	"errors"
	"fmt"
	"strings"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/benthos-clickhouse/connect/clickhouse/change"
	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/clickhouse/insert"
)

const appending = "append"

// changeFields are those of change streams.
func changeFields() []*service.ConfigField {
	return []*service.ConfigField{
		choiceField(choFieldWriteMode, map[string]string{
			appending:                 "Each record is a row.",
			string(change.Replacing):  "Each record is a change, for a `ReplacingMergeTree(version, is_deleted)`: an insertion or update becomes the row as it is now, a deletion a row with its flag set. An update that changes a column of the sorting key also deletes the row under its old key.",
			string(change.Collapsing): "Each record is a change, for a `VersionedCollapsingMergeTree(sign, version)` or `CollapsingMergeTree(sign)`: an update becomes the row as it was with the sign −1 and the row as it is with the sign 1, a deletion the former alone.",
		}).Description("What a record is. The table's engine and sharding key have to fit, which is checked at start: docs/changes.md says how.").Default(appending),
		service.NewObjectField(choFieldChanges,
			choiceField(choFieldChanges+"."+choFieldFormat, map[string]string{
				string(change.FormatDebezium): "`op`, `before` and `after`, at the top of the document or below `payload`.",
				string(change.FormatCanal):    "`type`, `data` and `old` of Canal, TiDB and Flink's canal-json (arrays) or of Maxwell (objects).",
				string(change.FormatFlink):    "`op` (`+I`, `-U`, `+U`, `-D`) and `data` of Flink's changelog-json.",
				string(change.FormatMapping):  "What the mapping `operation` says.",
			}).Description("How a record tells of a change.").Default(string(change.FormatDebezium)),
			service.NewBloblangField(choFieldOperation).Optional().
				Description("With `format: mapping`: a mapping whose result is the operation, with the document itself as the row, or an object of `op`, `before` and `after`. Operations are `insert`, `update`, `upsert`, `delete`, `update_before`, `update_after`, `truncate` and `ignore`, "+
					"also as the other formats spell them. `deleted()` is `ignore`.").
				Examples(`root = if this.__deleted == "true" { "delete" } else { "upsert" }`, `root = { "op": this.kind, "before": this.was, "after": this.is }`),
			service.NewObjectField(choFieldVersion,
				service.NewStringField(choFieldVersionColumn).Description("The version column. Default: the one that the table's engine names.").Default(""),
				service.NewStringField(choFieldColumnFrom).
					Description("Where the version comes from. With `replacing` it must grow with every change of a row: `@kafka_offset` (the default), or something of the record such as `@envelope.source.lsn`. With a `VersionedCollapsingMergeTree` it is a member of the row, by default the one that is called as the column.").
					Examples("@kafka_offset", "@envelope.source.lsn", "row_version").Default("").LintRule(lintVersionFrom),
			).Description("The version of a row.").Advanced(),
			service.NewStringField(choFieldIsDeleted).Description("The column that flags deleted rows, with `replacing`. Default: the one that the table's engine names. A `ReplacingMergeTree(version)` without one may name a column here that readers filter by themselves.").Default("").Advanced(),
			service.NewStringField(choFieldSign).Description("The sign column, with `collapsing`. Default: the one that the table's engine names.").Default("").Advanced(),
			choiceField(choFieldChanges+"."+choFieldTombstones, map[string]string{
				string(change.PolicyIgnore): "It is passed over: Debezium sends one behind each deletion, for Kafka's compaction.",
				string(change.PolicyDelete): "The row that the record's key, a JSON object, names is deleted. Only with `replacing`; the input's metadata has to have the key.",
				string(change.PolicyReject): "It cannot be inserted.",
			}).Description("What a record without a value is.").Default(string(change.PolicyIgnore)),
			choiceField(choFieldChanges+"."+choFieldTruncations, map[string]string{
				string(change.PolicyReject): "It cannot be inserted: somebody has to empty the tables.",
				string(change.PolicyIgnore): "It is passed over, and the tables keep their rows.",
			}).Description("What to do with a record that says that the source table was emptied.").Default(string(change.PolicyReject)).Advanced(),
		).Description("How changes are read, with a `write_mode` other than `append`."),
	}
}

// readChanges reads what change streams need.
func (c *config) readChanges(conf *service.ParsedConfig) error {
	r := &reader{conf: conf}
	mode := r.text(choFieldWriteMode)
	if r.err != nil || mode == appending {
		return r.err
	}
	s := &insert.Changes{
		Mode:        change.Mode(mode),
		Format:      change.Format(r.text(choFieldChanges, choFieldFormat)),
		Tombstones:  change.Policy(r.text(choFieldChanges, choFieldTombstones)),
		Truncations: change.Policy(r.text(choFieldChanges, choFieldTruncations)),
		Version:     r.text(choFieldChanges, choFieldVersion, choFieldVersionColumn),
		IsDeleted:   r.text(choFieldChanges, choFieldIsDeleted),
		Sign:        r.text(choFieldChanges, choFieldSign),
	}
	if from := r.text(choFieldChanges, choFieldVersion, choFieldColumnFrom); from != "" {
		source, err := c.source(from)
		if err != nil {
			return &cluster.ConfigError{Field: "changes.version.from", Reason: err.Error()}
		}
		s.VersionFrom = &source
	}
	if r.err != nil {
		return r.err
	}
	c.insert.Changes = s
	c.wants.key = c.wants.key || s.Tombstones == change.PolicyDelete
	return c.readOperation(conf, s.Format == change.FormatMapping)
}

func (c *config) readOperation(conf *service.ParsedConfig, wanted bool) (err error) {
	const field = choFieldChanges + "." + choFieldOperation
	switch given := conf.Contains(choFieldChanges, choFieldOperation); {
	case wanted && !given:
		return &cluster.ConfigError{Field: field, Reason: "is required with changes.format: mapping"}
	case !wanted && given:
		return &cluster.ConfigError{Field: field, Reason: "is only used with changes.format: mapping"}
	case !wanted:
		return nil
	}
	if c.operation, err = conf.FieldBloblang(choFieldChanges, choFieldOperation); err != nil {
		return fmt.Errorf("field `%s`: %w", field, err)
	}
	return nil
}

// envelope is what metadata is called that stands beside the row in a change stream's record, and a path in it.
const envelope = "@envelope."

// source reads `a.b[0].c` or `@name`, and takes note of the metadata that it wants.
func (c *config) source(from string) (column.Source, error) {
	path, beside := strings.CutPrefix(from, envelope)
	name, meta := strings.CutPrefix(from, "@")
	switch {
	case from == "@":
		return column.Source{}, errors.New("@ is not followed by the name of a piece of metadata")
	case beside || !meta:
		if err := column.CheckPath(path); err != nil {
			return column.Source{}, err
		}
	}
	if !meta {
		return column.Path(from), nil
	}
	c.wants.time = c.wants.time || from == "@kafka_timestamp_ms"
	c.wants.key = c.wants.key || from == "@kafka_key"
	return column.Meta(name), nil
}
