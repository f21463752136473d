package dimensionjoin

import (
	"context"
	"fmt"
	"net"
	"syscall"
)

// connections makes the processor's connections, and can end them all, whatever is waiting for them. Contexts do not reach everything
// that waits: the replication library takes its leave over a connection of its own, and the driver reads what is left of a result.
type connections struct {
	life context.Context
	end  context.CancelFunc
}

func newConnections() *connections {
	life, end := context.WithCancel(context.Background())
	return &connections{life, end}
}

// dial makes a connection that lasts until close at the latest.
func (c *connections) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	s, ok := conn.(socket)
	if !ok {
		conn.Close()
		return nil, fmt.Errorf("connections of network %q are not supported", network)
	}
	return &connection{s, context.AfterFunc(c.life, func() { s.Close() })}, nil
}

// close ends all connections, and lets none be made any more.
func (c *connections) close() { c.end() }

// socket is what the system gives; the driver looks at it to see whether the server has hung up.
type socket interface {
	net.Conn
	syscall.Conn
}

type connection struct {
	socket
	forget func() bool
}

// Close ends the connection.
func (c *connection) Close() error {
	c.forget()
	return c.socket.Close()
}
