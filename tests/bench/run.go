// Package bench measures what the real binary costs per row, from a broker to a real ClickHouse, and what the same work costs
// by its stages alone, in the same run on the same machine.
//
// It owns the scenarios and the figures; it must never assert a wall-clock time.
package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/benthos-clickhouse/connect/tests/connector"
)

// startup measures what starting and ending cost a process that finds nothing to do. It is the same for all scenarios, and taken
// off where a cost per row shall not depend on the number of rows.
func (b *Bench) startup(ctx context.Context) error {
	s := base()
	s.Partitions = 2 // a topic that nothing else uses
	if err := b.makeTables(ctx, s); err != nil {
		return err
	}
	if _, err := fill(ctx, b.kafka, s.topic(), int32(s.Partitions), s.Shape, 0); err != nil {
		return err
	}
	httpAddr, err := connector.FreeAddr()
	if err != nil {
		return err
	}
	p, err := b.start(b.opts.Binary, s.config(b.ends(httpAddr), fmt.Sprintf("bench-%d-idle", os.Getpid()), false))
	if err != nil {
		return err
	}
	defer p.Kill()
	for time.Since(p.Started()) < time.Minute {
		if ready(ctx, httpAddr) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	b.startSeconds = time.Since(p.Started()).Seconds()
	time.Sleep(time.Second) // for the group to form
	if err := p.Stop(); err != nil {
		return fmt.Errorf("starting without work: %w; the end of the connector's log:\n%s", err, p.LogTail())
	}
	b.startCPU = p.TotalCPU().Seconds()
	return nil
}

// ready tells whether the connector's input and output are connected.
func ready(ctx context.Context, addr string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/ready", nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// Result is what one scenario cost. Per-row figures are microseconds of the connector's user and system time.
type Result struct {
	Scenario      string  `json:"scenario"`
	Join          bool    `json:"join"`
	Rows          int     `json:"rows"`
	BytesPerRow   float64 `json:"bytes_per_row"`
	CPUMicros     float64 `json:"cpu_us_per_row"`        // whole life of the process
	NetMicros     float64 `json:"cpu_us_per_row_net"`    // less what starting and ending cost without any row
	SteadyMicros  float64 `json:"cpu_us_per_row_steady"` // from the first commit to the last
	RowsPerSecond float64 `json:"rows_per_second"`       // from the first commit to the last
	PeakBytes     int64   `json:"peak_memory_bytes"`
	AllocsPerRow  float64 `json:"allocations_per_row"`
	FirstInsert   float64 `json:"seconds_to_first_commit"`
	Shares        []Share `json:"cpu_shares,omitempty"` // when profiles were taken
}

// run measures one scenario.
func (b *Bench) run(ctx context.Context, binary string, s Scenario) (*Result, error) {
	meanBytes, err := b.prepare(ctx, s)
	if err != nil {
		return nil, err
	}
	b.runs++
	group := fmt.Sprintf("bench-%d-%d", os.Getpid(), b.runs)
	httpAddr, err := connector.FreeAddr()
	if err != nil {
		return nil, err
	}
	at := b.ends(httpAddr)
	p, err := b.start(binary, s.config(at, group, b.opts.Profile != ""))
	if err != nil {
		return nil, err
	}
	defer p.Kill()
	res, err := b.watch(ctx, p, s, group, httpAddr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; the end of the connector's log:\n%s", s.Name, err, p.LogTail())
	}
	res.Scenario, res.Join, res.Rows, res.BytesPerRow = s.Name, s.Join, b.opts.Rows, meanBytes
	return res, nil
}

// ends are the addresses for a pipeline that itself listens at http.
func (b *Bench) ends(http string) ends {
	return ends{http: http, kafka: b.kafka, dsn: b.dsn, clickhouse: b.cluster.Servers[0].Addr()}
}

// start starts the connector with a configuration.
func (b *Bench) start(binary, config string) (*connector.Process, error) {
	path := filepath.Join(b.dir, "bench.yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return nil, err
	}
	p := &connector.Process{Binary: binary, Config: path, LogPath: filepath.Join(b.dir, "connect.log")}
	_ = os.Remove(p.LogPath) // of the run before
	return p, p.Start()
}

// sample is how far a run is, and what it has cost until then.
type sample struct {
	at        time.Time
	cpu       time.Duration
	committed int64
}

func (b *Bench) watch(ctx context.Context, p *connector.Process, s Scenario, group, httpAddr string) (*Result, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.kafka))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	profiles := b.profiler(ctx, s, httpAddr)
	var first, last sample
	stalled := time.Now()
	for last.committed < int64(b.opts.Rows) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-p.Done():
			return nil, fmt.Errorf("the connector ended by itself: %s", p.State())
		case <-time.After(50 * time.Millisecond):
		}
		now := sample{time.Now(), p.CPU(), committed(ctx, admin, group)}
		if now.committed > last.committed {
			if first.committed == 0 { // from here on nothing is starting up
				first = now
			}
			last, stalled = now, time.Now()
			profiles.at(ctx, last.committed, int64(b.opts.Rows))
		}
		if time.Since(stalled) > 2*time.Minute {
			return nil, fmt.Errorf("stalled at %d of %d rows", last.committed, b.opts.Rows)
		}
	}
	shares, err := profiles.finish(ctx, p.LogPath)
	if err != nil {
		return nil, err
	}
	samples, err := connector.Metrics(ctx, httpAddr)
	if err != nil {
		return nil, err
	}
	if err := p.Stop(); err != nil {
		return nil, err
	}
	rows := float64(b.opts.Rows)
	total := p.TotalCPU().Seconds()
	res := &Result{
		CPUMicros: total * 1e6 / rows, NetMicros: (total - b.startCPU) * 1e6 / rows, PeakBytes: p.PeakMemory(), AllocsPerRow: samples["go_memstats_mallocs_total"] / rows,
		FirstInsert: first.at.Sub(p.Started()).Seconds(), Shares: shares,
	}
	if n := last.committed - first.committed; n > 0 {
		res.SteadyMicros = (last.cpu - first.cpu).Seconds() * 1e6 / float64(n)
		res.RowsPerSecond = float64(n) / last.at.Sub(first.at).Seconds()
	}
	return res, nil
}

func committed(ctx context.Context, admin *kadm.Client, group string) (sum int64) {
	offsets, err := admin.FetchOffsets(ctx, group)
	if err != nil {
		return 0
	}
	offsets.Each(func(o kadm.OffsetResponse) {
		if o.Err == nil && o.At > 0 {
			sum += o.At
		}
	})
	return sum
}

func say(w io.Writer, format string, args ...any) {
	if w != nil {
		fmt.Fprintf(w, format+"\n", args...)
	}
}
