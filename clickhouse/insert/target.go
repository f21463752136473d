package insert

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/clickhouse/sharding"
)

// target is what batches are cut for: the shards, the columns, how a record is read and where it goes. It is immutable but for
// its pools; a change of the topology or of the columns makes a new one.
type target struct {
	source  *cluster.Layout // as the cluster has it
	layout  *cluster.Layout // source, with the weights that rows are routed by
	weighed time.Time       // when these were found, under free_space
	plan    *column.Plan
	keys    []int // plan columns whose values the router wants, in its order
	route   func(*cluster.Layout) (sharding.Router, error)
	router  sharding.Router // for layout

	volatile bool     // the shard does not follow from the columns alone
	changes  *changes // nil where a record is a row

	// provenance columns of the plan, "" where the table has none
	topicColumn, partitionColumn, offsetColumn string

	windows chan *window
	mu      sync.Mutex
	parts   map[uint64]chan *part // by omitted mask
	spare   int                   // capacity of each of these
}

// newTarget compiles the layout's table. Its errors name the column, type, function or field at fault.
func (w *Writer) newTarget(ctx context.Context, l *cluster.Layout) (*target, error) {
	fields, err := w.fields(ctx, l)
	if err != nil {
		return nil, err
	}
	opts := column.Options{UnknownFields: w.opts.UnknownFields, RejectDuplicates: w.opts.RejectDuplicates}
	for _, c := range l.Table.Columns {
		opts.Existing = append(opts.Existing, c.Name)
	}
	if l.Table.Timezone != "" {
		if opts.Location, err = time.LoadLocation(l.Table.Timezone); err != nil {
			return nil, fmt.Errorf("loading the server's time zone %q: %w", l.Table.Timezone, err)
		}
	}
	plan, err := column.NewPlan(fields, opts)
	if err != nil {
		return nil, &PermanentError{Err: err, Advice: "name the columns to insert in `columns`, without this one, or change its type"}
	}
	t := &target{source: l, layout: l, plan: plan, spare: max(4, w.opts.Writes*len(l.Shards)), parts: map[uint64]chan *part{}}
	t.windows = make(chan *window, w.opts.Writes)
	for _, f := range fields {
		switch f.Source {
		case column.Meta(metaTopic):
			t.topicColumn = f.Column
		case column.Meta(metaPartition):
			t.partitionColumn = f.Column
		case column.Meta(metaOffset):
			t.offsetColumn = f.Column
		}
	}
	if err := w.bindRoute(ctx, t); err != nil {
		return nil, err
	}
	if err := w.bindChanges(t, fields); err != nil {
		return nil, err
	}
	if w.opts.Strategy == StrategyFreeSpace {
		if t.layout, err = w.weighedBySpace(ctx, l); err != nil {
			return nil, err
		}
		t.weighed = time.Now()
	}
	if t.router, err = t.route(t.layout); err != nil {
		return nil, err
	}
	w.warnOfZones(l.Table)
	return t, nil
}

// The metadata whose columns allow landed rows to be looked up.
const (
	metaTopic     = "kafka_topic"
	metaPartition = "kafka_partition"
	metaOffset    = "kafka_offset"
	metaTimestamp = "kafka_timestamp_ms"
)

// traceable tells whether it can be found out which rows of a range are in: the table keeps where in Kafka each comes from. With replacing
// that need not be known, because a row that is there already changes nothing; with collapsing it cannot be.
func (t *target) traceable() bool {
	if t.changes != nil {
		return t.changes.repeatable()
	}
	return t.topicColumn != "" && t.partitionColumn != "" && t.offsetColumn != ""
}

// bindRoute finds the router's columns in the plan.
func (w *Writer) bindRoute(ctx context.Context, t *target) error {
	names := w.opts.Key
	var expr *sharding.Expr
	if w.opts.Strategy == StrategyTable && len(t.layout.Shards) > 1 {
		var err error
		if expr, err = tableExpr(t.layout.Table); err != nil {
			return err
		}
		names = expr.Columns()
	}
	types := make([]*column.Type, len(names))
	for i, name := range names {
		c, typ, ok := t.plan.Column(name)
		if !ok {
			return &PermanentError{
				Err:    fmt.Errorf("column %q decides which shard a row goes to, but is not among the columns inserted", name),
				Advice: "add it to `columns`, or choose another routing.strategy",
			}
		}
		t.keys, types[i] = append(t.keys, c), typ
	}
	if expr == nil {
		t.route = func(l *cluster.Layout) (sharding.Router, error) { return w.strategyRouter(l, names, types) }
		return nil
	}
	f, err := expr.Bind(types, sharding.ServerZone(t.layout.Table.Timezone))
	if err != nil {
		return &PermanentError{Err: err}
	}
	if err := zoneOfKey(f, t.layout.Table); err != nil {
		return err
	}
	t.volatile = !f.Deterministic()
	t.route = func(l *cluster.Layout) (sharding.Router, error) {
		slots, err := sharding.NewSlots(l.Weights())
		if err != nil {
			return nil, &PermanentError{Err: err, Advice: "give at least one shard a weight in remote_servers"}
		}
		return sharding.NewTable(f, slots), nil
	}
	return w.prove(ctx, f)
}

