package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// ViewError is a table behind a materialized view for which delivery promises less than for the table that is inserted into.
type ViewError struct {
	Host    string
	View    string // database.name
	Table   string // that the view writes to
	Problem string
	Run     string // the SQL statement that helps, if one does
}

func (e *ViewError) Error() string {
	msg := fmt.Sprintf("materialized view %s on %s, into %s: %s", e.View, e.Host, e.Table, e.Problem)
	if e.Run != "" {
		msg += "; run: " + e.Run
	}
	return msg
}

// viewDepth bounds how far views are followed that read from tables behind views.
const viewDepth = 8

// CheckViews looks for materialized views behind the table whose own tables do not recognise a repeated block as surely as the table does. One
// replica of each shard is asked. The error joins a *ViewError for each, once for all shards; any other error is that nobody could be asked.
func (c *Cluster) CheckViews(ctx context.Context, l *Layout) error {
	var problems []error
	told := map[string]bool{}
	for i := range l.Shards {
		if l.Shards[i].Weight == 0 {
			continue
		}
		conn, err := c.Acquire(ctx, l, i)
		if err != nil {
			return err
		}
		found, err := c.viewProblems(ctx, conn, l, l.Shards[i].Database)
		conn.Release(err)
		if err != nil {
			return fmt.Errorf("looking for materialized views: %w", err)
		}
		for _, p := range found {
			if !told[p.View] {
				told[p.View] = true
				problems = append(problems, p)
			}
		}
	}
	return errors.Join(problems...)
}

// relation is a table by its names.
type relation struct{ database, name string }

func (r relation) String() string { return quoteTable(r.database, r.name) }

func (c *Cluster) viewProblems(ctx context.Context, conn *Conn, l *Layout, database string) ([]*ViewError, error) {
	var problems []*ViewError
	seen := map[relation]bool{}
	next := []relation{{database, l.Table.Name}}
	for range viewDepth {
		views, err := conn.viewsOf(ctx, next)
		if err != nil {
			return nil, err
		}
		next = next[:0:0]
		for _, v := range views {
			if seen[v.name] {
				continue
			}
			seen[v.name] = true
			p, err := c.judgeView(ctx, conn, l, v)
			if err != nil {
				return nil, err
			}
			if p != nil {
				problems = append(problems, p)
			}
			next = append(next, v.target)
		}
		if len(next) == 0 {
			break
		}
	}
	return problems, nil
}

// view is a materialized view and the table that it fills.
type view struct{ name, target relation }

// viewsOf lists the views that an insert into one of the tables feeds. system.tables has them by the table that they read from.
func (c *Conn) viewsOf(ctx context.Context, tables []relation) ([]view, error) {
	where := make([]string, len(tables))
	for i, t := range tables {
		where[i] = fmt.Sprintf("(%s, %s)", quoteString(t.database), quoteString(t.name))
	}
	rows, err := c.rows(ctx, []string{"database", "name", "uuid", "create_table_query"},
		"FROM system.tables WHERE engine = 'MaterializedView' AND (database, name) IN (SELECT arrayJoin(arrayZip(dependencies_database, dependencies_table)) "+
			"FROM system.tables WHERE (database, name) IN ("+strings.Join(where, ", ")+"))")
	if err != nil {
		return nil, err
	}
	var views []view
	for _, r := range rows {
		v := view{name: relation{r[0], r[1]}}
		target, ok := viewTarget(r[3])
		switch {
		case ok && target.database == "":
			v.target = relation{r[0], target.name}
		case ok:
			v.target = target
		case r[2] == "00000000-0000-0000-0000-000000000000":
			v.target = relation{r[0], ".inner." + r[1]}
		default:
			v.target = relation{r[0], ".inner_id." + r[2]}
		}
		views = append(views, v)
	}
	return views, nil
}

// viewTarget reads the table behind TO in a view's definition, as a server prints it. Without one the view keeps its rows itself.
func viewTarget(create string) (target relation, ok bool) {
	s := lexer{src: create}
	depth := 0
	for {
		t, err := s.next()
		if err != nil || t.kind == tokenEnd {
			return target, false
		}
		switch word := strings.ToUpper(t.text); {
		case t.text == "(":
			depth++
		case t.text == ")":
			depth--
		case depth > 0 || t.kind != tokenWord:
		case word == "TO":
			return s.relation()
		case word == "AS" || word == "ENGINE":
			return target, false
		}
	}
}

// relation reads [database.]name.
func (s *lexer) relation() (r relation, ok bool) {
	first, err := s.next()
	if err != nil || first.kind != tokenWord && first.kind != tokenIdentifier {
		return r, false
	}
	at := s.pos
	if dot, err := s.next(); err != nil || dot.text != "." {
		s.pos = at
		return relation{name: first.value}, true
	}
	second, err := s.next()
	if err != nil {
		return r, false
	}
	return relation{first.value, second.value}, true
}

// judgeView says what is promised less of the table behind a view; nil when nothing is.
func (c *Cluster) judgeView(ctx context.Context, conn *Conn, l *Layout, v view) (*ViewError, error) {
	rows, err := conn.rows(ctx, []string{"engine", "engine_full"},
		fmt.Sprintf("FROM system.tables WHERE database = %s AND name = %s", quoteString(v.target.database), quoteString(v.target.name)))
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	t := &Table{Engine: rows[0][0], EngineFull: rows[0][1]}
	problem := &ViewError{Host: conn.Replica().String(), View: v.name.String(), Table: v.target.String()}
	switch {
	case t.Engine == "Null":
		return nil, nil // it keeps nothing, and what reads from it is looked at next
	case !t.MergeTree():
		problem.Problem = fmt.Sprintf("its engine %s does not recognise a repeated block, so a retry doubles the view's rows", t.Engine)
		return problem, nil
	case t.Replicated():
		return c.judgeWindow(ctx, conn, t, "replicated_deduplication_window", problem)
	}
	missing, err := c.judgeWindow(ctx, conn, t, "non_replicated_deduplication_window", problem)
	switch {
	case missing != nil || err != nil:
		return missing, err
	case l.Table.Replicated():
		problem.Problem = "it is not Replicated and the table is, so a retry on another replica, which does not know the view's blocks there, doubles its rows; use a Replicated engine"
	default:
		problem.Problem = "it is not Replicated, so a server killed in the middle of an insert may remember one of the view's blocks that it lost, which nothing can find out; " +
			"after a server was killed, compare the view with the table, or use a Replicated engine"
	}
	return problem, nil
}

func (c *Cluster) judgeWindow(ctx context.Context, conn *Conn, t *Table, window string, problem *ViewError) (*ViewError, error) {
	settings, err := c.engineSettings(ctx, conn, t)
	if err != nil || settings[window] > 0 {
		return nil, err
	}
	problem.Problem = fmt.Sprintf("it does not remember inserted blocks (%s is 0), so a retry doubles the view's rows", window)
	problem.Run = fmt.Sprintf("ALTER TABLE %s MODIFY SETTING %s = %d", problem.Table, window, suggestedBlocks)
	return problem, nil
}
