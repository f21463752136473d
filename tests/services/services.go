package services

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Options say which servers to start.
type Options struct {
	ClickHouse, Kafka, MariaDB bool
	// MySQL is the server of that name in MariaDB's place, with GTIDs; Cluster.MySQL is one or the other.
	MySQL bool

	// Shards × Replicas make the cluster ClusterName; both are 1 by default. There are macros {cluster}, {shard} (01…)
	// and {replica} (01…) on each node.
	Shards, Replicas int
	// Weights of the shards; 1 each by default.
	Weights []int
	// WriteAll sets internal_replication=false for ClusterName.
	WriteAll bool
	// Nodes is the number of ClickHouse processes, Shards × Replicas by default. Nodes beyond that are spare: named by
	// Clusters only. It is never fewer; shards that share a node are declared in Clusters.
	Nodes int
	// Clusters are further entries of remote_servers.
	Clusters map[string][]Shard
	// Users are further ClickHouse users.
	Users []User
	// Settings of ClickHouse's default profile, for every user.
	Settings map[string]string
	// ExtraConfig is XML to put into <clickhouse> of each node.
	ExtraConfig string
	// TimeZones are those of single nodes, by their index in Cluster.Servers; the machine's by default. They come from the environment,
	// because clickhouse-local does not read <timezone>.
	TimeZones map[int]string

	// KafkaPartitions is the number of partitions of a topic that is created without one; 1 by default.
	KafkaPartitions int
	// KafkaProperties are added to server.properties.
	KafkaProperties map[string]string
	// KafkaListeners are further listeners: host:port to listen on → host:port to tell clients, such as that of a proxy.
	KafkaListeners map[string]string
	// KafkaSecured are listeners with TLS, SASL or both, on ports of their own: Broker.Secured tells their addresses.
	KafkaSecured []Listener
	// MySQLDatabase is created and is what MySQL.DSN points to; "dimensions" by default.
	MySQLDatabase string

	// MySQLArgs are added to the command line of MariaDB or MySQL.
	MySQLArgs []string

	// Dir keeps data and logs. By default it is a temporary directory that goes away with the servers.
	Dir string
	// Log is told what is installed and started; os.Stderr by default in Start, the test's log in Run.
	Log io.Writer
}

func (o *Options) setDefaults() error {
	o.Shards, o.Replicas = max(o.Shards, 1), max(o.Replicas, 1)
	o.Nodes = max(o.Nodes, o.Shards*o.Replicas)
	o.KafkaPartitions = max(o.KafkaPartitions, 1)
	if o.Weights != nil && len(o.Weights) != o.Shards {
		return fmt.Errorf("%d weights were given for %d shards", len(o.Weights), o.Shards)
	}
	if o.MySQLDatabase == "" {
		o.MySQLDatabase = "dimensions"
	}
	if o.Log == nil {
		o.Log = os.Stderr
	}
	return nil
}

// Listener is a listener of the broker that asks who is there.
type Listener struct {
	Name       string            // of letters
	Protocol   string            // SSL, SASL_PLAINTEXT or SASL_SSL
	Properties map[string]string // of this listener alone, such as ssl.client.auth
}

// Cluster is the servers of one Start.
type Cluster struct {
	Nodes   [][]*Node // [shard][replica] of ClusterName
	Servers []*Node   // all ClickHouse nodes: shard by shard, then the spare ones
	Kafka   *Broker
	MySQL   *MySQL
	Dir     string

	opts      Options
	ports     *ports
	processes []*process
	keepDir   bool
	stop      sync.Once
}

// Run starts servers for a test. The test's cleanup stops them, and prints the ends of their logs if it failed.
func Run(t testing.TB, opts Options) *Cluster {
	t.Helper()
	if opts.Log == nil {
		opts.Log = testLog{t}
	}
	c, err := Start(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			for _, p := range c.processes {
				t.Logf("the end of the log of %s:\n%s", p.name, p.tail(2000))
			}
		}
		c.Stop()
	})
	return c
}

