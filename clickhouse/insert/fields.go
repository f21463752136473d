package insert

import (
	"context"
	"fmt"

	ch "github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/clickhouse/column"
)

// fields lists the columns to insert with their sources and defaults: every insertable one, but for those that Options.Columns skips.
func (w *Writer) fields(ctx context.Context, l *cluster.Layout) ([]column.Field, error) {
	table := l.Table
	special, err := w.special(table)
	if err != nil {
		return nil, err
	}
	if err := w.changeColumns(table, special); err != nil {
		return nil, err
	}
	defaults, err := w.opts.Cluster.Defaults(ctx, table)
	if err != nil {
		return nil, err
	}
	var fields []column.Field
	for _, c := range l.Insertable() {
		want := special[c.Name]
		if want.Skip {
			continue
		}
		f := column.Field{Column: c.Name, Type: c.Type, Source: want.Source}
		if d, ok := defaults[c.Name]; ok {
			f.Default = column.Default{Kind: column.Server}
			if d.Constant {
				f.Default = column.Default{Kind: column.Constant, JSON: d.JSON}
			}
		}
		fields = append(fields, f)
	}
	if len(fields) == 0 {
		return nil, &PermanentError{Err: fmt.Errorf("table %s.%s has no column that can be inserted into", table.Database, table.Name)}
	}
	return fields, nil
}

// special indexes Options.Columns by name, and refuses what the table does not have.
func (w *Writer) special(table *cluster.Table) (map[string]Column, error) {
	special := make(map[string]Column, len(w.opts.Columns))
	for _, want := range w.opts.Columns {
		c, ok := table.Column(want.Name)
		switch {
		case !ok:
			return nil, noColumn(table, want.Name, "the table has no such column")
		case !c.Insertable():
			return nil, noColumn(table, want.Name, "it is "+c.DefaultKind+", which the server fills in by itself")
		}
		special[want.Name] = want
	}
	return special, nil
}

func noColumn(table *cluster.Table, name, reason string) error {
	return &PermanentError{Err: &cluster.ConfigError{
		Field:  "columns",
		Reason: fmt.Sprintf("column %q cannot be inserted into %s.%s: %s", name, table.Database, table.Name, reason),
	}}
}

// stringsQuery is a select of String columns that appends its rows to out.
func stringsQuery(body string, columns int, out *[][]string) ch.Query {
	data := make([]proto.ColStr, columns)
	result := make(proto.Results, columns)
	for i := range data {
		result[i].Data = &data[i]
	}
	return ch.Query{Body: body, Result: result, OnResult: func(context.Context, proto.Block) error {
		for i := range data[0].Rows() {
			row := make([]string, columns)
			for j := range data {
				row[j] = data[j].Row(i)
			}
			*out = append(*out, row)
		}
		for i := range data {
			data[i].Reset()
		}
		return nil
	}}
}
