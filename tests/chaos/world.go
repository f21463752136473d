package chaos

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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
	shards     = 2
	replicas   = 2
	spare      = shards * replicas // index of the node that a resize adds as a third shard
	partitions = 4
	topic      = "events"
	group      = "chaos"
	products   = 500
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
	proxies  []*proxy.Proxy // one per ClickHouse node, then MySQL's
	mysql    *proxy.Proxy
	config   string
	mu       sync.Mutex
	first    *connector.Process
	second   *connector.Process // nil while there is one consumer only
	resized  int                // how often
	healing  sync.WaitGroup     // faults whose end is still to come
	busy     map[string]bool
	fast     atomic.Bool
	produced atomic.Int64
	errs     chan error
}

func newWorld(ctx context.Context, opts Options, dir string) (*world, error) {
	w := &world{opts: opts, dir: dir, busy: map[string]bool{}, errs: make(chan error, 64)}
	var err error
	w.cluster, err = services.Start(ctx, services.Options{
		ClickHouse: true, Shards: shards, Replicas: replicas, Nodes: spare + 1,
		Kafka: true, KafkaPartitions: partitions, MariaDB: true,
		Dir: filepath.Join(dir, "servers"), Log: writerOr(opts.Out),
	})
	if err != nil {
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
	if err := w.createTopic(ctx); err != nil {
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
	return p, p.Start()
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

func (w *world) createTopic(ctx context.Context) error {
	admin, closeAdmin, err := w.admin()
	if err != nil {
		return err
	}
	defer closeAdmin()
	res, err := admin.CreateTopic(ctx, partitions, 1, nil, topic)
	if err == nil {
		err = res.Err
	}
	if err != nil {
		return fmt.Errorf("creating topic %s: %w", topic, err)
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

// writeConfig makes the pipeline: the one of config/clickstream.yaml in small, with deadlines short enough for a frozen
// node to be noticed within the run, and every ClickHouse connection through a proxy.
func (w *world) writeConfig() error {
	var addressMap strings.Builder
	for i, n := range w.cluster.Servers {
		fmt.Fprintf(&addressMap, "      %q: %q\n", n.Addr(), w.proxies[i].Addr())
	}
	dsn := strings.Replace(w.cluster.MySQL.DSN(), w.cluster.MySQL.Addr(), w.mysql.Addr(), 1)
	text := fmt.Sprintf(`
http: { enabled: false }
input:
  kafka_exactly_once:
    seed_brokers: [ %q ]
    topics: [ %s ]
    consumer_group: %s
    session_timeout: 6s
    heartbeat_interval: 2s
    range: { count: 2000, period: 200ms }
pipeline:
  processors:
    - dimension_join:
        dsn: %q
        dimensions:
          - { name: product, table: dim_product, key: { sku: this.sku }, columns: [ name ], prefix: product_ }
output:
  clickhouse_native:
    addresses: [ %q, %q ]
    database: chaos
    table: events
    address_map:
%s    dial_timeout: 2s
    stall_timeout: 3s
    insert_timeout: 10s
    topology_refresh: 2s
    delivery: exactly_once
    columns:
      - { name: kafka_topic, from: '@kafka_topic' }
      - { name: kafka_partition, from: '@kafka_partition' }
      - { name: kafka_offset, from: '@kafka_offset' }
    retries: { initial_interval: 50ms, max_interval: 1s }
shutdown_timeout: 10s
`, w.cluster.Kafka.Addr(), topic, group, dsn, w.cluster.Servers[0].Addr(), w.cluster.Servers[2].Addr(), addressMap.String())
	w.config = filepath.Join(w.dir, "chaos.yaml")
	if err := os.WriteFile(w.config, []byte(text), 0o600); err != nil {
		return err
	}
	if out, err := exec.Command(w.opts.Binary, "lint", w.config).CombinedOutput(); err != nil {
		return fmt.Errorf("linting the pipeline: %w\n%s", err, out)
	}
	return nil
}

// produce writes the events, each once, spread over the faults; when these are over it hurries.
func (w *world) produce(ctx context.Context) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(w.cluster.Kafka.Addr()), kgo.DefaultProduceTopic(topic),
		kgo.ProducerLinger(20*time.Millisecond), kgo.RecordDeliveryTimeout(0), kgo.MaxBufferedRecords(20_000),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	// Faults come every faultEvery on the average: the stream should last as long as they do.
	perTick := max(1, int(float64(w.opts.Events)/(float64(max(1, w.opts.Faults))*faultEvery.Seconds()*20)))
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var failed atomic.Pointer[error]
	for id := 0; id < w.opts.Events; {
		for n := 0; n < perTick && id < w.opts.Events; n++ {
			rec := &kgo.Record{Value: event(id), Key: []byte(strconv.Itoa(id % 10_007))}
			client.Produce(ctx, rec, func(_ *kgo.Record, err error) {
				if err != nil {
					failed.CompareAndSwap(nil, &err)
				}
				w.produced.Add(1)
			})
			id++
		}
		if w.fast.Load() {
			continue
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := client.Flush(ctx); err != nil {
		return err
	}
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// event is event number id; its content follows from its number.
func event(id int) []byte {
	return fmt.Appendf(nil, `{"id":%d,"user_id":%d,"ts":"2026-03-01T10:%02d:%02d.%03dZ","sku":"sku-%d","amount":%d,"tags":["t%d","x"]}`,
		id, id%10_007, id/60%60, id%60, id%1000, id%(products+10), id%997, id%7)
}

func (w *world) hurry() { w.fast.Store(true) }

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

// count compares the tables of all nodes with what was produced.
func (w *world) count(ctx context.Context, r *Report) error {
	all := func(table string) string {
		var addrs []string
		for _, n := range w.cluster.Servers {
			addrs = append(addrs, n.Addr())
		}
		return fmt.Sprintf("remote('%s', chaos.%s)", strings.Join(addrs, ","), table)
	}
	n := w.cluster.Servers[0]
	var distinct int64
	for _, q := range []struct {
		query string
		into  *int64
	}{
		{"SELECT count() FROM " + all("events_local"), &r.Rows},
		{"SELECT uniqExact(id) FROM " + all("events_local"), &distinct},
		{"SELECT sum(events) FROM " + all("per_user_local"), &r.ViewRows},
		{fmt.Sprintf("SELECT countIf(product_name IS DISTINCT FROM if(id %% %d < %d, concat('Product ', toString(id %% %d)), NULL)) FROM %s",
			products+10, products, products+10, all("events_local")), &r.WrongJoins},
	} {
		rows, err := n.QueryContext(ctx, q.query)
		if err != nil {
			return fmt.Errorf("counting: %w", err)
		}
		if *q.into, err = strconv.ParseInt(rows[0][0], 10, 64); err != nil {
			return fmt.Errorf("counting: %w", err)
		}
	}
	r.Losses, r.Duplicates = r.Events-distinct, r.Rows-distinct
	if r.Losses == 0 && r.Duplicates == 0 {
		return nil
	}
	return w.examples(ctx, r, all("events_local"))
}

func (w *world) examples(ctx context.Context, r *Report, table string) error {
	n := w.cluster.Servers[0]
	for what, query := range map[string]string{
		"lost": fmt.Sprintf("SELECT number FROM numbers(%d) WHERE number NOT IN (SELECT id FROM %s) LIMIT 5", r.Events, table),
		"double": fmt.Sprintf(`SELECT id, groupArray((_shard_num, kafka_partition, kafka_offset)) FROM %s
			GROUP BY id HAVING count() > 1 ORDER BY id LIMIT 5`, table),
		"double by partition": fmt.Sprintf(`SELECT kafka_partition, min(kafka_offset), max(kafka_offset), count() FROM
			(SELECT kafka_partition, kafka_offset, count() AS c FROM %s GROUP BY 1, 2 HAVING c > 1) GROUP BY 1`, table),
	} {
		rows, err := n.QueryContext(ctx, query)
		if err != nil {
			return fmt.Errorf("looking for examples: %w", err)
		}
		for _, row := range rows {
			r.Examples = append(r.Examples, what+": "+strings.Join(row, " "))
		}
	}
	return nil
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

func writerOr(out io.Writer) io.Writer {
	if out == nil {
		return io.Discard
	}
	return out
}
