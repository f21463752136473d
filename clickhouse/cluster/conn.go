package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
)

// Conn is a connection to one replica, held by one goroutine between Acquire and Release.
type Conn struct {
	cluster *Cluster
	node    *node
	replica *Replica // nil for a connection that only asks for the topology
	client  *ch.Client
	net     *liveConn
	used    time.Time // when it was last given back
	broken  bool      // a query failed midway: nobody knows what the next byte would mean
}

// Replica is the host at the other end.
func (c *Conn) Replica() *Replica { return c.replica }

// ServerInfo is what the server said about itself.
func (c *Conn) ServerInfo() proto.ServerHello { return c.client.ServerInfo() }

// Do runs one query with Config.Settings before its own, until the context ends or the host has gone silent
// (*StalledError). After any error the connection is closed by Release, whatever Release is told: a query that failed
// midway leaves unread packets, and an unfinished block, behind. An exception of the server is found with ch.AsException.
func (c *Conn) Do(ctx context.Context, q ch.Query) error {
	if own := c.cluster.cfg.Settings; len(own) > 0 {
		q.Settings = append(own[:len(own):len(own)], q.Settings...)
	}
	if len(q.Input) > 0 && q.OnInput == nil && q.Input[0].Data.Rows() > 0 {
		q = c.streamed(q)
	}
	return c.do(ctx, func(ctx context.Context) error { return c.client.Do(ctx, q) })
}

// do runs f on the client, and ends it when the context does or the host stalls.
func (c *Conn) do(parent context.Context, f func(context.Context) error) error {
	if c.broken {
		return fmt.Errorf("using the connection to %s: a query on it has failed before", c.node.address)
	}
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	c.net.touch()
	disarm := context.AfterFunc(ctx, c.net.abort)
	watched := make(chan struct{})
	defer close(watched)
	go c.watch(ctx, watched, cancel)

	err := f(ctx)
	if !disarm() {
		c.broken = true
	}
	if err == nil {
		return nil
	}
	c.broken = true
	if ch.IsException(err) {
		return err
	}
	var stalled *StalledError
	if errors.As(context.Cause(ctx), &stalled) {
		return stalled
	}
	if parent.Err() != nil {
		return fmt.Errorf("%w: querying %s: %w", context.Cause(parent), c.node.address, err)
	}
	return &AddressError{Address: c.node.address, Err: err}
}

// watch cancels the query when the host is silent and does not answer a second connection either, or is silent for too long.
func (c *Conn) watch(ctx context.Context, done <-chan struct{}, cancel context.CancelCauseFunc) {
	cfg := &c.cluster.cfg
	timer := time.NewTimer(cfg.StallTimeout)
	defer timer.Stop()
	for {
		select {
		case <-done:
			return
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		silence := c.net.silence()
		if silence < cfg.StallTimeout {
			timer.Reset(cfg.StallTimeout - silence)
			continue
		}
		if silence >= cfg.ReadTimeout {
			cancel(&StalledError{Address: c.node.address, Silence: silence})
			return
		}
		if err := c.node.probe(ctx); err != nil && c.net.silence() >= cfg.StallTimeout && ctx.Err() == nil {
			cancel(&StalledError{Address: c.node.address, Silence: c.net.silence(), Err: err})
			return
		}
		timer.Reset(min(cfg.StallTimeout, max(cfg.ReadTimeout-c.net.silence(), time.Millisecond)))
	}
}

// Release gives the connection back, with what the work on it ended in: the circuit of the replica opens on what says
// that the host is ill (broken connections, silence, a refused login), and stays as it is on the server's exceptions, on the
// caller's own cancellation and on any other error. A Conn is released once.
func (c *Conn) Release(err error) { c.node.release(c, err) }

// greet runs a first query, with which the settings of the connection take effect.
func (c *Conn) greet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.cluster.cfg.HandshakeTimeout)
	defer cancel()
	var one proto.ColUInt8
	return c.do(ctx, func(ctx context.Context) error {
		return c.client.Do(ctx, ch.Query{Body: "SELECT 1", Result: proto.Results{{Data: &one}}})
	})
}

// alive tells whether a pooled connection can be used: the other end has not closed it and, if it has been idle for long,
// answers.
func (c *Conn) alive(ctx context.Context) bool {
	return c.net.quiet() && (time.Since(c.used) < pingAfter || c.ping(ctx) == nil)
}

// ping asks for a sign of life.
func (c *Conn) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.cluster.cfg.HandshakeTimeout)
	defer cancel()
	return c.do(ctx, c.client.Ping)
}

// rows selects expressions as text: SELECT fields… rest. Casting keeps it independent of what types a version of the server has.
func (c *Conn) rows(ctx context.Context, fields []string, rest string) ([][]string, error) {
	columns := len(fields)
	body := "SELECT CAST(" + strings.Join(fields, ", 'String'), CAST(") + ", 'String') " + rest
	ctx, cancel := context.WithTimeout(ctx, c.cluster.cfg.QueryTimeout)
	defer cancel()
	data := make([]proto.ColStr, columns)
	result := make(proto.Results, columns)
	for i := range data {
		result[i].Data = &data[i]
	}
	var rows [][]string
	q := ch.Query{Body: body, Result: result, OnResult: func(context.Context, proto.Block) error {
		for i := range data[0].Rows() {
			row := make([]string, columns)
			for j := range data {
				row[j] = data[j].Row(i)
			}
			rows = append(rows, row)
		}
		for i := range data {
			data[i].Reset()
		}
		return nil
	}}
	if err := c.do(ctx, func(ctx context.Context) error { return c.client.Do(ctx, q) }); err != nil {
		return nil, typed(err, c.cluster.cfg.Username, c.node.address)
	}
	return rows, nil
}
