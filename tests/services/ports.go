package services

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// Ports are taken below Linux's range for outgoing connections (32768 and up): a server that restarts must get its port
// back, and no client's connection may have taken it meanwhile.
const (
	firstPort = 18000
	lastPort  = 32000
)

// ports reserves TCP ports for as long as it is open, against every other process that reserves them the same way.
type ports struct {
	dir   string
	locks []*os.File
}

func newPorts(cacheDir string) (*ports, error) {
	dir := filepath.Join(cacheDir, "ports")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("creating the directory of port reservations: %w", err)
	}
	return &ports{dir: dir}, nil
}

// take returns a port of 127.0.0.1 that nobody listens on and nobody else has reserved.
func (p *ports) take() (int, error) {
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		lock, err := os.OpenFile(filepath.Join(p.dir, fmt.Sprint(port)), os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return 0, fmt.Errorf("reserving a port: %w", err)
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil || !isFree(port) {
			lock.Close()
			continue
		}
		p.locks = append(p.locks, lock)
		return port, nil
	}
	return 0, fmt.Errorf("reserving a port: none between %d and %d is free", firstPort, lastPort)
}

func (p *ports) close() {
	for _, lock := range p.locks {
		lock.Close()
	}
	p.locks = nil
}

func isFree(port int) bool {
	l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	l.Close()
	return true
}
