package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	"golang.org/x/sync/errgroup"
)

// describeConcurrency bounds how many replicas are asked at the same time.
const describeConcurrency = 16

// description is the local table as one replica has it.
type description struct {
	shard   *Shard
	replica *Replica
	table   *Table
	err     error
}

// describeAll asks every replica that answers for its local table, requires them to be the same, and puts it into the layout.
func (c *Cluster) describeAll(ctx context.Context, l *Layout) error {
	all := c.descriptions(ctx, l)
	if err := c.missing(l, all); err != nil {
		return err
	}
	var first *description
	var differences []Difference
	var failed []error
	for i := range all {
		d := &all[i]
		switch {
		case d.err != nil:
			failed = append(failed, addressed(d.replica.String(), d.err))
		case first == nil:
			first = d
		default:
			differences = append(differences, compare(first, d)...)
		}
	}
	if first == nil {
		return worst(failed)
	}
	if len(differences) > 0 {
		return &StructureError{Database: first.shard.Database, Table: l.Table.Name, Differences: sortedDifferences(differences)}
	}
	t := *first.table
	t.Database, t.Name, t.Policy, t.ShardingKey = l.Table.Database, l.Table.Name, l.Table.Policy, l.Table.ShardingKey
	t.Distributed, t.DistributedName = l.Table.Distributed, l.Table.DistributedName
	c.settleZone(&t, l)
	l.Table = &t
	return nil
}

func (c *Cluster) descriptions(ctx context.Context, l *Layout) []description {
	var all []description
	for i := range l.Shards {
		for _, r := range l.Shards[i].Replicas {
			all = append(all, description{shard: &l.Shards[i], replica: r})
		}
	}
	var g errgroup.Group
	g.SetLimit(describeConcurrency)
	for i := range all {
		d := &all[i]
		g.Go(func() error {
			d.err = c.on(ctx, d.replica.Address, func(conn *Conn) (err error) {
				d.table, err = c.describe(ctx, conn, d.shard.Database, l.Table.Name)
				return err
			})
			return nil
		})
	}
	_ = g.Wait()
	return all
}

// missing handles what is not a host's passing failure: a refused login or privilege, and a table that is not there. A
// replica without the table is passed over while another one of its shard has it.
func (c *Cluster) missing(l *Layout, all []description) error {
	has := map[uint32]bool{}
	for _, d := range all {
		has[d.shard.Number] = has[d.shard.Number] || d.err == nil
	}
	for _, d := range all {
		var notFound *TableNotFoundError
		switch {
		case errors.As(d.err, &notFound) && has[d.shard.Number]:
			if !d.replica.state.readOnly.Swap(true) {
				c.log.Warn("replica does not have the table, passing it over", "shard", d.shard.Number, "replica", d.replica.String(), "error", d.err)
			}
		case d.err != nil && Fatal(d.err):
			return fmt.Errorf("shard %d: %w", d.shard.Number, d.err)
		case isCircuitOpen(d.err): // said when it opened
		case d.err != nil:
			c.log.Warn("replica could not be asked for its table", "shard", d.shard.Number, "replica", d.replica.String(), "error", d.err)
		}
	}
	return nil
}

// describe reads the local table from one replica.
func (c *Cluster) describe(ctx context.Context, conn *Conn, database, table string) (*Table, error) {
	where := fmt.Sprintf("database = %s AND ", quoteString(database))
	rows, err := conn.rows(ctx, []string{"engine", "engine_full", "sorting_key", "primary_key", "partition_key", "sampling_key", "timezone()"},
		"FROM system.tables WHERE "+where+"name = "+quoteString(table))
	if err != nil {
		return nil, fmt.Errorf("reading system.tables: %w", err)
	}
	if len(rows) == 0 {
		return nil, c.tableNotFound(database, table, conn.node.address)
	}
	r := rows[0]
	if !isTable(r[0]) {
		return nil, &NotATableError{Database: database, Table: table, Engine: r[0]}
	}
	if r[0] == "Distributed" {
		return nil, &NotATableError{Database: database, Table: table, Engine: "Distributed table behind another one"}
	}
	t := &Table{
		Database: database, Name: table, Engine: r[0], EngineFull: r[1], SortingKey: r[2], PrimaryKey: r[3], PartitionKey: r[4],
		SamplingKey: r[5],
	}
	c.noteZone(conn.node.address, r[6])
	cols, err := conn.rows(ctx, []string{"name", "type", "default_kind", "default_expression", "is_in_sorting_key", "is_in_primary_key", "is_in_partition_key"},
		"FROM system.columns WHERE "+where+"table = "+quoteString(table)+" ORDER BY position")
	if err != nil {
		return nil, fmt.Errorf("reading system.columns: %w", err)
	}
	if len(cols) == 0 {
		return nil, &PrivilegeError{
			User: c.cfg.Username, Address: conn.node.address,
			Run: fmt.Sprintf("GRANT SHOW COLUMNS, INSERT ON %s TO %s", quoteTable(database, table), quoteIdentifier(c.cfg.Username)),
		}
	}
	for _, col := range cols {
		t.Columns = append(t.Columns, TableColumn{
			Name: col[0], Type: col[1], DefaultKind: col[2], DefaultExpression: col[3],
			InSortingKey: col[4] == "1", InPrimaryKey: col[5] == "1", InPartitionKey: col[6] == "1",
		})
	}
	return t, nil
}

// compare lists in what the second table is not like the first. The order of columns does not matter: inserts name them.
func compare(a, b *description) []Difference {
	var all []Difference
	note := func(column, want, got string) {
		if want != got {
			all = append(all, Difference{Shard: b.shard.Number, Host: b.replica.String(), Column: column, Want: want, Got: got})
		}
	}
	note("", "of engine "+a.table.Engine, "of engine "+b.table.Engine)
	note("", "partitioned by "+a.table.PartitionKey, "partitioned by "+b.table.PartitionKey)
	note("", "ordered by "+a.table.SortingKey, "ordered by "+b.table.SortingKey)
	for _, col := range a.table.Columns {
		got := "missing"
		if other, ok := b.table.Column(col.Name); ok {
			got = other.definition()
		}
		note(col.Name, col.definition(), got)
	}
	for _, col := range b.table.Columns {
		if _, ok := a.table.Column(col.Name); !ok {
			note(col.Name, "missing", col.definition())
		}
	}
	return all
}

// definition is the column as it would stand in CREATE TABLE.
func (c TableColumn) definition() string {
	return strings.TrimSpace(c.Type + " " + c.DefaultKind + " " + c.DefaultExpression)
}

func isUnknownColumn(err error) bool {
	return ch.IsErr(err, proto.ErrUnknownIdentifier, proto.ErrThereIsNoColumn, proto.ErrNotFoundColumnInBlock)
}
