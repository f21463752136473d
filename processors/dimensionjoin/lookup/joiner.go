package lookup

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/cache"
	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/source"
)

// Joiner joins batches. It is safe for concurrent use.
type Joiner struct {
	config Config
	store  *cache.Store
	dims   []*dimension
	log    *slog.Logger
	outage outage

	life context.Context // ends with Close
	stop context.CancelFunc
	work sync.WaitGroup // goroutines that keep full dimensions fresh

	planning chan struct{} // full while a plan is made: who waits for it may have to give up
	current  atomic.Pointer[plan]
	latest   atomic.Pointer[[]planDim] // of the current plan, or of the one that is being made
	saved    cache.Snapshot            // rows of an earlier life, until the first plan is made
	followed bool                      // the goroutines of full dimensions run
	doubts   doubts

	echoes    echo
	binlogLag atomic.Int64 // nanoseconds
}

// New makes a joiner that reads from MySQL; it asks the server nothing yet. The store and the pool stay the caller's.
func New(config Config, db *sql.DB, store *cache.Store) (*Joiner, error) {
	return NewFrom(config, store, func(cfg source.Config, stats *Stats) (Source, error) {
		return source.New(db, cfg, func(rows int) { stats.Inexact.Add(int64(rows)) })
	})
}

// NewFrom makes a joiner whose dimensions are read by the sources that open returns.
func NewFrom(config Config, store *cache.Store, open func(cfg source.Config, stats *Stats) (Source, error)) (*Joiner, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	j := &Joiner{config: config, store: store, log: config.Logger, planning: make(chan struct{}, 1)}
	if j.log == nil {
		j.log = slog.New(slog.DiscardHandler)
	}
	for i := range config.Dimensions {
		d := &dimension{Dimension: config.Dimensions[i], stats: &Stats{}, zone: config.Dimensions[i].Source.Zone}
		if d.zone == nil {
			d.zone = time.UTC
		}
		var err error
		if d.source, err = open(d.Source, d.stats); err != nil {
			return nil, err
		}
		j.dims = append(j.dims, d)
	}
	j.open()
	j.life, j.stop = context.WithCancel(context.Background())
	return j, nil
}

// Close stops the work in the background, and saves the snapshot. No Join may be running.
func (j *Joiner) Close() {
	j.stop()
	j.work.Wait()
	j.save()
}

// Join joins the events of one batch, and returns the arrays that they have begun, with the joined documents. It returns an error only
// when ctx ends: while rows cannot be read that no stale one can stand in for, it waits with growing pauses and tries again, so that no
// event passes unjoined and none is lost.
func (j *Joiner) Join(ctx context.Context, events []Event) ([][]byte, error) {
	for attempt := 0; ; attempt++ {
		out, err := j.attempt(ctx, events)
		if err == nil {
			return out, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if errors.Is(err, source.ErrSchemaChanged) && attempt == 0 {
			continue
		}
		pause := j.pause(attempt)
		j.outage.blocked(j.log, err, pause)
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}

func (j *Joiner) attempt(ctx context.Context, events []Event) ([][]byte, error) {
	p, err := j.plan(ctx)
	if err != nil {
		return nil, err
	}
	w := p.workers.Get().(*worker)
	defer p.workers.Put(w)
	out, err := w.join(ctx, events)
	if err == nil {
		return out, nil
	}
	var schema *source.SchemaError
	if errors.Is(err, source.ErrSchemaChanged) || errors.As(err, &schema) {
		j.replan(p)
	}
	return nil, err
}

func (j *Joiner) pause(attempt int) time.Duration {
	d := j.config.InitialBackoff << min(attempt, 16)
	if d <= 0 || d > j.config.MaxBackoff {
		d = j.config.MaxBackoff
	}
	return d/2 + rand.N(d/2+1)
}

// plan returns the current plan, and makes one if need be.
func (j *Joiner) plan(ctx context.Context) (*plan, error) {
	if p := j.current.Load(); p != nil {
		return p, nil
	}
	if err := j.hold(ctx); err != nil {
		return nil, err
	}
	defer j.letGo()
	if p := j.current.Load(); p != nil {
		return p, nil
	}
	dims := make([]planDim, len(j.dims))
	for i, d := range j.dims {
		var err error
		if dims[i], err = j.describe(ctx, d); err != nil {
			return nil, err
		}
	}
	p, err := newPlan(j, dims)
	if err != nil {
		return nil, err
	}
	j.supersede(p.dims)
	j.restore(p.dims)
	if err := j.preload(ctx, p); err != nil {
		return nil, err
	}
	j.current.Store(p)
	j.follow()
	return p, nil
}

// hold keeps everyone else from making a plan, until letGo.
func (j *Joiner) hold(ctx context.Context) error {
	select {
	case j.planning <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (j *Joiner) letGo() { <-j.planning }

// replan forgets a plan whose schemas are no longer the server's.
func (j *Joiner) replan(old *plan) {
	if !j.current.CompareAndSwap(old, nil) {
		return
	}
	j.log.Warn("the schema of a dimension may have changed: reading it again")
}

// supersede makes these the dimensions that changes are applied to, and forgets the rows of schemas that are gone.
func (j *Joiner) supersede(dims []planDim) {
	old := j.latest.Swap(&dims)
	if old == nil {
		return
	}
	for i := range *old {
		if was, is := &(*old)[i], &dims[i]; was.view != is.view {
			j.log.Warn("the schema of a dimension has changed: its cached rows are forgotten", "dimension", was.Source.Name)
			was.view.Drop()
		}
	}
}

// resolve gets the entries for all keys of these dimensions, side by side.
func (w *worker) resolve(ctx context.Context, dims []int) error {
	if len(dims) == 1 || !w.wanting(dims) {
		for _, d := range dims {
			if err := w.resolveOne(ctx, d); err != nil {
				return err
			}
		}
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, d := range dims {
		group.Go(func() error { return w.resolveOne(ctx, d) })
	}
	return group.Wait()
}

// wanting reports whether some key has to be read before the batch can go on.
func (w *worker) wanting(dims []int) bool {
	for _, d := range dims {
		for _, i := range w.dims[d].pending {
			if w.dims[d].slots[i].state < cache.Due {
				return true
			}
		}
	}
	return false
}

// outage logs what the server's silence means, once in a while.
type outage struct {
	mu   sync.Mutex
	last map[string]time.Time
}

const logPause = 30 * time.Second

func (o *outage) due(key string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.last == nil {
		o.last = map[string]time.Time{}
	}
	if last, seen := o.last[key]; seen && time.Since(last) < logPause {
		return false
	}
	o.last[key] = time.Now()
	return true
}

func (o *outage) stale(log *slog.Logger, dimension string, err error) {
	if o.due("stale " + dimension) {
		log.Warn("the server does not answer: joining what is cached", "dimension", dimension, "error", err)
	}
}

func (o *outage) blocked(log *slog.Logger, err error, pause time.Duration) {
	if o.due("blocked") {
		log.Error("cannot read dimensions: events wait", "error", err, "next_attempt", pause)
	}
}

func (o *outage) over(log *slog.Logger, dimension string) {
	o.mu.Lock()
	_, was := o.last["stale "+dimension]
	_, blocked := o.last["blocked"]
	delete(o.last, "stale "+dimension)
	delete(o.last, "blocked")
	o.mu.Unlock()
	if was || blocked {
		log.Info("the server answers again", "dimension", dimension)
	}
}
