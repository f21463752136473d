package insert

import (
	"context"
	"errors"
	"fmt"
	"time"

	ch "github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/delivery"
	"github.com/benthos-clickhouse/connect/internal/safety"
)

// staleError says that the table's columns are not those that the block was made for. The rows that are not in have to be cut anew.
type staleError struct{ err error }

func (e *staleError) Error() string { return e.err.Error() }
func (e *staleError) Unwrap() error { return e.err }

// shipment is one block on its way to one shard (or, where the table does not replicate by itself, to one replica of it).
type shipment struct {
	w    *Writer
	j    *job
	t    *target
	part *part
	// only is set when this replica, and no other, has to have the block.
	only *cluster.Replica
	// landing is the replica where the block may be: the only one that would know its name, when the table is not replicated.
	landing  *cluster.Replica
	landed   time.Time // when the block was first sent there
	avoid    []*cluster.Replica
	last     *cluster.Replica // tried last
	attempts int
	reached  bool // some attempt got a connection
}

// send brings every part of the cut to its shard, shards in parallel, and a shard's parts one after the other. It waits for all of
// them, so that one shard's trouble does not undo another's success.
func (w *Writer) send(ctx context.Context, j *job, c *cut) error {
	results := make(chan error, len(c.byShard))
	running := 0
	for _, parts := range c.byShard {
		if len(parts) == 0 {
			continue
		}
		running++
		go func() { results <- w.sendShard(ctx, j, c.target, parts) }()
	}
	var failed []error
	for range running {
		if err := <-results; err != nil {
			failed = append(failed, err)
		}
	}
	return worst(failed)
}

// worst picks the error that decides what happens to the Write: one that somebody has to act on first, then one that calls for
// another cut; all the others are reported together.
func worst(failed []error) error {
	if len(failed) < 2 {
		return errors.Join(failed...)
	}
	var permanent *PermanentError
	var rejected *RejectedError
	var stale *staleError
	for _, err := range failed {
		if errors.As(err, &permanent) || errors.As(err, &rejected) {
			return err
		}
	}
	for _, err := range failed {
		if errors.As(err, &stale) {
			return err
		}
	}
	return errors.Join(failed...)
}

func (w *Writer) sendShard(ctx context.Context, j *job, t *target, parts []*part) error {
	for _, p := range parts {
		if j.has(p.name) {
			continue
		}
		if err := w.sendPart(ctx, j, t, p); err != nil {
			return err
		}
	}
	return nil
}

// sendPart brings one block to its shard: to one replica, or to each where nothing else copies it.
func (w *Writer) sendPart(ctx context.Context, j *job, t *target, p *part) error {
	shard := &j.layout.Shards[p.shard]
	replicas := []*cluster.Replica{nil}
	if shard.WriteEach() {
		replicas = shard.Replicas
	}
	rest := p
	for _, r := range replicas {
		if j.reached(p, r) {
			continue
		}
		lacking, err := j.lacking(t, rest, r)
		if err != nil {
			return err
		}
		if lacking == nil {
			continue
		}
		s := &shipment{w: w, j: j, t: t, part: lacking, only: r}
		s.landing, s.landed = j.mayHave(shard, r)
		if err := s.run(ctx); err != nil {
			return err
		}
		if lacking == rest {
			rest = s.part // without the rows that were found to be at fault
		}
		j.reach(p, r)
	}
	j.acknowledge(p)
	return nil
}

// run delivers the block, or puts it on disk when its attempts are used up.
func (s *shipment) run(ctx context.Context) error {
	err := s.deliver(ctx)
	if err == nil || !s.w.spoolable(ctx, err) {
		return err
	}
	return s.spool(err)
}

