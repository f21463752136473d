package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/benthos-clickhouse/connect/tests/connector"
	"github.com/benthos-clickhouse/connect/tests/services"
)

// Latency is how long rows took from their record's timestamp until a SELECT saw them, at a steady load.
type Latency struct {
	Period        string  `json:"period"` // of range
	RowsPerSecond int     `json:"rows_per_second"`
	Rows          int     `json:"rows"`
	P50           float64 `json:"p50_seconds"`
	P99           float64 `json:"p99_seconds"`
	Max           float64 `json:"max_seconds"`
}

// Periods are those that latency is measured with.
var Periods = []time.Duration{100 * time.Millisecond, time.Second, 15 * time.Second}

// latencyPoll is how often the parts that a SELECT sees are looked at: no latency is known more exactly than that.
const latencyPoll = 20 * time.Millisecond

// AddLatencies measures the latency of each period at so many rows per second; at half load when rate is 0: half of what the
// standard scenario reaches when it writes to MergeTree. Broker, ClickHouse and the producer share the machine with the connector.
func (b *Bench) AddLatencies(ctx context.Context, r *Report, rate int) error {
	if rate <= 0 {
		s := base()
		s.Engine = "MergeTree"
		res, err := b.run(ctx, b.opts.Binary, s)
		if err != nil {
			return err
		}
		rate = int(res.RowsPerSecond / 2)
	}
	for i, period := range Periods {
		l, err := b.latency(ctx, i, period, rate)
		if err != nil {
			return fmt.Errorf("latency with period %s: %w", period, err)
		}
		say(b.opts.Out, "period %-6s p50 %.2f s, p99 %.2f s", l.Period, l.P50, l.P99)
		r.Latencies = append(r.Latencies, l)
	}
	return nil
}

// latencyScenario writes to tables of its own, whose parts are never merged: a part's name tells when its rows came.
func latencyScenario(period time.Duration, run int) Scenario {
	s := base()
	s.Name, s.Engine, s.Period, s.Topic = "latency", "MergeTree", period, fmt.Sprintf("bench-latency-%d", run)
	return s
}

func (b *Bench) latency(ctx context.Context, run int, period time.Duration, rate int) (*Latency, error) {
	s := latencyScenario(period, run)
	if err := b.makeTables(ctx, s); err != nil {
		return nil, err
	}
	if err := b.eachShard(ctx, s, "TRUNCATE TABLE %[1]s.events_local; SYSTEM STOP MERGES %[1]s.events_local"); err != nil {
		return nil, err
	}
	if _, err := fill(ctx, b.kafka, s.topic(), int32(s.Partitions), s.Shape, 0); err != nil {
		return nil, err
	}
	httpAddr, err := connector.FreeAddr()
	if err != nil {
		return nil, err
	}
	p, err := b.start(b.opts.Binary, s.config(b.ends(httpAddr), s.topic(), false))
	if err != nil {
		return nil, err
	}
	defer p.Kill()
	for !ready(ctx, httpAddr) {
		if time.Since(p.Started()) > time.Minute || !p.Running() {
			return nil, fmt.Errorf("the connector did not start; the end of its log:\n%s", p.LogTail())
		}
		time.Sleep(latencyPoll)
	}
	w := b.watchParts(ctx, s)
	rows, err := produce(ctx, b.kafka, s.topic(), rate, max(8*time.Second, 3*period))
	if err != nil {
		return nil, err
	}
	if err := b.awaitRows(ctx, s, rows, period+2*time.Minute); err != nil {
		return nil, fmt.Errorf("%w; the end of the connector's log:\n%s", err, p.LogTail())
	}
	time.Sleep(2 * latencyPoll)
	seen, err := w.stop()
	if err != nil {
		return nil, err
	}
	return b.latencies(ctx, s, seen, &Latency{Period: period.String(), RowsPerSecond: rate, Rows: rows})
}

// eachShard runs statements for each shard; %[1]s is its database.
func (b *Bench) eachShard(ctx context.Context, s Scenario, format string) error {
	for i := range s.Shards {
		if err := b.cluster.Servers[i%nodes].ExecContext(ctx, fmt.Sprintf(format, s.shardDatabase(i))); err != nil {
			return err
		}
	}
	return nil
}

