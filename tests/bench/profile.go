package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// profiler takes profiles of a running connector through its debug endpoints. A nil profiler takes none.
type profiler struct {
	prefix string // path that each profile's name is appended to
	http   string
	stop   context.CancelFunc
	cpu    chan error
	heaps  int
	err    error
}

// cpuSlice is how long one CPU profile samples, in seconds. They follow each other from start to end; go tool pprof adds up the
// files that it is given together.
const cpuSlice = 2

// heapsPerRun is how many heap profiles are taken, evenly spread: what is held is not the same at the start and in the middle.
const heapsPerRun = 5

func (b *Bench) profiler(ctx context.Context, s Scenario, httpAddr string) *profiler {
	if b.opts.Profile == "" {
		return nil
	}
	name := strings.NewReplacer(" ", "_", ",", "").Replace(s.Name)
	p := &profiler{prefix: filepath.Join(b.opts.Profile, name), http: httpAddr, cpu: make(chan error, 1)}
	ctx, p.stop = context.WithCancel(ctx)
	go func() { p.cpu <- p.sliceCPU(ctx) }()
	return p
}

// sliceCPU takes CPU profiles until ctx ends. Until the connector listens there is nobody to ask.
func (p *profiler) sliceCPU(ctx context.Context) error {
	for n := 1; ctx.Err() == nil; {
		err := p.take(ctx, fmt.Sprintf("profile?seconds=%d", cpuSlice), fmt.Sprintf("cpu%d", n))
		switch {
		case err == nil:
			n++
		case ctx.Err() != nil:
		case errors.Is(err, syscall.ECONNREFUSED):
			time.Sleep(20 * time.Millisecond)
		default:
			return err
		}
	}
	return nil
}

// at is called with each progress.
func (p *profiler) at(ctx context.Context, committed, rows int64) {
	if p == nil || p.err != nil {
		return
	}
	if due := int64(p.heaps+1) * rows / (heapsPerRun + 1); committed >= due && committed < rows {
		p.heaps++
		p.err = p.take(ctx, "heap", fmt.Sprintf("heap%d", p.heaps))
	}
}

// finish ends the CPU profiles, takes what needs the whole run, and adds up. The connector must still be there.
func (p *profiler) finish(ctx context.Context, log string) ([]Share, error) {
	if p == nil {
		return nil, nil
	}
	p.stop()
	err := errors.Join(p.err, <-p.cpu, p.take(ctx, "allocs", "allocs"))
	text, readErr := os.ReadFile(log)
	if err := errors.Join(err, readErr, os.WriteFile(p.prefix+".log", text, 0o644)); err != nil {
		return nil, err
	}
	return p.shares(ctx)
}

func (p *profiler) take(ctx context.Context, endpoint, name string) error {
	if err := os.MkdirAll(filepath.Dir(p.prefix), 0o755); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.http+"/debug/pprof/"+endpoint, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("taking profile %s: %w", name, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.200s", res.Status, body)
	}
	if err != nil {
		return fmt.Errorf("taking profile %s: %w", name, err)
	}
	return os.WriteFile(p.prefix+"."+name+".pprof", body, 0o644)
}
