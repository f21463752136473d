// Package cluster knows which shards and replicas a table has, and hands out connections to them.
//
// It owns discovery from a Distributed table or a cluster's name, the immutable Layout snapshots, the health and the choice
// of replicas, the connection pools, and the checks that a server is set up for what is asked of it. It must never know
// what a row is, where a row belongs, or what to do about a failed insert.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/ch-go"
)

// Cluster is the servers of one table. All methods are safe for concurrent use.
type Cluster struct {
	cfg Config
	log *slog.Logger

	here string // name of this host, for PolicyNearest

	layout    atomic.Pointer[Layout]
	refreshMu sync.Mutex // one discovery at a time
	asked     chan struct{}

	mu      sync.Mutex
	nodes   map[string]*node  // by address
	states  map[string]*state // by address and default database
	zones   map[string]string // timezone() by address
	order   []string          // addresses to ask for the topology, the one that answered last first
	changed chan struct{}     // closed at the next change
	seen    map[uint32]string
	rounds  map[uint32]*atomic.Uint32 // round-robin counters by shard number
	closed  atomic.Bool
	frames  framers

	stop context.CancelFunc
	done sync.WaitGroup
}

// Open discovers the shards and keeps watching them until Close. It fails with the typed errors of this package;
// Fatal tells those that another try cannot cure.
func Open(ctx context.Context, cfg Config) (*Cluster, error) {
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	c := newCluster(cfg)
	if cfg.Replicas == PolicyNearest {
		c.here = fullHostName(ctx)
	}
	l, err := c.discover(ctx)
	if err != nil {
		c.retireAll()
		return nil, fmt.Errorf("discovering the shards of %s: %w", quoteTable(cfg.Database, cfg.Table), err)
	}
	c.publish(l)
	c.announce(l)
	loop, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.pollHealth(ctx, l)
	c.done.Go(func() { c.watchTopology(loop) })
	c.done.Go(func() { c.watchHealth(loop) })
	return c, nil
}

func newCluster(cfg Config) *Cluster {
	return &Cluster{
		cfg:     cfg,
		log:     cfg.Logger,
		asked:   make(chan struct{}, 1),
		nodes:   map[string]*node{},
		states:  map[string]*state{},
		zones:   map[string]string{},
		order:   slices.Clone(cfg.bootstrap()),
		changed: make(chan struct{}),
		seen:    map[uint32]string{},
		rounds:  map[uint32]*atomic.Uint32{},
	}
}

// Close ends the watching and closes pooled connections; those in use are closed when they are released. Further calls
// that need a connection fail with ErrClosed.
func (c *Cluster) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	c.stop()
	c.done.Wait()
	c.retireAll()
	return nil
}

func (c *Cluster) retireAll() {
	for _, n := range c.allNodes() {
		n.retire()
	}
}

// announce says at start what was found, and what about it is unusual.
func (c *Cluster) announce(l *Layout) {
	c.log.Info("shards found", "table", quoteTable(l.Table.Database, l.Table.Name), "engine", l.Table.Engine,
		"cluster", l.Cluster, "shards", len(l.Shards), "sharding_key", l.Table.ShardingKey)
	if each := l.WriteEach(); len(each) > 0 {
		c.log.Warn("internal_replication is false on shards with several replicas: every replica will be written; "+
			"set <internal_replication>true</internal_replication> if the table replicates by itself", "shards", each)
	}
	for _, n := range c.allNodes() {
		if err := n.circuit.broken(); err != nil {
			n.logFailure(err)
		}
	}
}

// Layout is the current snapshot.
func (c *Cluster) Layout() *Layout { return c.layout.Load() }

