package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
)

// pingAfter is the idle time after which a pooled connection has to show that it still works.
const pingAfter = 5 * time.Second

// state is what is known of the table on one replica. It outlives layouts.
type state struct {
	readOnly atomic.Bool  // it cannot be written there: read-only, or missing
	delay    atomic.Int64 // absolute_delay in seconds
}

// node is one address: its circuit, and the pool of connections to it. It outlives layouts.
type node struct {
	cluster *Cluster
	address string
	circuit circuit

	slots chan struct{} // one element for each connection in use
	mu    sync.Mutex
	idle  []*Conn // the last one given back is the first to be used
	gone  bool    // nothing is pooled any more; batches that keep an old layout may still connect
}

func newNode(c *Cluster, address string) *node {
	return &node{cluster: c, address: address, slots: make(chan struct{}, c.cfg.MaxConns)}
}

// acquire takes a pooled connection or opens one, if the circuit allows; its outcome is reported to the circuit.
func (n *node) acquire(ctx context.Context, r *Replica) (*Conn, error) {
	if n.cluster.closed.Load() {
		return nil, ErrClosed
	}
	if err := n.circuit.allow(time.Now()); err != nil {
		return nil, err
	}
	conn, err := n.take(ctx)
	if err != nil {
		n.verdict(r, err)
		return nil, err
	}
	conn.replica = r
	n.succeeded(false)
	return conn, nil
}

// take waits for a free slot, and fills it with a connection that works.
func (n *node) take(ctx context.Context) (*Conn, error) {
	select {
	case n.slots <- struct{}{}:
	default:
		select {
		case n.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for one of %d connections to %s: %w: %w", cap(n.slots), n.address, errPoolFull, context.Cause(ctx))
		}
	}
	for conn := n.pop(); conn != nil; conn = n.pop() {
		if conn.alive(ctx) {
			return conn, nil
		}
		conn.close()
		n.drop(time.Now()) // the others would fail as well, each after a deadline of its own
	}
	conn, err := n.dial(ctx)
	if err != nil {
		<-n.slots
		return nil, err
	}
	return conn, nil
}

func (n *node) pop() *Conn {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.idle) == 0 {
		return nil
	}
	last := len(n.idle) - 1
	conn := n.idle[last]
	n.idle[last] = nil
	n.idle = n.idle[:last]
	return conn
}

// dial opens a connection and waits until the server has said hello.
func (n *node) dial(ctx context.Context) (*Conn, error) {
	cfg := &n.cluster.cfg
	raw, err := n.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w%s", n.address, err, portAdvice(err))
	}
	live := &liveConn{Conn: raw}
	client, err := ch.Connect(ctx, live, ch.Options{
		// The names in all queries are qualified; this database is the one that every server has.
		Database:         "system",
		User:             cfg.Username,
		Password:         cfg.Password,
		Compression:      cfg.Compression.option(),
		ClientName:       "clickhouse_native",
		HandshakeTimeout: cfg.HandshakeTimeout,
		ReadTimeout:      cfg.HandshakeTimeout,
		Settings:         []ch.Setting{idleSetting(cfg)},
	})
	if err != nil {
		_ = raw.Close()
		if ch.IsException(err) {
			return nil, typed(err, cfg.Username, n.address)
		}
		return nil, fmt.Errorf("connecting to %s: %w%s", n.address, err, portAdvice(err))
	}
	conn := &Conn{cluster: n.cluster, node: n, client: client, net: live}
	if err := conn.greet(ctx); err != nil {
		conn.close()
		return nil, fmt.Errorf("connecting to %s: %w", n.address, typed(err, cfg.Username, n.address))
	}
	return conn, nil
}

// portAdvice says what a connection that fails before the server's hello often comes from: system.clusters may name the plain port or the secure one.
func portAdvice(err error) string {
	var noTLS tls.RecordHeaderError
	switch {
	case errors.As(err, &noTLS):
		return " (the port does not speak TLS: switch `tls` off, or lead to the secure port with `addresses` and `address_map`)"
	case errors.Is(err, io.EOF):
		return " (it hung up instead of saying hello: is this a port of the native protocol, and does it want `tls`?)"
	}
	return ""
}