// Start installs what is missing, starts servers and returns when all of them answer. Nothing is left running when it
// fails. The servers die with this process; Stop ends them before, and removes their data.
func Start(ctx context.Context, opts Options) (_ *Cluster, err error) {
	if err := opts.setDefaults(); err != nil {
		return nil, fmt.Errorf("starting services: %w", err)
	}
	if opts.MariaDB && opts.MySQL {
		return nil, errors.New("starting services: a cluster has MariaDB or MySQL, not both")
	}
	c := &Cluster{opts: opts, Dir: opts.Dir, keepDir: opts.Dir != ""}
	defer func() {
		if err != nil {
			c.Stop()
		}
	}()
	if err := c.makeDir(); err != nil {
		return nil, err
	}
	store, err := openCache(opts.Log)
	if err != nil {
		return nil, err
	}
	if c.ports, err = newPorts(store.dir); err != nil {
		return nil, err
	}
	// Installed one after the other, so that what is printed reads well; started side by side.
	for _, add := range []func(context.Context, *cache) error{c.addClickHouse, c.addMySQL, c.addKafka} {
		if err := add(ctx, store); err != nil {
			return nil, err
		}
	}
	if err := c.startAll(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// Install downloads and installs what Start would, and starts nothing.
func Install(ctx context.Context, opts Options) error {
	if err := opts.setDefaults(); err != nil {
		return fmt.Errorf("installing services: %w", err)
	}
	store, err := openCache(opts.Log)
	if err != nil {
		return err
	}
	if opts.ClickHouse && os.Getenv("CLICKHOUSE_ADDR") == "" {
		if _, err := store.clickhouse(ctx); err != nil {
			return err
		}
	}
	if opts.MariaDB && os.Getenv("MYSQL_DSN") == "" {
		if _, err := store.mariadb(ctx); err != nil {
			return err
		}
	}
	if opts.MySQL {
		if _, _, err := store.mysql(ctx); err != nil {
			return err
		}
	}
	if opts.Kafka && os.Getenv("KAFKA_ADDR") == "" {
		if _, err := store.kafka(ctx); err != nil {
			return err
		}
	}
	return nil
}

// makeDir also removes what killed runs have left behind.
func (c *Cluster) makeDir() error {
	if c.keepDir {
		abs, err := filepath.Abs(c.Dir)
		if err != nil {
			return fmt.Errorf("making the services' directory: %w", err)
		}
		c.Dir = abs
		return os.MkdirAll(abs, 0o755)
	}
	const prefix = "benthos-clickhouse-"
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	for _, dir := range left {
		pid, err := strconv.Atoi(strings.Split(strings.TrimPrefix(filepath.Base(dir), prefix), "-")[0])
		if err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			_ = os.RemoveAll(dir)
		}
	}
	var err error
	if c.Dir, err = os.MkdirTemp("", fmt.Sprintf("%s%d-", prefix, os.Getpid())); err != nil {
		return fmt.Errorf("making the services' directory: %w", err)
	}
	return nil
}

func (c *Cluster) startAll(ctx context.Context) error {
	results := make(chan error, len(c.processes))
	for _, p := range c.processes {
		go func() { results <- p.Start(ctx) }()
	}
	var errs []error
	for range c.processes {
		errs = append(errs, <-results)
	}
	return errors.Join(errs...)
}

// Stop ends all servers and removes their data, unless Options.Dir named the directory.
func (c *Cluster) Stop() {
	c.stop.Do(func() {
		var wg sync.WaitGroup
		for _, p := range c.processes {
			if p.foreign {
				continue
			}
			wg.Go(func() {
				if c.keepDir {
					_ = p.Stop()
				} else {
					_ = p.Kill() // nobody will read the data, so nobody needs it flushed
				}
			})
		}
		wg.Wait()
		if c.ports != nil {
			c.ports.close()
		}
		if !c.keepDir && c.Dir != "" {
			_ = os.RemoveAll(c.Dir)
		}
	})
}

// addClickHouse makes and configures the nodes.
func (c *Cluster) addClickHouse(ctx context.Context, store *cache) error {
	if !c.opts.ClickHouse {
		return nil
	}
	if addrs := os.Getenv("CLICKHOUSE_ADDR"); addrs != "" {
		return c.useClickHouse(strings.Split(addrs, ","))
	}
	server, err := store.clickhouse(ctx)
	if err != nil {
		return err
	}
	for i := range c.opts.Nodes {
		name := fmt.Sprintf("clickhouse-%02d-%02d", i/c.opts.Replicas+1, i%c.opts.Replicas+1)
		n, err := newNode(c.Dir, name, c.ports)
		if err != nil {
			return fmt.Errorf("making %s: %w", name, err)
		}
		n.argv = server(n)
		if zone := c.opts.TimeZones[len(c.Servers)]; zone != "" {
			n.env = []string{"TZ=" + zone}
		}
		c.addNode(n)
	}
	return c.configure(c.opts.Clusters)
}

func (c *Cluster) addNode(n *Node) {
	if len(c.Servers)%c.opts.Replicas == 0 && len(c.Nodes) < c.opts.Shards {
		c.Nodes = append(c.Nodes, nil)
	}
	if len(c.Servers) < c.opts.Shards*c.opts.Replicas {
		last := len(c.Nodes) - 1
		c.Nodes[last] = append(c.Nodes[last], n)
	}
	c.Servers = append(c.Servers, n)
	c.processes = append(c.processes, n.process)
}

// useClickHouse takes the servers of CLICKHOUSE_ADDR. Their HTTP interface is expected on 8123 of the same host, or where
// CLICKHOUSE_HTTP_ADDR says.
func (c *Cluster) useClickHouse(addrs []string) error {
	if len(addrs) < c.opts.Nodes {
		return fmt.Errorf("using CLICKHOUSE_ADDR: %d nodes are needed and it names %d", c.opts.Nodes, len(addrs))
	}
	httpAddrs := strings.Split(os.Getenv("CLICKHOUSE_HTTP_ADDR"), ",")
	for i, addr := range addrs[:c.opts.Nodes] {
		host, port, err := net.SplitHostPort(strings.TrimSpace(addr))
		if err != nil {
			return fmt.Errorf("using CLICKHOUSE_ADDR: %w", err)
		}
		n := &Node{process: &process{name: addr, foreign: true}, tcpAddr: net.JoinHostPort(host, port)}
		if n.tcpPort, err = strconv.Atoi(port); err != nil {
			return fmt.Errorf("using CLICKHOUSE_ADDR: port of %s: %w", addr, err)
		}
		n.httpAddr = net.JoinHostPort(host, "8123")
		if len(httpAddrs) == len(addrs) {
			n.httpAddr = strings.TrimSpace(httpAddrs[i])
		}
		n.healthy = n.ping
		c.addNode(n)
	}
	return nil
}

// configure writes the configuration of every node.
func (c *Cluster) configure(clusters map[string][]Shard) error {
	all := map[string][]Shard{ClusterName: c.eventsCluster()}
	maps.Copy(all, clusters)
	for i, n := range c.Servers {
		config := nodeConfig{
			node: n, servers: c.Servers, clusters: all,
			users: c.opts.Users, settings: c.opts.Settings, extra: c.opts.ExtraConfig,
			macros: map[string]string{
				"cluster": ClusterName,
				"shard":   fmt.Sprintf("%02d", i/c.opts.Replicas+1),
				"replica": fmt.Sprintf("%02d", i%c.opts.Replicas+1),
			},
		}
		if err := config.write(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) eventsCluster() []Shard {
	shards := make([]Shard, c.opts.Shards)
	for s := range shards {
		shards[s] = Shard{Weight: 1, WriteAll: c.opts.WriteAll}
		if c.opts.Weights != nil {
			shards[s].Weight = c.opts.Weights[s]
		}
		for r := range c.opts.Replicas {
			shards[s].Replicas = append(shards[s].Replicas, Replica{Node: s*c.opts.Replicas + r})
		}
	}
	return shards
}

// Reconfigure writes other named clusters (ClusterName among them, if it is to change). A node takes them up when it is
// started again: this server cannot reload its configuration.
func (c *Cluster) Reconfigure(clusters map[string][]Shard) error {
	for _, n := range c.Servers {
		if n.foreign {
			return fmt.Errorf("configuring %s: %w", n.name, ErrNotOurs)
		}
	}
	return c.configure(clusters)
}

// Exec runs a script on every node.
func (c *Cluster) Exec(t testing.TB, script string) {
	t.Helper()
	for _, n := range c.Servers {
		n.Exec(t, script)
	}
}

// Addrs are the native addresses of all nodes.
func (c *Cluster) Addrs() []string {
	var addrs []string
	for _, n := range c.Servers {
		addrs = append(addrs, n.Addr())
	}
	return addrs
}

// testLog writes to the log of a test.
type testLog struct{ testing.TB }

func (l testLog) Write(b []byte) (int, error) {
	l.Log(strings.TrimRight(string(b), "\n"))
	return len(b), nil
}