// Changed returns a channel that is closed when a layout newer than the present one is published.
func (c *Cluster) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// Refresh discovers anew, and tells whether the shards or the table's definition changed. On an error the layout stays.
func (c *Cluster) Refresh(ctx context.Context) (changed bool, err error) {
	before := c.Layout()
	c.refreshMu.Lock()
	defer c.refreshMu.Unlock()
	if now := c.Layout(); now != before {
		return true, nil // another caller's discovery, begun after this call's question
	}
	l, err := c.discover(ctx)
	if err != nil {
		return false, fmt.Errorf("discovering the shards of %s: %w", quoteTable(c.cfg.Database, c.cfg.Table), err)
	}
	if before.SameShards(l) && before.SameTable(l) {
		return false, nil
	}
	c.publish(l)
	c.log.Info("topology changed", "version", l.Version, "shards", len(l.Shards),
		"shards_changed", !before.SameShards(l), "table_changed", !before.SameTable(l))
	return true, nil
}

// RequestRefresh asks for a discovery soon, without waiting for it: after an error that suggests a change. Requests that
// come faster than one a second are merged.
func (c *Cluster) RequestRefresh() {
	select {
	case c.asked <- struct{}{}:
	default:
	}
}

// publish makes the layout current, retires the nodes that it no longer names, and forgets what was known of their tables.
func (c *Cluster) publish(l *Layout) {
	old := c.layout.Load()
	l.Version = 1
	if old != nil {
		l.Version = old.Version + 1
	}
	keep, known := map[string]bool{}, map[*state]bool{}
	for _, s := range l.Shards {
		for _, r := range s.Replicas {
			keep[r.Address], known[r.state] = true, true
		}
	}
	c.mu.Lock()
	for _, s := range l.Shards {
		for _, r := range s.Replicas {
			c.seen[identity(r)] = r.ID()
		}
		if c.rounds[s.Number] == nil {
			c.rounds[s.Number] = new(atomic.Uint32)
		}
	}
	for _, a := range c.order {
		keep[a] = true
	}
	var retired []*node
	for a, n := range c.nodes {
		if !keep[a] {
			delete(c.nodes, a)
			retired = append(retired, n)
		}
	}
	maps.DeleteFunc(c.states, func(_ string, s *state) bool { return !known[s] })
	maps.DeleteFunc(c.zones, func(a, _ string) bool { return !keep[a] })
	c.layout.Store(l)
	close(c.changed)
	c.changed = make(chan struct{})
	c.mu.Unlock()
	for _, n := range retired {
		n.retire()
	}
}

// node finds or makes the node of an address.
func (c *Cluster) node(address string) *node {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.nodes[address]
	if n == nil {
		n = newNode(c, address)
		c.nodes[address] = n
	}
	return n
}

func (c *Cluster) allNodes() []*node {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*node, 0, len(c.nodes))
	for _, n := range c.nodes {
		all = append(all, n)
	}
	return all
}

// refreshRetry is the time to the next discovery after one that failed: a definition that is being changed host by host
// is the same everywhere a moment later.
const refreshRetry = 5 * time.Second

