package chaos

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/benthos-clickhouse/connect/tests/connector"
	"github.com/benthos-clickhouse/connect/tests/proxy"
	"github.com/benthos-clickhouse/connect/tests/services"
)

const (
	shards   = 2
	replicas = 2
	spare    = shards * replicas // index of the node that a resize adds as a third shard
)

const tables = `
CREATE DATABASE chaos;
CREATE TABLE chaos.events_local (
  id UInt64, user_id UInt64, ts DateTime64(3, 'UTC'), sku LowCardinality(String), amount Int64, tags Array(String), product_name Nullable(String),
  kafka_topic LowCardinality(String), kafka_partition Int32, kafka_offset Int64
) ENGINE = MergeTree ORDER BY (user_id, id) SETTINGS non_replicated_deduplication_window = 100000;
CREATE TABLE chaos.events AS chaos.events_local ENGINE = Distributed('events_cluster', 'chaos', 'events_local', cityHash64(user_id));
CREATE TABLE chaos.per_user_local (user_id UInt64, events UInt64, amount Int64)
  ENGINE = SummingMergeTree ORDER BY user_id SETTINGS non_replicated_deduplication_window = 100000;
CREATE MATERIALIZED VIEW chaos.per_user_mv TO chaos.per_user_local AS
  SELECT user_id, count() AS events, sum(amount) AS amount FROM chaos.events_local GROUP BY user_id;
`

// world is everything that runs.
type world struct {
	opts     Options
	dir      string
	cluster  *services.Cluster
	out      io.Writer
	proxies  []*proxy.Proxy // one for each ClickHouse node
	mysql    *proxy.Proxy
	kafka    *proxy.Proxy
	config   string
	mu       sync.Mutex
	first    *connector.Process
	second   *connector.Process // nil while there is one consumer only
	lives    atomic.Int64       // of connectors
	resized  int                // how often
	healing  sync.WaitGroup     // faults whose end is still to come
	busy     map[string]bool
	fast     atomic.Bool
	produced atomic.Int64
	errs     chan error
}

func newWorld(ctx context.Context, opts Options, dir string) (*world, error) {
	w := &world{opts: opts, dir: dir, out: opts.Out, busy: map[string]bool{}, errs: make(chan error, 64)}
	behind, err := connector.FreeAddr()
	if err != nil {
		return nil, err
	}
	if w.kafka, err = proxy.New(behind); err != nil {
		return nil, err
	}
	w.cluster, err = services.Start(ctx, services.Options{
		ClickHouse: true, Shards: shards, Replicas: replicas, Nodes: spare + 1, WriteAll: opts.Variant == WriteAll,
		Kafka: true, KafkaPartitions: partitions, KafkaListeners: map[string]string{behind: w.kafka.Addr()}, MariaDB: true,
		Dir: filepath.Join(dir, "servers"), Log: opts.Out,
	})
	if err != nil {
		w.kafka.Close()
		return nil, err
	}
	if err := w.prepare(ctx); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *world) prepare(ctx context.Context) error {
	for _, n := range w.cluster.Servers {
		if err := n.ExecContext(ctx, tables); err != nil {
			return fmt.Errorf("making tables on %s: %w", n.Addr(), err)
		}
		p, err := proxy.New(n.Addr())
		if err != nil {
			return err
		}
		w.proxies = append(w.proxies, p)
	}
	var err error
	if w.mysql, err = proxy.New(w.cluster.MySQL.Addr()); err != nil {
		return err
	}
	if err := w.dimensions(ctx); err != nil {
		return err
	}
	if err := w.createTopics(ctx); err != nil {
		return err
	}
	if err := w.writeConfig(); err != nil {
		return err
	}
	w.first, err = w.consumer("first")
	return err
}

// consumer starts a process of the binary.
func (w *world) consumer(name string) (*connector.Process, error) {
	p := &connector.Process{Binary: w.opts.Binary, Config: w.config, Env: w.opts.Env, LogPath: filepath.Join(w.dir, "connect-"+name+".log")}
	return p, w.start(p)
}

// start begins another life of a connector.
func (w *world) start(p *connector.Process) error {
	w.lives.Add(1)
	return p.Start()
}

func (w *world) dimensions(ctx context.Context) error {
	var rows []string
	for i := range products {
		rows = append(rows, fmt.Sprintf("('sku-%d', 'Product %d')", i, i))
	}
	return w.cluster.MySQL.ExecContext(ctx,
		"CREATE TABLE dim_product (sku VARCHAR(32) COLLATE utf8mb4_bin PRIMARY KEY, name VARCHAR(80) NOT NULL);"+
			"INSERT INTO dim_product VALUES "+strings.Join(rows, ", "))
}

func (w *world) createTopics(ctx context.Context) error {
	admin, closeAdmin, err := w.admin()
	if err != nil {
		return err
	}
	defer closeAdmin()
	for _, name := range []string{topic, deadTopic, copyTopic} {
		res, err := admin.CreateTopic(ctx, partitions, 1, nil, name)
		if err == nil {
			err = res.Err
		}
		if err != nil {
			return fmt.Errorf("creating topic %s: %w", name, err)
		}
	}
	return nil
}

func (w *world) admin() (*kadm.Client, func(), error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(w.cluster.Kafka.Addr()))
	if err != nil {
		return nil, nil, fmt.Errorf("connecting to Kafka: %w", err)
	}
	return kadm.NewClient(client), client.Close, nil
}

// drain waits until the group has committed the end of the topic.
func (w *world) drain(ctx context.Context) error {
	admin, closeAdmin, err := w.admin()
	if err != nil {
		return err
	}
	defer closeAdmin()
	last, changed := int64(-1), time.Now()
	for {
		lag := connector.Lag(ctx, admin, group, topic, partitions)
		if lag == 0 {
			return nil
		}
		if lag != last {
			last, changed = lag, time.Now()
		}
		if time.Since(changed) > 2*time.Minute {
			return fmt.Errorf("the pipeline does not catch up: a lag of %d has not changed for two minutes", lag)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("draining, with a lag of %d: %w", lag, ctx.Err())
		case <-time.After(300 * time.Millisecond):
		}
	}
}

func (w *world) close() {
	for _, c := range []*connector.Process{w.first, w.second} {
		if c != nil {
			c.Kill()
		}
	}
	for _, p := range w.proxies {
		p.Close()
	}
	if w.mysql != nil {
		w.mysql.Close()
	}
	w.kafka.Close()
	w.cluster.Stop()
}

// keepLogs moves the connectors' logs to where they outlive the run.
func (w *world) keepLogs(to string) {
	_ = os.MkdirAll(to, 0o755)
	logs, _ := filepath.Glob(filepath.Join(w.dir, "*.log"))
	for _, log := range logs {
		_ = os.Rename(log, filepath.Join(to, filepath.Base(log)))
	}
}
