package sharding

import (
	"fmt"
	"strings"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
)

// Router assigns rows to shards. Implementations are immutable and safe for concurrent use.
type Router interface {
	// Columns names the columns whose values Shard wants, in order. Empty: rows are spread by their Record alone.
	Columns() []string
	// Shard returns the index, from 0, of the row's shard. An error is about this row only (*EvalError).
	Shard(vals []column.Value, rec Record) (int, error)
}

type tableRouter struct {
	f     *Func
	slots *Slots
}

// NewTable routes as an INSERT into the Distributed table would: by its sharding expression and the shards' weights.
func NewTable(f *Func, slots *Slots) Router { return &tableRouter{f, slots} }

func (r *tableRouter) Columns() []string { return r.f.Columns() }

func (r *tableRouter) Shard(vals []column.Value, rec Record) (int, error) {
	v, err := r.f.Eval(vals, rec)
	if err != nil {
		return 0, err
	}
	return r.slots.Shard(v), nil
}

// NewHash routes by `cityHash64((column, …))` of the given columns and the shards' weights, so that the same placement
// can be had from ClickHouse by giving the Distributed table that sharding key. NULL is a key like any other.
func NewHash(columns []string, types []*column.Type, slots *Slots) (Router, error) {
	f, err := keyFunc(columns, types)
	if err != nil {
		return nil, err
	}
	return &tableRouter{f, slots}, nil
}

// keyFunc hashes the given columns together.
func keyFunc(columns []string, types []*column.Type) (*Func, error) {
	if len(columns) == 0 {
		return nil, fmt.Errorf("hashing needs at least one key column: set routing.key")
	}
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = quoteIdentifier(c)
	}
	expr, err := Parse("cityHash64(tuple(" + strings.Join(quoted, ", ") + "))")
	if err != nil {
		return nil, err
	}
	return expr.Bind(types)
}