// watchTopology refreshes every TopologyRefresh, sooner after a failure, and when asked; at most once a second.
func (c *Cluster) watchTopology(ctx context.Context) {
	var tick <-chan time.Time
	if c.cfg.TopologyRefresh > 0 {
		t := time.NewTicker(c.cfg.TopologyRefresh)
		defer t.Stop()
		tick = t.C
	}
	var retry <-chan time.Time
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		case <-retry:
		case <-c.asked:
		}
		_, err := c.Refresh(ctx)
		retry = nil
		if err != nil && ctx.Err() == nil {
			level := slog.LevelWarn
			if failing {
				level = slog.LevelDebug // said before
			}
			c.log.Log(ctx, level, "topology could not be refreshed, keeping the last one", "error", err)
			if c.cfg.TopologyRefresh > 0 {
				retry = time.After(refreshRetry)
			}
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

// Acquire takes a connection to a replica of the shard: by policy among the healthy ones; replicas in avoid, lagging, or
// in doubt only when there is no better one. It waits for a free connection, never for a circuit: an *UnavailableError
// says when to come back. On a pinned layout only the pinned replica is taken.
func (c *Cluster) Acquire(ctx context.Context, l *Layout, shard int, avoid ...*Replica) (*Conn, error) {
	s := &l.Shards[shard]
	failed := &UnavailableError{Shard: s.Number}
	for _, r := range c.candidates(s, avoid) {
		conn, err := r.node.acquire(ctx, r)
		if err == nil {
			return conn, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("connecting to shard %d: %w", s.Number, err)
		}
		failed.add(r, err)
	}
	return nil, failed
}

// AcquireReplica takes a connection to this replica, or fails with an *UnavailableError.
func (c *Cluster) AcquireReplica(ctx context.Context, r *Replica) (*Conn, error) {
	conn, err := r.node.acquire(ctx, r)
	if err == nil {
		return conn, nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("connecting to %s: %w", r, err)
	}
	failed := &UnavailableError{}
	failed.add(r, err)
	return nil, failed
}

// add notes the failure of one replica, and the earliest time that any is worth another try.
func (e *UnavailableError) add(r *Replica, err error) {
	after := circuitFirstBackoff / 2
	var open *CircuitOpenError
	if errors.As(err, &open) {
		after = open.RetryAfter
	}
	if len(e.Attempts) == 0 || after < e.RetryAfter {
		e.RetryAfter = after
	}
	e.Attempts = append(e.Attempts, &AddressError{Address: r.String(), Err: err})
}

// Query runs a query on any host that answers, starting with the one that the topology was read from.
func (c *Cluster) Query(ctx context.Context, q ch.Query) error {
	return c.anywhere(ctx, func(conn *Conn) error { return conn.Do(ctx, q) })
}

// anywhere runs f on the first host that answers, be it a configured one or a replica.
func (c *Cluster) anywhere(ctx context.Context, f func(*Conn) error) error {
	seeds := c.seeds()
	for _, address := range c.Layout().addresses() {
		if !slices.Contains(seeds, address) {
			seeds = append(seeds, address)
		}
	}
	return c.onFirst(ctx, seeds, f)
}

// seeds lists the configured addresses, the one that answered last first. Only they are asked for the topology: replicas
// may see the cluster otherwise than the configured hosts do, and the layout would change with who happens to be down.
func (c *Cluster) seeds() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.order)
}

// onFirst runs f on one address after the other until it does not fail for the host's sake.
func (c *Cluster) onFirst(ctx context.Context, addresses []string, f func(*Conn) error) error {
	var failed []error
	for _, address := range addresses {
		err := c.on(ctx, address, f)
		if err == nil {
			c.prefer(address)
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		if ch.IsException(err) && !isRefusal(err) && !isBusy(err) {
			return err
		}
		failed = append(failed, addressed(address, err))
		if Fatal(err) && !isRefusal(err) && !perHost(err) {
			return err
		}
	}
	return worst(failed)
}

// on runs f on a connection to the address, if there is one to be had within QueryTimeout.
func (c *Cluster) on(ctx context.Context, address string, f func(*Conn) error) error {
	within, cancel := context.WithTimeout(ctx, c.cfg.QueryTimeout)
	defer cancel()
	conn, err := c.node(address).acquire(within, nil)
	if err != nil {
		return err
	}
	err = f(conn)
	conn.Release(err)
	return err
}

// prefer asks the address first from now on: the answers of one host do not flap while a change is rolled out.
func (c *Cluster) prefer(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, a := range c.order {
		if a == address {
			copy(c.order[1:i+1], c.order[:i])
			c.order[0] = address
			return
		}
	}
}

// perHost tells whether another host may well know what this one does not.
func perHost(err error) bool {
	var notFound *TableNotFoundError
	var noCluster *ClusterNotFoundError
	return errors.As(err, &notFound) || errors.As(err, &noCluster)
}

func addressed(address string, err error) error {
	var a *AddressError
	if errors.As(err, &a) {
		return err
	}
	return &AddressError{Address: address, Err: err}
}

// worst picks out of what all addresses failed with the error that needs somebody's attention, if there is one.
func worst(failed []error) error {
	for _, err := range failed {
		if Fatal(err) {
			return err
		}
	}
	return &UnreachableError{Attempts: failed}
}

// addresses lists the dialled address of each replica.
func (l *Layout) addresses() []string {
	var all []string
	for _, s := range l.Shards {
		for _, r := range s.Replicas {
			all = append(all, r.Address)
		}
	}
	return all
}