// tableExpr parses the Distributed table's sharding key.
func tableExpr(table *cluster.Table) (*sharding.Expr, error) {
	const advice = "choose another routing.strategy"
	if !table.Distributed {
		return nil, &PermanentError{
			Err:    fmt.Errorf("routing.strategy is table, but %s.%s was not reached through a Distributed table, so there is no sharding key to follow", table.Database, table.Name),
			Advice: "name the Distributed table in `table`, or " + advice,
		}
	}
	if table.ShardingKey == "" {
		return nil, &PermanentError{
			Err:    fmt.Errorf("the Distributed table %s has several shards and no sharding key", table.DistributedName),
			Advice: "create it with one, or " + advice,
		}
	}
	expr, err := sharding.Parse(table.ShardingKey)
	if err != nil {
		return nil, &PermanentError{Err: err}
	}
	return expr, nil
}

// strategyRouter makes the router of every strategy but table; that one comes here only with a single shard.
func (w *Writer) strategyRouter(l *cluster.Layout, names []string, types []*column.Type) (sharding.Router, error) {
	if w.opts.Strategy == StrategyConsistentHash {
		return permanentRouter(sharding.NewConsistentHash(names, types, l.Weights()))
	}
	slots, err := sharding.NewSlots(l.Weights())
	if err != nil {
		return nil, &PermanentError{Err: err, Advice: "give at least one shard a weight in remote_servers"}
	}
	switch w.opts.Strategy {
	case StrategyHash:
		return permanentRouter(sharding.NewHash(names, types, slots))
	case StrategyRandom, StrategyFreeSpace:
		return sharding.NewRandom(slots), nil
	default:
		return sharding.NewRoundRobin(slots), nil
	}
}

func permanentRouter(r sharding.Router, err error) (sharding.Router, error) {
	if err != nil {
		return nil, &PermanentError{Err: err}
	}
	return r, nil
}

// takeWindow and giveWindow recycle the per-goroutine scratch.
func (t *target) takeWindow() *window {
	select {
	case w := <-t.windows:
		return w
	default:
		return newWindow(t.plan)
	}
}

func (t *target) giveWindow(w *window) {
	w.reset()
	select {
	case t.windows <- w:
	default:
	}
}

// takePart and givePart recycle parts: the block of one set of columns, and the list of its records. What does not fit is left to the
// collector, so that a burst does not stay in memory for ever.
func (t *target) takePart(omitted uint64) *part {
	select {
	case p := <-t.pool(omitted):
		return p
	default:
		return &part{omitted: omitted, block: t.plan.NewBlock(omitted)}
	}
}

func (t *target) givePart(p *part) {
	p.block.Reset()
	p.rows, p.pending, p.split, p.name, p.checked = p.rows[:0], p.pending[:0], nil, "", 0
	select {
	case t.pool(p.omitted) <- p:
	default:
	}
}

// maxPools bounds the sets of omitted columns for which blocks are kept.
const maxPools = 64

func (t *target) pool(omitted uint64) chan *part {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, ok := t.parts[omitted]
	if ok || len(t.parts) == maxPools {
		return p // nil, which takes and gives nothing, for rows that leave out ever other columns
	}
	spare := t.spare
	if len(t.parts) > 8 {
		spare = 1
	}
	p = make(chan *part, spare)
	t.parts[omitted] = p
	return p
}

// statement is the INSERT that goes before a block.
func statement(table string, input proto.Input) string {
	var b strings.Builder
	b.WriteString("INSERT INTO ")
	b.WriteString(table)
	b.WriteString(" (")
	for i, c := range input {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quoteName(c.Name))
	}
	b.WriteString(") VALUES")
	return b.String()
}

// quoteName writes an identifier so that ClickHouse reads it back unchanged.
func quoteName(name string) string { return "`" + nameEscapes.Replace(name) + "`" }

// quoteText writes a string literal.
func quoteText(s string) string { return "'" + textEscapes.Replace(s) + "'" }

var (
	nameEscapes = strings.NewReplacer("\\", `\\`, "`", "\\`", "\x00", `\0`)
	textEscapes = strings.NewReplacer("\\", `\\`, "'", `\'`, "\x00", `\0`)
)
