package instructions

import (
	"fmt"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/clickhouse/sharding"
	"github.com/benthos-clickhouse/connect/tests/clickstream"
)

// Rows of the fixed input.
const Rows = 2000

// Stage is a part of a row's way that can be run over the whole input again and again.
type Stage struct {
	Name    string
	passes  int // that are counted: many of a stage that takes few instructions, so that the runtime's own do not show
	prepare func(docs [][]byte) (pass func() error, err error)
}

// Stages in the order of a row's way.
var Stages = []Stage{
	{"join", 8, join},       // find the keys of three dimensions, look them up in a warm cache, splice the rows in
	{"decode", 8, decode},   // raw JSON to columns
	{"route", 60, route},    // sharding expression and slots
	{"encode", 400, encode}, // columns to ClickHouse's Native format, uncompressed
}

// Prepare makes the stage ready; each call of pass then takes all Rows events through it.
func Prepare(name string) (pass func() error, err error) {
	for _, s := range Stages {
		if s.Name == name {
			return s.prepare(events())
		}
	}
	return nil, fmt.Errorf("there is no stage %q", name)
}

// Run does so many passes of the stage over the input.
func Run(name string, passes int) error {
	pass, err := Prepare(name)
	for n := 0; n < passes && err == nil; n++ {
		err = pass()
	}
	return err
}

// events are 21 fields and about 490 bytes each.
func events() [][]byte {
	g := clickstream.New(clickstream.Options{Seed: 1, Malformed: -1})
	docs := make([][]byte, Rows)
	for i := range docs {
		docs[i], _ = g.Next(nil)
	}
	return docs
}

// columns of the table; names and types of config/clickhouse/01_events.sql.
var columns = [][2]string{
	{"event_id", "UUID"},
	{"ts", "DateTime64(3, 'UTC')"},
	{"event_type", "LowCardinality(String)"},
	{"user_id", "UInt64"},
	{"session_id", "String"},
	{"device_id", "String"},
	{"platform", "LowCardinality(String)"},
	{"app_version", "LowCardinality(String)"},
	{"url", "String"},
	{"referrer", "String"},
	{"sku", "String"},
	{"geo_id", "UInt32"},
	{"channel_code", "LowCardinality(String)"},
	{"price", "Decimal(12, 2)"},
	{"quantity", "UInt16"},
	{"currency", "LowCardinality(String)"},
	{"duration_ms", "UInt32"},
	{"is_new_user", "Bool"},
	{"experiments", "Array(LowCardinality(String))"},
	{"attributes", "Map(LowCardinality(String), String)"},
	{"ip", "IPv4"},
}

func plan() (*column.Plan, error) {
	fields := make([]column.Field, len(columns))
	for i, c := range columns {
		fields[i] = column.Field{Column: c[0], Type: c[1]}
	}
	return column.NewPlan(fields, column.Options{})
}

func decode(docs [][]byte) (func() error, error) {
	p, err := plan()
	if err != nil {
		return nil, err
	}
	r, block := p.NewReader(), p.NewBlock(0)
	return func() error { return fill(r, block, docs) }, nil
}

func fill(r *column.Reader, block *column.Block, docs [][]byte) error {
	block.Reset()
	for _, doc := range docs {
		if err := r.ReadJSON(doc); err != nil {
			return err
		}
		if err := block.Append(r); err != nil {
			return err
		}
	}
	return nil
}

func encode(docs [][]byte) (func() error, error) {
	p, err := plan()
	if err != nil {
		return nil, err
	}
	block := p.NewBlock(0)
	if err := fill(p.NewReader(), block, docs); err != nil {
		return nil, err
	}
	var buf proto.Buffer
	return func() error {
		buf.Reset()
		input := block.Input()
		b := proto.Block{Info: proto.BlockInfo{BucketNum: -1}, Columns: len(input), Rows: block.Rows()}
		return b.EncodeBlock(&buf, proto.Version, input)
	}, nil
}

// routed are the arguments of the sharding expression: one number and one string.
var routed = []string{"user_id", "session_id"}

func route(docs [][]byte) (func() error, error) {
	p, err := plan()
	if err != nil {
		return nil, err
	}
	expr, err := sharding.Parse("cityHash64(user_id, session_id)")
	if err != nil {
		return nil, err
	}
	keys := make([]int, len(routed))
	types := make([]*column.Type, len(routed))
	for i, name := range routed {
		keys[i], types[i], _ = p.Column(name)
	}
	f, err := expr.Bind(types)
	if err != nil {
		return nil, err
	}
	slots, err := sharding.NewSlots([]uint32{1, 2, 1})
	if err != nil {
		return nil, err
	}
	rows, err := values(p, keys, docs)
	if err != nil {
		return nil, err
	}
	router := sharding.NewTable(f, slots)
	return func() error {
		for i := range rows {
			if _, err := router.Shard(rows[i], sharding.Record{Offset: int64(i)}); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// values are those of the columns given, of every event.
func values(p *column.Plan, cols []int, docs [][]byte) ([][]column.Value, error) {
	r := p.NewReader()
	rows := make([][]column.Value, len(docs))
	for i, doc := range docs {
		if err := r.ReadJSON(doc); err != nil {
			return nil, err
		}
		rows[i] = make([]column.Value, len(cols))
		for k, col := range cols {
			v := &rows[i][k]
			if err := r.Key(col, v); err != nil {
				return nil, err
			}
			v.B = append([]byte(nil), v.B...)
		}
	}
	return rows, nil
}
