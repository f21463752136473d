package cluster

import (
	"crypto/tls"
	"io"
	"math"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
)

// falterer stands before a server and lets so many bytes of its answers through on each connection, which then stays open and silent.
type falterer struct {
	net.Listener
	to   string
	lets int64
	said atomic.Int64 // bytes let through
}

func (f *falterer) Write(p []byte) (int, error) {
	f.said.Add(int64(len(p)))
	return len(p), nil
}

func falter(t *testing.T, to string, lets int64) *falterer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f := &falterer{Listener: listener, to: to, lets: lets}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			go f.serve(in)
		}
	}()
	return f
}

func (f *falterer) serve(in net.Conn) {
	defer in.Close()
	out, err := net.Dial("tcp", f.to)
	if err != nil {
		return
	}
	defer out.Close()
	go func() {
		_, _ = io.Copy(io.MultiWriter(in, f), io.LimitReader(out, f.lets))
		_, _ = io.Copy(io.Discard, out)
	}()
	_, _ = io.Copy(out, in) // until we are left
}

// TestAReplicaThatFallsSilentAnywhere is a replica that hangs after so many bytes: in the TLS handshake, in the hello, in the first query, in the description of
// its table. The other one is used.
func TestAReplicaThatFallsSilentAnywhere(t *testing.T) {
	db := tables(t)
	ill, well := servers.Nodes[0][0].Addr(), servers.Nodes[0][1].Addr()
	cfg := config(db, "events_local")
	cfg.QueryTimeout = 3 * time.Second
	cfg.Replicas = cluster.PolicyInOrder
	t.Run("plain", func(t *testing.T) {
		t.Parallel()
		fallSilent(t, cfg, ill, well)
	})
	t.Run("TLS", func(t *testing.T) {
		t.Parallel()
		certificate, roots := selfSigned(t, "ch.internal")
		cfg := cfg
		cfg.TLS = &tls.Config{RootCAs: roots, ServerName: "ch.internal"}
		fallSilent(t, cfg, tlsProxy(t, ill, certificate), tlsProxy(t, well, certificate))
	})
}

func fallSilent(t *testing.T, cfg cluster.Config, ill, well string) {
	t.Helper()
	cfg.Addresses = nil
	replicas := func(f *falterer) (first, used cluster.Health) {
		cfg := cfg
		cfg.Shards = [][]string{{f.Addr().String(), well}}
		c, err := cluster.Open(t.Context(), cfg)
		if !assert.NoError(t, err, "after %d bytes", f.lets) {
			return first, used
		}
		defer c.Close()
		conn, err := c.Acquire(t.Context(), c.Layout(), 0)
		if !assert.NoError(t, err, "after %d bytes", f.lets) {
			return first, used
		}
		defer conn.Release(nil)
		return c.Layout().Shards[0].Replicas[0].Health(), conn.Replica().Health()
	}
	whole := falter(t, ill, math.MaxInt64)
	first, _ := replicas(whole)
	require.True(t, first.Up)
	all := whole.said.Load() * 9 / 10 // the same conversation over TLS is a little longer or shorter each time
	var g errgroup.Group
	g.SetLimit(16)
	for n := int64(0); n < all; n += 1 + n/16 {
		f := falter(t, ill, n)
		g.Go(func() error {
			first, used := replicas(f)
			assert.False(t, first.Up, "after %d of %d bytes", n, all)
			assert.True(t, used.Up, "after %d of %d bytes", n, all)
			return nil
		})
	}
	require.NoError(t, g.Wait())
}
