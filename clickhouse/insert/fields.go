package insert

import (
	"context"
	"fmt"
	"slices"
	"strings"

	ch "github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/clickhouse/column"
)

// fields lists the columns to insert with their sources and defaults.
func (w *Writer) fields(ctx context.Context, l *cluster.Layout) ([]column.Field, error) {
	table := l.Table
	var fields []column.Field
	if len(w.opts.Columns) == 0 {
		for _, c := range l.Insertable() {
			fields = append(fields, column.Field{Column: c.Name, Type: c.Type})
		}
	}
	for _, want := range w.opts.Columns {
		c, ok := table.Column(want.Name)
		if !ok {
			return nil, noColumn(table, want.Name, "the table has no such column")
		}
		if !c.Insertable() {
			return nil, noColumn(table, want.Name, "it is "+c.DefaultKind+", which the server fills in by itself")
		}
		fields = append(fields, column.Field{Column: c.Name, Type: c.Type, Source: want.Source})
	}
	if len(fields) == 0 {
		return nil, &PermanentError{Err: fmt.Errorf("table %s.%s has no column that can be inserted into", table.Database, table.Name)}
	}
	return fields, w.defaults(ctx, table, fields)
}

func noColumn(table *cluster.Table, name, reason string) error {
	return &PermanentError{Err: &cluster.ConfigError{
		Field:  "columns",
		Reason: fmt.Sprintf("column %q cannot be inserted into %s.%s: %s", name, table.Database, table.Name, reason),
	}}
}

// defaults finds out what a missing field is worth. An expression that gives the same value for every row is evaluated once, here;
// everything else is left to the server.
func (w *Writer) defaults(ctx context.Context, table *cluster.Table, fields []column.Field) error {
	volatile, err := w.volatile(ctx, table)
	if err != nil {
		return err
	}
	for i := range fields {
		f := &fields[i]
		c, _ := table.Column(f.Column)
		if c.DefaultExpression == "" || c.DefaultKind != "DEFAULT" && c.DefaultKind != "EPHEMERAL" {
			continue
		}
		if volatile[f.Column] {
			f.Default = column.Default{Kind: column.Server}
			continue
		}
		value, err := w.evaluate(ctx, c)
		if err != nil {
			return fmt.Errorf("evaluating the default of column %q: %w", c.Name, err)
		}
		if value == nil {
			f.Default = column.Default{Kind: column.Server}
			continue
		}
		f.Default = column.Default{Kind: column.Constant, JSON: value}
	}
	return nil
}

// evaluate asks the server for a default's value as JSON; nil when it has none without a row.
func (w *Writer) evaluate(ctx context.Context, c cluster.TableColumn) ([]byte, error) {
	body := fmt.Sprintf("SELECT formatRowNoNewline('JSONCompactEachRow', CAST(%s AS %s))", c.DefaultExpression, c.Type)
	rows, err := w.strings(ctx, body, 1)
	if err != nil {
		if ch.IsException(err) {
			return nil, nil // it depends on other columns, or on something that this user cannot see: the server's business
		}
		return nil, err
	}
	if len(rows) != 1 {
		return nil, nil
	}
	text := strings.TrimSpace(rows[0][0])
	return []byte(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")), nil
}

// volatile tells which columns have a default that calls a function whose value is not the same each time.
func (w *Writer) volatile(ctx context.Context, table *cluster.Table) (map[string]bool, error) {
	called := map[string][]string{} // function in lower case → columns
	for _, c := range table.Columns {
		for _, name := range calls(c.DefaultExpression) {
			name = strings.ToLower(name)
			if !slices.Contains(called[name], c.Name) {
				called[name] = append(called[name], c.Name)
			}
		}
	}
	out := map[string]bool{}
	if len(called) == 0 {
		return out, nil
	}
	rows, err := w.strings(ctx, "SELECT lower(name), toString(is_deterministic) FROM system.functions WHERE is_deterministic = 1", 2)
	if err != nil {
		return nil, fmt.Errorf("reading which functions are deterministic: %w", err)
	}
	for _, row := range rows {
		delete(called, row[0])
	}
	for _, columns := range called {
		for _, c := range columns {
			out[c] = true
		}
	}
	return out, nil
}

// calls lists the names in an expression that a parenthesis follows, string literals aside.
func calls(expr string) []string {
	var names []string
	for i := 0; i < len(expr); {
		switch c := expr[i]; {
		case c == '\'' || c == '`' || c == '"':
			i = skipQuoted(expr, i)
		case isName(c):
			start := i
			for i < len(expr) && isName(expr[i]) {
				i++
			}
			rest := strings.TrimLeft(expr[i:], " \t\n")
			if strings.HasPrefix(rest, "(") {
				names = append(names, expr[start:i])
			}
		default:
			i++
		}
	}
	return names
}

func skipQuoted(s string, i int) int {
	for mark, j := s[i], i+1; j < len(s); j++ {
		switch s[j] {
		case '\\':
			j++
		case mark:
			return j + 1
		}
	}
	return len(s)
}

func isName(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// strings runs a select whose columns are all String, on any host.
func (w *Writer) strings(ctx context.Context, body string, columns int) ([][]string, error) {
	var rows [][]string
	q := stringsQuery(body, columns, &rows)
	if err := w.opts.Cluster.Query(ctx, q); err != nil {
		return nil, err
	}
	return rows, nil
}

// stringsQuery is a select that appends its rows to out.
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