// idleSetting makes the server end our connections soon after we would have: it takes idle_connection_timeout from the last
// query of a connection (TCPHandler::extractConnectionSettingsFromContext, 26.7). So a sender that was frozen for long finds
// its connections closed, rather than delivering a block that everybody has forgotten.
func idleSetting(cfg *Config) ch.Setting {
	const margin = 60 // seconds
	return ch.SettingInt("idle_connection_timeout", int(cfg.IdleTimeout/time.Second)+margin)
}

// connect opens the transport.
func (n *node) connect(ctx context.Context) (net.Conn, error) {
	cfg := &n.cluster.cfg
	ctx, cancel := context.WithTimeout(ctx, cfg.DialTimeout)
	defer cancel()
	if cfg.TLS == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", n.address)
	}
	return (&tls.Dialer{Config: cfg.TLS}).DialContext(ctx, "tcp", n.address)
}

// probe tells whether the host accepts a connection and says hello.
func (n *node) probe(ctx context.Context) error {
	conn, err := n.dial(ctx)
	if err != nil {
		return err
	}
	conn.close()
	return nil
}

// release takes a connection back, or closes it.
func (n *node) release(c *Conn, err error) {
	defer func() { <-n.slots }()
	if err != nil {
		n.verdict(c.replica, err)
	}
	if !c.broken {
		n.succeeded(true)
	}
	c.replica = nil
	c.used = time.Now()
	if c.broken || !n.push(c) {
		c.close()
	}
}

// push pools the connection unless the node is no longer used.
func (n *node) push(c *Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.gone {
		return false
	}
	n.idle = append(n.idle, c)
	return true
}

func (n *node) succeeded(proven bool) {
	if n.circuit.success(proven) {
		n.cluster.log.Info("host is back", "address", n.address)
	}
}

// verdict tells the circuit what an error says about the host, and the replica what it says about the table.
func (n *node) verdict(r *Replica, err error) {
	if r != nil && ch.IsErr(err, proto.ErrTableIsReadOnly, proto.ErrNotInitialized) {
		r.state.readOnly.Store(true) // until the next look at the replica
	}
	if !hostFault(err) {
		n.circuit.neutral()
		return
	}
	if n.circuit.failure(time.Now(), err) {
		if n.cluster.Layout() != nil { // before that, Open says it: in its error, or when it has found the shards
			n.logFailure(err)
		}
		n.drop(time.Now())
	}
}

func (n *node) logFailure(err error) {
	n.cluster.log.Warn("host failed, leaving it alone for a while", "address", n.address, "error", err)
}

// hostFault tells whether the error means that the next query would not do better there. What a server that answers has
// against a query is not its fault, nor is a caller that gives up; one that waited until its deadline was let down.
func hostFault(err error) bool {
	if isRefusal(err) {
		return true
	}
	var stalled *StalledError
	var network net.Error
	switch {
	case errors.Is(err, errPoolFull), errors.Is(err, context.Canceled), ch.IsException(err):
		return false
	}
	return errors.As(err, &stalled) || errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed)
}

// isRefusal tells whether the exception means that no query of ours will work there for now.
func isRefusal(err error) bool {
	var auth *AuthenticationError
	return errors.As(err, &auth)
}

// isBusy tells whether the exception is about the server's state, so that another host may well answer.
func isBusy(err error) bool {
	return ch.IsErr(err, proto.ErrTooManySimultaneousQueries, proto.ErrServerOverloaded, proto.ErrNoFreeConnection, proto.ErrMemoryLimitExceeded,
		proto.ErrCannotScheduleTask, proto.ErrTimeoutExceeded, proto.ErrQueryWasCancelled, proto.ErrAborted)
}

// errPoolFull says that the caller gave up before one of its own connections was free.
var errPoolFull = errors.New("all connections are in use")

// drop closes the pooled connections that have not been used since.
func (n *node) drop(since time.Time) {
	n.mu.Lock()
	var old []*Conn
	keep := n.idle[:0]
	for _, c := range n.idle {
		if c.used.After(since) {
			keep = append(keep, c)
		} else {
			old = append(old, c)
		}
	}
	clear(n.idle[len(keep):])
	n.idle = keep
	n.mu.Unlock()
	for _, c := range old {
		c.close()
	}
}

// retire closes the pool for good; connections in use are closed when they are released.
func (n *node) retire() {
	n.mu.Lock()
	n.gone = true
	n.mu.Unlock()
	n.drop(time.Now())
}

func (c *Conn) close() { _ = c.client.Close() }
