package demo

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/benthos-clickhouse/connect/tests/clickstream"
	"github.com/benthos-clickhouse/connect/tests/connector"
)

// pipeline is the running connector and what it is watched by.
type pipeline struct {
	connector.Process
	http   string
	landed time.Time
}

func startPipeline(s *Stack, config string) (*pipeline, error) {
	addr, err := connector.FreeAddr()
	if err != nil {
		return nil, err
	}
	p := &pipeline{http: addr, Process: connector.Process{
		Binary: s.Binary, Config: config, LogPath: filepath.Join(s.Dir, "connect.log"),
		Env: []string{
			"HTTP_ADDRESS=" + addr,
			"KAFKA_BROKERS=" + s.KafkaAddr,
			"MYSQL_DSN=" + s.MySQLDSN,
			"CLICKHOUSE_ADDRESSES=" + s.nodes()[0].Addr(),
		},
	}}
	return p, p.Start()
}

// stall is how long nothing may land before the demo gives up.
const stall = 3 * time.Minute

// follow waits until the consumer group has committed the end of the topic, drawing the rows that have landed, and kills and
// revives a shard on the way when asked to.
func follow(ctx context.Context, opts Options, s *Stack, p *pipeline, ledger *clickstream.Ledger) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(s.KafkaAddr))
	if err != nil {
		return fmt.Errorf("connecting to Kafka: %w", err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)

	total := ledger.Total().Events
	bar := newBar(opts.Out, int(total), "landing")
	outage := newOutage(opts, s)
	defer outage.wait()
	last, changed := int64(0), time.Now()
	for {
		rows := s.rows(ctx)
		_ = bar.Set64(min(rows, total))
		if rows != last {
			last, changed = rows, time.Now()
		}
		outage.at(ctx, rows, total)
		lag := connector.Lag(ctx, admin, group, topicEvents, partitions)
		if lag == 0 && !outage.under() {
			p.landed = time.Now()
			return bar.Finish()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.Done():
			return fmt.Errorf("the connector ended by itself: %s", p.State())
		case <-time.After(100 * time.Millisecond):
		}
		if time.Since(changed) > stall {
			return fmt.Errorf("nothing landed for %s: %d of %d rows, lag %d", stall, rows, total, lag)
		}
	}
}

// rows counts what has landed on the shards that answer; a killed one's rows count again when it is back.
func (s *Stack) rows(ctx context.Context) (sum int64) {
	for _, n := range s.nodes() {
		var rows int64
		if err := scan(ctx, n, "SELECT count() FROM dw.events_local", &rows); err == nil {
			sum += rows
		}
	}
	return sum
}

var dimensionSample = regexp.MustCompile(`^(dimension_join_\w+)\{.*dimension="([^"]*)"`)

// finish reads the cache's counters, ends the connector as an operator would, and notes what it cost.
func (p *pipeline) finish(ctx context.Context, r *Report) error {
	if err := p.readCache(ctx, r); err != nil {
		return err
	}
	if err := p.Stop(); err != nil {
		return err
	}
	r.Seconds = p.landed.Sub(p.Started()).Seconds()
	r.CPUSeconds = p.TotalCPU().Seconds()
	r.PeakBytes = p.PeakMemory()
	return nil
}

// readCache reads the cache's counters until they rest: the processor exports them a moment after a batch.
func (p *pipeline) readCache(ctx context.Context, r *Report) error {
	for range 10 {
		before := r.Cache
		samples, err := connector.Metrics(ctx, p.http)
		if err != nil {
			return err
		}
		r.Cache = map[string]*CacheStats{}
		for name, v := range samples {
			if m := dimensionSample.FindStringSubmatch(name); m != nil {
				r.cache(m[2]).count(m[1], int64(v))
			}
		}
		if reflect.DeepEqual(before, r.Cache) {
			return nil
		}
		time.Sleep(500 * time.Millisecond)
	}
	return nil
}
