package cluster

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAbortedConnectionStaysAborted(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	c := &liveConn{Conn: near}
	read := make(chan error)
	go func() { _, err := c.Read(make([]byte, 1)); read <- err }()
	c.abort()
	require.ErrorIs(t, <-read, os.ErrDeadlineExceeded, "a read that was waiting ends")

	require.NoError(t, c.SetDeadline(time.Now().Add(time.Hour)))
	require.NoError(t, c.SetReadDeadline(time.Time{}))
	require.NoError(t, c.SetWriteDeadline(time.Time{}))
	_, err := c.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "no later deadline revives it")
	_, err = c.Write([]byte("x"))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

func TestLargeWritesAreSeenToMove(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	c := &liveConn{Conn: near}
	block := make([]byte, 3*writeChunk+5)
	written := make(chan int)
	go func() { n, _ := c.Write(block); written <- n }()

	c.moved.Store(-1)
	for got := 0; got < writeChunk; {
		n, err := far.Read(make([]byte, writeChunk-got))
		require.NoError(t, err)
		got += n
	}
	require.Eventually(t, func() bool { return c.moved.Load() > 0 }, 10*time.Second, time.Millisecond, "the first part is progress, though the write goes on")
	for got := 0; got < len(block)-writeChunk; {
		n, err := far.Read(make([]byte, writeChunk))
		require.NoError(t, err)
		got += n
	}
	require.Equal(t, len(block), <-written)
}

func TestQuietSeesWhatTheOtherEndDid(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	pair := func() (*liveConn, net.Conn) {
		near, err := net.Dial("tcp", listener.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = near.Close() })
		far, err := listener.Accept()
		require.NoError(t, err)
		t.Cleanup(func() { _ = far.Close() })
		return &liveConn{Conn: near}, far
	}
	near, far := pair()
	for range 3 {
		require.True(t, near.quiet())
	}
	_, err = far.Write([]byte("ok"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return !near.quiet() }, 10*time.Second, time.Millisecond, "it spoke")

	near, far = pair()
	require.True(t, near.quiet())
	require.NoError(t, far.Close())
	require.Eventually(t, func() bool { return !near.quiet() }, 10*time.Second, time.Millisecond, "it closed")

	near, _ = pair()
	near.abort()
	require.False(t, near.quiet(), "it was aborted")
}
