package cluster

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
)

// watchHealth looks at the replicas every HealthInterval, tries the hosts that were down, and closes idle connections.
func (c *Cluster) watchHealth(ctx context.Context) {
	t := time.NewTicker(c.cfg.HealthInterval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		c.pollHealth(ctx, c.Layout())
		for _, n := range c.allNodes() {
			n.drop(time.Now().Add(-c.cfg.IdleTimeout))
		}
	}
}

// pollHealth asks each replica how it is: system.replicas where the table is replicated; elsewhere only the hosts whose
// circuit is open, so that an insert is not the one to find out that they are back.
func (c *Cluster) pollHealth(ctx context.Context, l *Layout) {
	var g errgroup.Group
	g.SetLimit(describeConcurrency)
	for i := range l.Shards {
		s := &l.Shards[i]
		for _, r := range s.Replicas {
			closed, probe := r.node.circuit.usable(time.Now())
			if !closed && !probe || closed && !l.Table.Replicated() && !r.state.readOnly.Load() {
				continue
			}
			g.Go(func() error {
				if err := c.look(ctx, l, s, r); err != nil && ctx.Err() == nil {
					c.log.Debug("replica could not be asked for its health", "replica", r.String(), "error", err)
				}
				return nil
			})
		}
	}
	_ = g.Wait()
}

// look reads one replica's state, and says when it begins or ceases to be passed over.
func (c *Cluster) look(ctx context.Context, l *Layout, s *Shard, r *Replica) error {
	return c.on(ctx, r.Address, func(conn *Conn) error {
		fields, from, name := []string{"0", "0"}, "system.tables", "name"
		if l.Table.Replicated() {
			fields, from, name = []string{"is_readonly", "absolute_delay"}, "system.replicas", "table"
		}
		rows, err := conn.rows(ctx, fields, fmt.Sprintf("FROM %s WHERE database = %s AND %s = %s", from, quoteString(s.Database), name, quoteString(l.Table.Name)))
		if err != nil {
			return err
		}
		c.note(r, rows)
		return nil
	})
}

// note takes over what a replica said; no row means that it does not have the table.
func (c *Cluster) note(r *Replica, rows [][]string) {
	readOnly, delay := true, int64(0)
	if len(rows) > 0 {
		readOnly = rows[0][0] != "0"
		delay, _ = strconv.ParseInt(rows[0][1], 10, 64)
	}
	wasLagging := c.lagging(r)
	wasReadOnly := r.state.readOnly.Swap(readOnly)
	r.state.delay.Store(delay)
	lagging := c.lagging(r)
	if readOnly != wasReadOnly || lagging != wasLagging {
		c.log.Warn("replica changed its state", "replica", r.String(), "read_only", readOnly, "absolute_delay_seconds", delay, "passed_over", readOnly || lagging)
	}
}

// Health is what is known of a replica without asking it.
type Health struct {
	Up       bool // the circuit is closed
	ReadOnly bool // refuses inserts, or does not have the table
	Lagging  bool // absolute_delay is above Config.MaxDelay
	Delay    time.Duration
}

// Health tells what the last looks at the replica found.
func (r *Replica) Health() Health {
	closed, _ := r.node.circuit.usable(time.Now())
	return Health{
		Up: closed, ReadOnly: r.state.readOnly.Load(), Lagging: r.node.cluster.lagging(r),
		Delay: time.Duration(r.state.delay.Load()) * time.Second,
	}
}
