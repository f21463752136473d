package cluster

import (
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// Backoff of an open circuit: it doubles from the first to the last, and half of it is random.
const (
	circuitFirstBackoff = 500 * time.Millisecond
	circuitLastBackoff  = 30 * time.Second
)

// isCircuitOpen tells whether the error is that nothing was tried.
func isCircuitOpen(err error) bool {
	var open *CircuitOpenError
	return errors.As(err, &open)
}

type circuitState uint8

const (
	circuitClosed   circuitState = iota // in use
	circuitOpen                         // failed, left alone until its backoff has passed
	circuitHalfOpen                     // one caller is trying it
)

// circuit keeps callers away from a host that failed. The zero value is closed. It never waits and reads no clock: the time is passed in.
type circuit struct {
	mu       sync.Mutex
	state    circuitState
	failures int       // in a row
	until    time.Time // end of the backoff
	cause    error
}

// usable tells without reserving anything whether the circuit is closed, or would let one caller try.
func (c *circuit) usable(now time.Time) (closed, probe bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state == circuitClosed, c.state == circuitOpen && !now.Before(c.until)
}

// broken is what the circuit was opened by; nil while it is closed.
func (c *circuit) broken() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// allow lets the caller try, or says for how long not to. A caller that was let in must report with success, failure or neutral.
func (c *circuit) allow(now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state == circuitClosed:
		return nil
	case c.state == circuitOpen && !now.Before(c.until):
		c.state = circuitHalfOpen
		return nil
	}
	return &CircuitOpenError{RetryAfter: max(c.until.Sub(now), 0), Cause: c.cause}
}

// success closes the circuit; recovered tells that it was not closed before. Only work that was proven to succeed makes the
// backoff short again: a host that says hello and then hangs would otherwise be tried at the first backoff for ever.
func (c *circuit) success(proven bool) (recovered bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	recovered = c.state != circuitClosed
	c.state, c.cause = circuitClosed, nil
	if proven {
		c.failures = 0
	}
	return recovered
}

// failure opens the circuit; opened tells that it was closed before. Failures of calls that began before it opened do not
// prolong the backoff: eight connections lost at once are one event.
func (c *circuit) failure(now time.Time, cause error) (opened bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == circuitOpen {
		c.cause = cause
		return false
	}
	opened = c.state == circuitClosed
	backoff := min(circuitFirstBackoff<<min(c.failures, 16), circuitLastBackoff)
	c.failures++
	c.state, c.cause = circuitOpen, cause
	c.until = now.Add(backoff/2 + rand.N(backoff/2+1))
	return opened
}

// neutral reports a try that ended for the caller's own reasons: the next one may try at once.
func (c *circuit) neutral() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == circuitHalfOpen {
		c.state = circuitOpen
	}
}
