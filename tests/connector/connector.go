// Package connector runs the connect binary as a process, for the demo, the chaos suite and the benchmarks: it builds,
// starts, signals and ends it, and reads what it logged, counted and cost.
package connector

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// Build makes the static binary from the repository at root, as `make build` does but for the build tags, and returns its path.
func Build(ctx context.Context, root, dir string, tags ...string) (string, error) {
	binary := filepath.Join(dir, "connect")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", strings.Join(tags, ","),
		"-ldflags", "-s -w -X main.Version=test", "-o", binary, "./cmd/connect")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building connect: %w\n%s", err, out)
	}
	return binary, nil
}

// Process is the binary at work. It can be started again after it ended. Its methods are safe for concurrent use.
type Process struct {
	Binary, Config string
	Env            []string // beside this process's own
	LogPath        string   // appended to

	mu      sync.Mutex
	cmd     *exec.Cmd
	done    chan struct{}
	started time.Time
	peak    atomic.Int64
}

// Start starts the process, which must not be running.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	log, err := os.OpenFile(p.LogPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("opening the connector's log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(p.Binary, "run", p.Config)
	cmd.Env = append(os.Environ(), p.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	// Ctrl-C in a terminal is for us; the connector is told by signal.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the connector: %w", err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	p.cmd, p.done, p.started = cmd, done, time.Now()
	return nil
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done
}

// Started is when the process was last started.
func (p *Process) Started() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.started
}

// Running tells whether the process has been started and has not ended.
func (p *Process) Running() bool {
	done := p.Done()
	if done == nil {
		return false
	}
	select {
	case <-done:
		return false
	default:
		return true
	}
}

// Signal sends sig if the process is running.
func (p *Process) Signal(sig syscall.Signal) {
	if p.Running() {
		_ = p.cmd.Process.Signal(sig)
	}
}

// Kill ends the process with SIGKILL and returns when it is gone. Killing an ended process is no error.
func (p *Process) Kill() {
	if done := p.Done(); done != nil {
		p.Signal(syscall.SIGKILL)
		<-done
	}
}

// stopTimeout is longer than the shutdown_timeout of any pipeline here.
const stopTimeout = 45 * time.Second

// Stop ends the process as an operator would, with SIGTERM; it fails if the process does not end, or not with success.
func (p *Process) Stop() error {
	p.peak.Store(p.readPeak())
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.Done():
	case <-time.After(stopTimeout):
		return fmt.Errorf("the connector did not end within %s of SIGTERM", stopTimeout)
	}
	if state := p.cmd.ProcessState; state.ExitCode() != 0 {
		return fmt.Errorf("the connector ended with %v", state)
	}
	return nil
}

// State describes how the process ended.
func (p *Process) State() string { return p.cmd.ProcessState.String() }

// CPU is the user and system time of the running process so far, in steps of 10 ms.
func (p *Process) CPU() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // the name before it may hold blanks
	fields := strings.Fields(rest)
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// TotalCPU is the user and system time of the ended process.
func (p *Process) TotalCPU() time.Duration {
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}

// PeakMemory is the largest resident size, in bytes, that the process had until Stop.
func (p *Process) PeakMemory() int64 { return p.peak.Load() }

// readPeak asks the kernel for the high-water mark of the memory that the program itself has had. What wait4 reports for an ended process
// is no less than the parent had when it forked.
func (p *Process) readPeak() int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	line, _, _ := strings.Cut(rest, "kB")
	kilobytes, _ := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	return kilobytes * 1024
}

// LogTail is the end of the log.
func (p *Process) LogTail() string {
	b, err := os.ReadFile(p.LogPath)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4096):])
}

// Metrics reads the samples at http://addr/metrics: by name with labels, as Prometheus prints them.
func Metrics(ctx context.Context, addr string) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("reading the connector's metrics: %w", err)
	}
	defer res.Body.Close()
	out := map[string]float64{}
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		line := lines.Text()
		i := strings.LastIndexByte(line, ' ')
		if i < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if v, err := strconv.ParseFloat(line[i+1:], 64); err == nil {
			out[line[:i]] = v
		}
	}
	if len(out) == 0 {
		return nil, errors.New("reading the connector's metrics: there are none")
	}
	return out, lines.Err()
}

// Lag is the number of records of the topic that the group has not committed yet; -1 when Kafka cannot say for each of
// the partitions.
func Lag(ctx context.Context, admin *kadm.Client, group, topic string, partitions int) int64 {
	lags, err := admin.Lag(ctx, group)
	if err != nil {
		return -1
	}
	var sum int64
	for _, p := range lags[group].Lag[topic] {
		if p.Err != nil || p.Lag < 0 {
			return -1
		}
		sum += p.Lag
	}
	if len(lags[group].Lag[topic]) != partitions {
		return -1
	}
	return sum
}

// FreeAddr is a port of 127.0.0.1 that nothing listens on yet.
func FreeAddr() (string, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}
