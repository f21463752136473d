package proxy_test

import (
	"bufio"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/tests/proxy"
)

// echo answers every line with itself, and reports each line that it read.
func echo(t *testing.T) (addr string, read chan string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	read = make(chan string, 100)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for r := bufio.NewReader(conn); ; {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					read <- line
					_, _ = io.WriteString(conn, line)
				}
			}()
		}
	}()
	return listener.Addr().String(), read
}

type client struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, p *proxy.Proxy) client {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return client{t, conn, bufio.NewReader(conn)}
}

func (c client) say(line string) {
	_, err := io.WriteString(c.Conn, line)
	require.NoError(c.t, err)
}

func (c client) hear(within time.Duration) (string, error) {
	require.NoError(c.t, c.SetReadDeadline(time.Now().Add(within)))
	return c.r.ReadString('\n')
}

const long, short = 10 * time.Second, 50 * time.Millisecond

func TestPassAndCut(t *testing.T) {
	addr, _ := echo(t)
	p := proxy.Run(t, addr)
	c := dial(t, p)
	c.say("one\n")
	answer, err := c.hear(long)
	require.NoError(t, err)
	require.Equal(t, "one\n", answer)
	require.EqualValues(t, 4, p.Sent())

	p.Cut()
	_, err = c.hear(long)
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)

	c = dial(t, p)
	c.say("two\n")
	_, err = c.hear(long)
	require.NoError(t, err)
	require.Equal(t, 2, p.Accepted())
}

func TestDropReplies(t *testing.T) {
	addr, read := echo(t)
	p := proxy.Run(t, addr)
	c := dial(t, p)
	p.Set(proxy.DropReplies)
	c.say("done\n")
	require.Equal(t, "done\n", <-read)
	_, err := c.hear(short)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

func TestCutBeforeReply(t *testing.T) {
	addr, read := echo(t)
	p := proxy.Run(t, addr)
	c := dial(t, p)
	p.CutBeforeReply()
	c.say("done\n")
	require.Equal(t, "done\n", <-read)
	_, err := c.hear(long)
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)

	c = dial(t, p)
	c.say("again\n")
	_, err = c.hear(long)
	require.NoError(t, err)
}

func TestBlackHole(t *testing.T) {
	addr, read := echo(t)
	p := proxy.Run(t, addr)
	p.Set(proxy.BlackHole)
	c := dial(t, p)
	c.say("lost\n")
	_, err := c.hear(short)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Empty(t, read)
	p.Set(proxy.Pass)
	c.say("torn\n")
	_, err = c.hear(long)
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Empty(t, read, "a connection with a hole in it goes on")

	c = dial(t, p)
	c.say("found\n")
	require.Equal(t, "found\n", <-read)
}

func TestCutAfter(t *testing.T) {
	addr, read := echo(t)
	p := proxy.Run(t, addr)
	c := dial(t, p)
	p.CutAfter(3)
	c.say("twelve bytes\n")
	_, err := c.hear(long)
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	require.EqualValues(t, 3, p.Sent())
	require.Empty(t, read)
}

func TestRefuse(t *testing.T) {
	addr, _ := echo(t)
	p := proxy.Run(t, addr)
	p.Set(proxy.Refuse)
	conn, err := net.Dial("tcp", p.Addr())
	if err == nil { // the kernel accepts before the proxy can refuse
		_, err = client{t, conn, bufio.NewReader(conn)}.hear(long)
	}
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Zero(t, p.Open())
}
