package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
)

// connector is one process of the binary, which can be killed and started again.
type connector struct {
	w    *world
	name string
	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{}
}

func (w *world) connector(name string) (*connector, error) {
	c := &connector{w: w, name: name}
	return c, c.start()
}

func (c *connector) start() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	log, err := os.OpenFile(filepath.Join(c.w.dir, "connect-"+c.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	fmt.Fprintf(log, "---- start\n")
	cmd := exec.Command(c.w.opts.Binary, "run", c.w.config)
	cmd.Env = append(os.Environ(), c.w.opts.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting connector %s: %w", c.name, err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	c.cmd, c.done = cmd, done
	return nil
}

// signal sends sig unless the process has ended.
func (c *connector) signal(sig syscall.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.done:
	default:
		_ = c.cmd.Process.Signal(sig)
	}
}

// alive tells whether the process runs; one that ended by itself is a finding.
func (c *connector) alive() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// kill ends the process with SIGKILL and returns when it is gone.
func (c *connector) kill() {
	c.signal(syscall.SIGKILL)
	<-c.done
}
