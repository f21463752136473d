package services

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	startTimeout = 90 * time.Second
	stopTimeout  = 20 * time.Second
)

// process is one server: it can be killed, stopped, paused and started again with the same arguments.
type process struct {
	name    string
	argv    []string
	env     []string // beside our own
	dir     string
	logPath string
	healthy func(context.Context) error // nil error: the server answers
	foreign bool                        // belongs to the user; only healthy is called

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{} // closed when cmd has been waited for
	err  error         // what waiting returned; valid once done is closed
}

// Start starts the server, on the data it left behind if it ran before, and waits until it answers.
func (p *process) Start(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if p.foreign {
		return p.wait(ctx)
	}
	if p.running() {
		return fmt.Errorf("starting %s: it is running", p.name)
	}
	log, err := os.OpenFile(p.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	defer log.Close()

	cmd := exec.Command(p.argv[0], p.argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, log, log
	cmd.Env = append(os.Environ(), p.env...)
	// An own process group, so that Ctrl-C in a terminal reaches the servers through us only; and the kernel's promise to
	// kill the server when we die, whatever we die of.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := fork(cmd); err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	p.cmd, p.done = cmd, make(chan struct{})
	go func(done chan struct{}) {
		p.err = cmd.Wait()
		close(done)
	}(p.done)

	if err := p.wait(ctx); err != nil {
		_ = p.signal(syscall.SIGKILL)
		<-p.done
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	return nil
}

// wait returns once the server answers, has ended, or ctx is over.
func (p *process) wait(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := p.healthy(attempt)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return &ExitError{Server: p.name, Err: p.err, Log: p.tail(4096)}
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w; the end of its log:\n%s", p.name, err, p.tail(4096))
		case <-tick.C:
		}
	}
}

// Kill ends the server with SIGKILL, paused or not, and returns when it is gone. Killing a dead server is no error.
func (p *process) Kill() error { return p.end(syscall.SIGKILL) }

// Stop ends the server with SIGTERM, or with SIGKILL when it takes too long, and returns when it is gone.
func (p *process) Stop() error { return p.end(syscall.SIGTERM) }

// Pause freezes the server with SIGSTOP: its connections stay open and nothing answers.
func (p *process) Pause() error { return p.freeze(syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (p *process) Resume() error { return p.freeze(syscall.SIGCONT) }

// Running reports whether the server's process is there, paused or not.
func (p *process) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.foreign || p.running()
}

// PID is the process id of the server, or 0 when it does not run or is not ours.
func (p *process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return 0
	}
	return p.cmd.Process.Pid
}

func (p *process) running() bool {
	if p.done == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

func (p *process) end(sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.foreign {
		return fmt.Errorf("stopping %s: %w", p.name, ErrNotOurs)
	}
	if !p.running() {
		return nil
	}
	_ = p.signal(sig)             // it fails for a process that has just ended, which is what is wanted
	_ = p.signal(syscall.SIGCONT) // a paused process does not see SIGTERM before it goes on
	select {
	case <-p.done:
		return nil
	case <-time.After(stopTimeout):
	}
	_ = p.signal(syscall.SIGKILL)
	<-p.done
	return nil
}

func (p *process) freeze(sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.foreign {
		return fmt.Errorf("pausing %s: %w", p.name, ErrNotOurs)
	}
	if !p.running() {
		return fmt.Errorf("sending %v to %s: it does not run", sig, p.name)
	}
	return p.signal(sig)
}

// signal reaches the whole process group, since a server may have children.
func (p *process) signal(sig syscall.Signal) error {
	return syscall.Kill(-p.cmd.Process.Pid, sig)
}

// Log returns the last n bytes that the server wrote to its log.
func (p *process) Log(n int64) string { return p.tail(n) }

func (p *process) tail(n int64) string {
	f, err := os.Open(p.logPath)
	if err != nil {
		return ""
	}
	defer f.Close()
	if end, err := f.Seek(0, io.SeekEnd); err == nil && end > n {
		_, _ = f.Seek(-n, io.SeekEnd)
	} else {
		_, _ = f.Seek(0, io.SeekStart)
	}
	b, _ := io.ReadAll(f)
	return string(b)
}

var forks = sync.OnceValue(func() chan<- forkRequest {
	requests := make(chan forkRequest)
	go func() {
		// Linux sends the death signal when the *thread* that forked ends, so all forks come from one that never does.
		runtime.LockOSThread()
		for r := range requests {
			r.result <- r.cmd.Start()
		}
	}()
	return requests
})

type forkRequest struct {
	cmd    *exec.Cmd
	result chan error
}

// fork starts cmd from the thread that lives as long as this process.
func fork(cmd *exec.Cmd) error {
	r := forkRequest{cmd: cmd, result: make(chan error, 1)}
	forks() <- r
	return <-r.result
}
