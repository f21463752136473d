// Package kafka is the batch input kafka_exactly_once: it reads Kafka in offset ranges that survive a crash, so that an output which can drop a
// repeated range ends up with every record exactly once.
//
// It owns the Benthos glue (config.go, spec.go, input.go, message.go), copies of the records that ranges hold and the client's buffers
// (pack.go, pools.go), the life of one group member (session.go, assignment.go), the cutting of
// partitions into ranges (partition.go), the leases handed to outputs (lease.go), and the intent log in the group's committed offsets (intents.go,
// committer.go). It must never commit an offset outside the committer, deliver a range twice with different boundaries, or know what an output does with a range.
package kafka

import (
	"context"
	"sync"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
)

func init() {
	if err := service.RegisterBatchInput("kafka_exactly_once", spec(), newInput); err != nil {
		panic(err)
	}
}

// input implements service.BatchInput: it replaces its session when that has ended.
type input struct {
	cfg     *config
	log     *service.Logger
	metrics *metrics

	mu      sync.Mutex
	session *session
	leaving sync.WaitGroup // sessions that were replaced and are still leaving the group
}

func newInput(conf *service.ParsedConfig, mgr *service.Resources) (service.BatchInput, error) {
	cfg, err := parseConfig(conf)
	if err != nil {
		return nil, err
	}
	return &input{cfg: cfg, log: mgr.Logger(), metrics: newMetrics(mgr.Metrics())}, nil
}

// Connect implements service.BatchInput.
func (in *input) Connect(ctx context.Context) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.session != nil {
		select {
		case <-in.session.failed:
			in.log.Warnf("Joining consumer group %q again: %v", in.cfg.group, in.session.err)
		default:
		}
		in.leave(in.session)
		in.session = nil
	}
	s := newSession(in.cfg, in.log, in.metrics)
	if err := s.start(ctx); err != nil {
		s.cancel()
		return err
	}
	in.session = s
	return nil
}

// ReadBatch implements service.BatchInput: one batch is one range.
func (in *input) ReadBatch(ctx context.Context) (service.MessageBatch, service.AckFunc, error) {
	in.mu.Lock()
	s := in.session
	in.mu.Unlock()
	if s == nil {
		return nil, nil, service.ErrNotConnected
	}
	a, err := s.next(ctx)
	if err != nil {
		return nil, nil, err
	}
	batch := in.cfg.messages(a)
	return batch, func(_ context.Context, err error) error {
		s.settle(a, err)
		return nil
	}, nil
}

// leave lets a session that has ended leave the group by itself: a broker that is down would hold up the next one. The leases are dead already,
// and the group makes a new generation before anybody else is assigned anything.
func (in *input) leave(s *session) {
	s.fail(errClosed)
	in.leaving.Add(1)
	go func() {
		defer in.leaving.Done()
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		_ = s.close(ctx)
	}()
}

// closeTimeout bounds leaving the group: a broker that does not answer must not hold up a shutdown.
const closeTimeout = 15 * time.Second

// Close implements service.BatchInput.
func (in *input) Close(ctx context.Context) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	defer in.leaving.Wait()
	if in.session == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	err := in.session.close(ctx)
	in.session = nil
	return err
}
