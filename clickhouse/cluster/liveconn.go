package cluster

import (
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// writeChunk bounds one write to the socket, so that a large block on a slow network is seen to make progress.
const writeChunk = 256 << 10

var processStart = time.Now()

// liveConn is a connection that knows when it last moved a byte, and that can be ended from outside: ch-go waits for a
// packet again after each timeout, sets no deadline while it reads the inside of a block, and none for writes when the
// context has none, so that a frozen host would hold it for ever.
type liveConn struct {
	net.Conn
	moved   atomic.Int64 // since processStart, by the monotonic clock
	aborted atomic.Bool

	turn    sync.Mutex // one writer at a time
	inBlock bool       // a block was begun and is not complete
	tail    []byte     // the end of a block, before whatever is written next
}

func (c *liveConn) touch() { c.moved.Store(int64(time.Since(processStart))) }

// silence is the time since the last byte.
func (c *liveConn) silence() time.Duration {
	return time.Since(processStart) - time.Duration(c.moved.Load())
}

// abort makes every pending and further read and write fail with a timeout.
func (c *liveConn) abort() {
	c.aborted.Store(true)
	_ = c.Conn.SetDeadline(processStart)
}

// quiet tells whether the other end has neither closed the idle connection nor said anything on it, without waiting.
func (c *liveConn) quiet() bool {
	raw := c.Conn
	if t, ok := raw.(*tls.Conn); ok {
		raw = t.NetConn()
	}
	return !c.aborted.Load() && nothingToRead(raw)
}

func (c *liveConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.touch()
	}
	return n, err
}

func (c *liveConn) Write(p []byte) (int, error) {
	c.turn.Lock()
	defer c.turn.Unlock()
	if c.inBlock {
		return 0, errInBlock
	}
	if len(c.tail) == 0 {
		return c.write(p)
	}
	c.tail = append(c.tail, p...)
	n, err := c.write(c.tail)
	n = max(0, n-len(c.tail)+len(p))
	c.tail = c.tail[:0]
	return n, err
}

func (c *liveConn) write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n, err := c.Conn.Write(p[done:min(done+writeChunk, len(p))])
		done += n
		if err != nil {
			return done, err
		}
		c.touch()
	}
	return done, nil
}

func (c *liveConn) SetReadDeadline(t time.Time) error {
	return c.setDeadline(c.Conn.SetReadDeadline, t)
}

func (c *liveConn) SetWriteDeadline(t time.Time) error {
	return c.setDeadline(c.Conn.SetWriteDeadline, t)
}
func (c *liveConn) SetDeadline(t time.Time) error { return c.setDeadline(c.Conn.SetDeadline, t) }

// setDeadline sets the deadline unless the connection was aborted, also when that happens meanwhile.
func (c *liveConn) setDeadline(set func(time.Time) error, t time.Time) error {
	err := set(t)
	if c.aborted.Load() {
		return set(processStart)
	}
	return err
}
