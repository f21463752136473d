package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"github.com/benthos-clickhouse/connect/tests/clickstream"
	"github.com/benthos-clickhouse/connect/tests/demo"
	"github.com/benthos-clickhouse/connect/tests/services"
)

// Options say what to measure.
type Options struct {
	Rows   int      // per scenario
	Repeat int      // runs of each scenario; the median by CPU is reported
	Only   []string // names of scenarios; all when empty
	Binary string
	Root   string

	Profile string // directory for a CPU and a heap profile of each scenario; none when empty
	Out     io.Writer
}

// Bench holds the servers that all scenarios share.
type Bench struct {
	opts    Options
	dir     string
	kafka   string
	dsn     string
	stop    func()
	cluster *services.Cluster
	topics  map[string]float64 // mean size of an event, by topic that is filled
	tables  map[string]bool    // databases that exist
	runs    int

	startCPU, startSeconds float64 // of a process without work
}

// nodes is the number of ClickHouse processes; more shards than that share them.
const nodes = 2

// New starts the servers: a broker and MySQL in a process of their own, and ClickHouse.
func New(ctx context.Context, opts Options) (_ *Bench, err error) {
	b := &Bench{opts: opts, topics: map[string]float64{}, tables: map[string]bool{}}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	if b.dir, err = os.MkdirTemp("", "benthos-clickhouse-bench-"); err != nil {
		return nil, fmt.Errorf("making a working directory: %w", err)
	}
	if b.kafka, b.dsn, b.stop, err = demo.StartEmbedded(nil); err != nil {
		return nil, err
	}
	if b.cluster, err = services.Start(ctx, services.Options{
		ClickHouse: true, Shards: nodes, Dir: filepath.Join(b.dir, "servers"), Clusters: clusters(), Log: opts.Out,
	}); err != nil {
		return nil, err
	}
	return b, b.fillDimensions(ctx)
}

// Close stops the servers.
func (b *Bench) Close() {
	if b.cluster != nil {
		b.cluster.Stop()
	}
	if b.stop != nil {
		b.stop()
	}
	os.RemoveAll(b.dir)
}

// clusters defines one per set of tables: shard i in its own database, spread over the nodes.
func clusters() map[string][]services.Shard {
	out := map[string][]services.Shard{}
	for _, s := range append(Scenarios(), latencyScenario(time.Second, 0)) {
		var shards []services.Shard
		for i := range s.Shards {
			shards = append(shards, services.Shard{Weight: 1, Replicas: []services.Replica{{Node: i % nodes, Database: s.shardDatabase(i)}}})
		}
		out[s.cluster()+"_"+s.database()] = shards
	}
	return out
}

func (b *Bench) fillDimensions(ctx context.Context) error {
	db, err := sql.Open("mysql", b.dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	script, err := os.ReadFile(filepath.Join(b.opts.Root, "config", "mysql", "01_dimensions.sql"))
	if err != nil {
		return err
	}
	for _, stmt := range append(services.Statements(string(script)), (clickstream.Options{}).MySQLInserts()...) {
		if _, err := db.ExecContext(ctx, stmt); err != nil {
			return fmt.Errorf("filling the dimensions: %w", err)
		}
	}
	return nil
}

// prepare makes the topic and the tables that a scenario needs, once.
func (b *Bench) prepare(ctx context.Context, s Scenario) (meanBytes float64, err error) {
	if _, ok := b.topics[s.topic()]; !ok {
		say(b.opts.Out, "Producing %d events to %s …", b.opts.Rows, s.topic())
		if b.topics[s.topic()], err = fill(ctx, b.kafka, s.topic(), int32(s.Partitions), s.Shape, b.opts.Rows); err != nil {
			return 0, err
		}
	}
	return b.topics[s.topic()], b.makeTables(ctx, s)
}

func (b *Bench) makeTables(ctx context.Context, s Scenario) error {
	if b.tables[s.database()] {
		return nil
	}
	for n, node := range b.cluster.Servers {
		var here []int
		for i := n; i < s.Shards; i += nodes {
			here = append(here, i)
		}
		if err := node.ExecContext(ctx, strings.Join(s.tables(here), ";\n")); err != nil {
			return fmt.Errorf("making tables for %q: %w", s.Name, err)
		}
	}
	b.tables[s.database()] = true
	return nil
}

// Report is everything that one run measured.
type Report struct {
	Date      time.Time  `json:"date"`
	Machine   string     `json:"machine"`
	Rows      int        `json:"rows"`
	StartCPU  float64    `json:"start_cpu_seconds"` // of a process that starts, finds no records, and ends
	Start     float64    `json:"start_seconds"`     // until its input and output are connected
	Results   []*Result  `json:"results"`
	Stages    []*Stage   `json:"stages,omitempty"`
	Baselines []*Stage   `json:"baselines,omitempty"`
	Latencies []*Latency `json:"latencies,omitempty"`

	Calibration   []Calibration `json:"calibration,omitempty"`
	MachineFactor float64       `json:"machine_factor,omitempty"` // how many times as long as on the machine of the budgets
}

// Run measures all scenarios asked for, one after the other.
func (b *Bench) Run(ctx context.Context) (*Report, error) {
	r := &Report{Date: time.Now().UTC().Truncate(time.Second), Machine: machine(), Rows: b.opts.Rows}
	if err := b.startup(ctx); err != nil {
		return r, err
	}
	r.StartCPU, r.Start = b.startCPU, b.startSeconds
	for _, s := range Scenarios() {
		if !wanted(b.opts.Only, s.Name) {
			continue
		}
		var runs []*Result
		for range max(1, b.opts.Repeat) {
			res, err := b.run(ctx, b.opts.Binary, s)
			if err != nil {
				return r, err
			}
			runs = append(runs, res)
		}
		r.Results = append(r.Results, median(runs))
		say(b.opts.Out, "%-32s %6.2f µs/row", s.Name, r.Results[len(r.Results)-1].NetMicros)
	}
	if len(r.Results) == 0 {
		return r, errNoScenario
	}
	return r, nil
}

var errNoScenario = errors.New("no scenario has one of the names given")

func wanted(only []string, name string) bool {
	if len(only) == 0 {
		return true
	}
	for _, o := range only {
		if o == name {
			return true
		}
	}
	return false
}

// machine says what the figures were measured on, as far as the kernel tells.
func machine() string {
	model := "unknown processor"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for _, line := range strings.Split(string(info), "\n") {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				model = strings.TrimSpace(strings.TrimLeft(name, "\t :"))
				break
			}
		}
	}
	return fmt.Sprintf("%d cores, %s, %s", runtime.NumCPU(), model, runtime.Version())
}