// produce produces events at a rate, evenly.
func produce(ctx context.Context, addr, topic string, rate int, during time.Duration) (rows int, err error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(addr), kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(kgo.Lz4Compression()),
		kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), kgo.ProducerLinger(5*time.Millisecond), kgo.MaxBufferedRecords(1<<20),
	)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	docs := events()[:10_000]
	failed := make(chan error, 1)
	started := time.Now()
	for elapsed := time.Duration(0); elapsed < during; elapsed = time.Since(started) {
		for due := int(elapsed.Seconds() * float64(rate)); rows < due; rows++ {
			client.Produce(ctx, &kgo.Record{Value: docs[rows%len(docs)]}, func(_ *kgo.Record, err error) {
				if err != nil {
					select {
					case failed <- err:
					default:
					}
				}
			})
		}
		time.Sleep(2 * time.Millisecond)
	}
	if err := client.Flush(ctx); err != nil {
		return rows, err
	}
	select {
	case err := <-failed:
		return rows, err
	default:
		return rows, nil
	}
}

// partsWatch notes when each part was seen first.
type partsWatch struct {
	done   chan struct{}
	cancel context.CancelFunc
	seen   map[string]int64 // database and part → Unix milliseconds
	err    error
}

func (b *Bench) watchParts(ctx context.Context, s Scenario) *partsWatch {
	ctx, cancel := context.WithCancel(ctx)
	w := &partsWatch{done: make(chan struct{}), cancel: cancel, seen: map[string]int64{}}
	query := fmt.Sprintf("SELECT concat(database, '/', name) FROM system.parts WHERE active AND table = 'events_local' AND startsWith(database, '%s_') FORMAT TSV", s.database())
	go func() {
		defer close(w.done)
		for ctx.Err() == nil && w.err == nil {
			for _, node := range b.cluster.Servers {
				w.note(ctx, node, query)
			}
			time.Sleep(latencyPoll)
		}
	}()
	return w
}

func (w *partsWatch) note(ctx context.Context, node *services.Node, query string) {
	text, err := httpQuery(ctx, node.HTTPAddr(), query)
	if err != nil {
		if ctx.Err() == nil {
			w.err = err
		}
		return
	}
	now := time.Now().UnixMilli() // after the answer: the part was visible by then
	for name := range strings.Lines(text) {
		if name = strings.TrimSpace(name); w.seen[name] == 0 {
			w.seen[name] = now
		}
	}
}

func (w *partsWatch) stop() (map[string]int64, error) {
	w.cancel()
	<-w.done
	return w.seen, w.err
}

func (b *Bench) awaitRows(ctx context.Context, s Scenario, rows int, limit time.Duration) error {
	for deadline := time.Now().Add(limit); ; time.Sleep(100 * time.Millisecond) {
		there := 0
		for i := range s.Shards {
			text, err := httpQuery(ctx, b.cluster.Servers[i%nodes].HTTPAddr(), fmt.Sprintf("SELECT count() FROM %s.events_local", s.shardDatabase(i)))
			if err != nil {
				return err
			}
			n, _ := strconv.Atoi(strings.TrimSpace(text))
			there += n
		}
		switch {
		case there >= rows:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("%d of %d rows came within %s", there, rows, limit)
		}
	}
}

// latencies reads when each row was produced, and in which part it came.
func (b *Bench) latencies(ctx context.Context, s Scenario, seen map[string]int64, l *Latency) (*Latency, error) {
	var waits []int64
	for i := range s.Shards {
		db := s.shardDatabase(i)
		text, err := httpQuery(ctx, b.cluster.Servers[i%nodes].HTTPAddr(),
			fmt.Sprintf("SELECT concat('%[1]s/', _part), toUnixTimestamp64Milli(produced) FROM %[1]s.events_local FORMAT TSV", db))
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(text) {
			part, ms, _ := strings.Cut(strings.TrimSpace(line), "\t")
			produced, err := strconv.ParseInt(ms, 10, 64)
			at := seen[part]
			if err != nil || at == 0 {
				return nil, fmt.Errorf("part %q was never seen, or %q is no time", part, ms)
			}
			waits = append(waits, at-produced)
		}
	}
	if len(waits) == 0 {
		return nil, errors.New("no row came")
	}
	slices.Sort(waits)
	quantile := func(q float64) float64 { return float64(waits[int(q*float64(len(waits)-1))]) / 1000 }
	l.P50, l.P99, l.Max = quantile(0.5), quantile(0.99), quantile(1)
	return l, nil
}

func (r *Report) writeLatencies(w io.Writer) error {
	if len(r.Latencies) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\nLatency from the record's timestamp to the visible row, at %d rows/s:\n", r.Latencies[0].RowsPerSecond)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, l := range r.Latencies {
		fmt.Fprintf(tw, "  range.period %s\tp50 %.2f s\tp99 %.2f s\tmax %.2f s\t%d rows\n", l.Period, l.P50, l.P99, l.Max, l.Rows)
	}
	return tw.Flush()
}
