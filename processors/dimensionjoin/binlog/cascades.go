package binlog

import (
	"context"
	"fmt"
	"strings"
)

// readCascades finds the tables whose rows change when one of another is deleted, by foreign keys ON DELETE CASCADE or SET
// NULL: InnoDB changes the rows itself, and the binlog has only the other table's. The result is keyed by the table that is
// logged; all names are folded. MySQL from 9.6 on logs all of them, unless it is told to leave foreign keys to InnoDB.
func (f *Follower) readCascades(ctx context.Context) (map[Table][]Table, error) {
	if native, err := variable(ctx, f.db, "innodb_native_foreign_keys"); err != nil || native == "0" {
		return nil, err
	}
	parents, err := f.readForeignKeys(ctx)
	if err != nil {
		return nil, err
	}
	cascades := map[Table][]Table{}
	for t := range f.tables {
		seen := map[Table]bool{} // without the table itself, which may refer to itself
		for next := []Table{t}; len(next) > 0; next = next[1:] {
			for _, parent := range parents[next[0]] {
				if seen[parent] {
					continue
				}
				seen[parent] = true
				next = append(next, parent)
				cascades[parent] = append(cascades[parent], t)
			}
		}
	}
	return cascades, nil
}

// readForeignKeys returns the tables whose deletes change rows of each table.
func (f *Follower) readForeignKeys(ctx context.Context) (map[Table][]Table, error) {
	var databases []any
	for _, name := range f.databases() {
		databases = append(databases, name)
	}
	rows, err := f.db.QueryContext(ctx, `SELECT CONSTRAINT_SCHEMA, TABLE_NAME, UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME
		FROM information_schema.REFERENTIAL_CONSTRAINTS
		WHERE DELETE_RULE NOT IN ('RESTRICT', 'NO ACTION') AND CONSTRAINT_SCHEMA IN (?`+strings.Repeat(", ?", len(databases)-1)+")", databases...)
	if err != nil {
		return nil, fmt.Errorf("asking the server for foreign keys: %w", err)
	}
	defer rows.Close()
	parents := map[Table][]Table{}
	for rows.Next() {
		var child, parent Table
		if err := rows.Scan(&child.Database, &child.Name, &parent.Database, &parent.Name); err != nil {
			return nil, fmt.Errorf("asking the server for foreign keys: %w", err)
		}
		child = f.fold(child)
		parents[child] = append(parents[child], f.fold(parent))
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("asking the server for foreign keys: %w", err)
	}
	return parents, nil
}