// deliver sends the block until it is acknowledged, or nothing is left to try.
func (s *shipment) deliver(ctx context.Context) error {
	pace := s.w.pace(s.part.shard)
	for {
		if err := pace.wait(ctx); err != nil {
			return err
		}
		if err := s.lookUpWhenOld(); err != nil {
			return err
		}
		err := s.attempt(ctx)
		if err == nil {
			pace.faster()
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.attempts++
		if done, err := s.treat(ctx, err, pace); done || err != nil {
			return err
		}
		if err := sleep(ctx, max(s.w.opts.Retries.backoff(s.attempts), retryAfter(err))); err != nil {
			return err
		}
	}
}

// retryAfter is how long the replicas in question are left alone: an attempt before would be wasted.
func retryAfter(err error) time.Duration {
	var unavailable *cluster.UnavailableError
	if errors.As(err, &unavailable) {
		return unavailable.RetryAfter
	}
	return 0
}

// treat does what the error of an attempt calls for. done means that the shipment's rows are settled.
func (s *shipment) treat(ctx context.Context, err error, pace *pace) (done bool, _ error) {
	c := diagnose(err)
	s.w.opts.Observer.Retried(s.part.shard+1, c.action)
	s.w.log.Debug("insert failed", "shard", s.part.shard+1, "replica", s.last, "attempt", s.attempts,
		"action", c.action.String(), "reason", c.reason, "error", err)
	switch c.action {
	case Stop:
		return false, &PermanentError{Err: s.failure(err), Advice: c.advice}
	case RefreshSchema:
		return false, &staleError{s.failure(err)}
	case IsolateRow:
		return s.isolate(ctx, err)
	case Split:
		if !s.j.naming.exact && len(distinct(s.part.rows)) > 1 {
			return true, s.halve(ctx)
		}
	case SlowDown:
		pace.slower(s.w.opts.Retries.MaxInterval)
	case RefreshTopology:
		s.w.opts.Cluster.RequestRefresh()
	}
	if isUnavailable(err) {
		s.w.opts.Cluster.RequestRefresh() // hosts that nobody can reach may have been replaced
	}
	if errors.Is(err, ErrRestarted) || errors.Is(err, delivery.ErrLost) || s.attempts >= s.w.opts.Retries.MaxAttempts {
		return false, s.failure(err)
	}
	return false, nil
}

func (s *shipment) failure(err error) error {
	e := &ShardError{Shard: s.part.shard, Attempts: max(s.attempts, 1), Err: err}
	if s.last != nil {
		e.Replica = s.last.String()
	}
	return e
}

// attempt sends the block once.
func (s *shipment) attempt(ctx context.Context) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	s.reached = true
	s.last = conn.Replica()
	if err := s.checkRestart(ctx, conn); err != nil {
		conn.Release(err)
		return err
	}
	if s.j.lease != nil && !safety.Off(safety.Alive) {
		// After the connection was taken: from here on nothing waits but the server.
		if err := s.j.lease.Alive(); err != nil {
			conn.Release(nil)
			return fmt.Errorf("inserting %s: %w", s.j.lease.Range(), err)
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.w.opts.InsertTimeout, fmt.Errorf("no answer within %s", s.w.opts.InsertTimeout))
	defer cancel()
	sent := false
	input := s.part.block.Input()
	began := time.Now()
	s.j.begin(began)
	err = conn.Do(ctx, ch.Query{
		Body:     statement(s.j.layout.Target(s.part.shard), input),
		Input:    watched(input, &sent),
		Settings: s.w.settings(s.part.name),
	})
	conn.Release(err)
	if err != nil {
		s.remember(err, sent, began)
		return err
	}
	s.w.opts.Observer.Inserted(s.part.shard+1, len(s.part.rows), s.part.block.Bytes(), time.Since(began))
	return nil
}

// connect takes a connection to the replica that must have the block, or to any that may.
func (s *shipment) connect(ctx context.Context) (*cluster.Conn, error) {
	switch {
	case s.only != nil:
		return s.w.opts.Cluster.AcquireReplica(ctx, s.only)
	case s.landing != nil:
		return s.w.opts.Cluster.AcquireReplica(ctx, s.landing)
	}
	return s.w.opts.Cluster.Acquire(ctx, s.j.layout, s.part.shard, s.avoid...)
}

// remember keeps what a failed attempt says about where the block may be.
func (s *shipment) remember(err error, sent bool, began time.Time) {
	replica := s.last
	s.avoid = append(s.avoid[:0:0], replica)
	if !sent || diagnose(err).before {
		return
	}
	s.j.mayLand(began)
	if !s.j.layout.Table.Replicated() && s.landing == nil && !safety.Off(safety.SameReplica) {
		s.landing, s.landed = replica, began
	}
}

// watched makes the input tell when it begins to be sent. Before that the server has refused the INSERT, or the connection was
// dead, and the block is certainly not in.
func watched(input proto.Input, sent *bool) proto.Input {
	out := append(proto.Input(nil), input...)
	out[0].Data = watchedColumn{out[0].Data, sent}
	return out
}

// watchedColumn passes through what ch-go asks of columns beyond proto.ColInput.
type watchedColumn struct {
	proto.ColInput
	sent *bool
}

func (c watchedColumn) EncodeColumn(b *proto.Buffer) {
	*c.sent = true
	c.ColInput.EncodeColumn(b)
}

func (c watchedColumn) WriteColumn(w *proto.Writer) {
	*c.sent = true
	c.ColInput.WriteColumn(w)
}

func (c watchedColumn) EncodeState(b *proto.Buffer) {
	if v, ok := c.ColInput.(proto.StateEncoder); ok {
		v.EncodeState(b)
	}
}

func (c watchedColumn) Prepare() error {
	if v, ok := c.ColInput.(proto.Preparable); ok {
		return v.Prepare()
	}
	return nil
}

func (c watchedColumn) Infer(t proto.ColumnType) error {
	if v, ok := c.ColInput.(proto.Inferable); ok {
		return v.Infer(t)
	}
	return nil
}

// halve sends the block as two.
func (s *shipment) halve(ctx context.Context) error {
	records := distinct(s.part.rows)
	middle := len(records) / 2
	for i, rows := range [][]int32{records[:middle], records[middle:]} {
		half, err := s.j.rebuild(s.t, s.part, rows, fmt.Sprintf("%s/half-%d", s.part.name, i+1))
		if err != nil {
			return err
		}
		sub := &shipment{w: s.w, j: s.j, t: s.t, part: half, only: s.only, landing: s.landing, landed: s.landed}
		if err := sub.run(ctx); err != nil {
			return err
		}
	}
	return nil
}
