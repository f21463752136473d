package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/tests/proxy"
	"github.com/benthos-clickhouse/connect/tests/services"
)

// kill ends a node for the time of the test.
func kill(t *testing.T, n *services.Node) {
	t.Helper()
	require.NoError(t, n.Kill())
	t.Cleanup(func() {
		if !n.Running() {
			require.NoError(t, n.Start(context.Background()))
		}
	})
}

// freeze stops a node's process, which then accepts connections and never answers.
func freeze(t *testing.T, n *services.Node) {
	t.Helper()
	require.NoError(t, n.Pause())
	t.Cleanup(func() { require.NoError(t, n.Resume()) })
}

// insertOn inserts a row through the shard and tells which replica took it.
func insertOn(t *testing.T, c *cluster.Cluster, shard int, id int, avoid ...*cluster.Replica) (*cluster.Replica, error) {
	t.Helper()
	l := c.Layout()
	conn, err := c.Acquire(t.Context(), l, shard, avoid...)
	if err != nil {
		return nil, err
	}
	r := conn.Replica()
	err = write(t, conn, l.Target(shard), id)
	conn.Release(err)
	return r, err
}

func TestNodeDownAtStart(t *testing.T) {
	db := tables(t)
	down, up := servers.Nodes[0][0], servers.Nodes[0][1]
	kill(t, down)
	cfg := config(db, "events")
	cfg.Replicas, cfg.HealthInterval = cluster.PolicyInOrder, 50*time.Millisecond
	c := open(t, cfg) // its address is the first one
	require.Len(t, c.Layout().Shards[0].Replicas, 2, "a replica that is down is still one")
	require.False(t, c.Layout().Shards[0].Replicas[0].Health().Up)
	for i := range 3 {
		r, err := insertOn(t, c, 0, i)
		require.NoError(t, err)
		require.Equal(t, up.Addr(), r.Address)
	}
	require.NoError(t, down.Start(t.Context()))
	require.Eventually(t, func() bool {
		r, err := insertOn(t, c, 0, 100, c.Layout().Shards[0].Replicas[1])
		return err == nil && r.Address == down.Addr()
	}, 20*time.Second, 50*time.Millisecond, "a host that is back is used again")
}

func TestWholeShardDownAtStart(t *testing.T) {
	db := tables(t)
	kill(t, servers.Nodes[1][0])
	kill(t, servers.Nodes[1][1])
	c := open(t, config(db, "events"))
	_, err := insertOn(t, c, 0, 1)
	require.NoError(t, err)
	_, err = insertOn(t, c, 1, 1)
	var unavailable *cluster.UnavailableError
	require.ErrorAs(t, err, &unavailable)
	require.Equal(t, uint32(2), unavailable.Shard)
	require.Len(t, unavailable.Attempts, 2)
	require.Greater(t, unavailable.RetryAfter, time.Duration(0))
	require.False(t, cluster.Fatal(err))
}

func TestNothingAnswersAtStart(t *testing.T) {
	cfg := config("dw", "events")
	cfg.Addresses = []string{"127.0.0.1:1", "127.0.0.1:2"}
	_, err := cluster.Open(t.Context(), cfg)
	var unreachable *cluster.UnreachableError
	require.ErrorAs(t, err, &unreachable)
	require.Len(t, unreachable.Attempts, 2)
	require.False(t, cluster.Fatal(err))
	require.ErrorContains(t, err, "127.0.0.1:2")
}

func TestNodeDiesInUse(t *testing.T) {
	db := tables(t)
	cfg := config(db, "events")
	cfg.Replicas = cluster.PolicyInOrder
	c := open(t, cfg)
	l := c.Layout()
	conn, err := c.Acquire(t.Context(), l, 0)
	require.NoError(t, err)
	dead := conn.Replica()
	kill(t, servers.Nodes[0][0])
	err = write(t, conn, l.Target(0), 1)
	require.Error(t, err)
	require.False(t, ch.IsException(err))
	require.ErrorContains(t, err, dead.Address)
	require.Error(t, write(t, conn, l.Target(0), 2), "a connection whose query failed is not used again")
	conn.Release(err)
	require.False(t, dead.Health().Up)

	r, err := insertOn(t, c, 0, 3)
	require.NoError(t, err)
	require.Equal(t, servers.Nodes[0][1].Addr(), r.Address)

	_, err = c.AcquireReplica(t.Context(), dead)
	var circuit *cluster.CircuitOpenError
	require.ErrorAs(t, err, &circuit, "the host is left alone for a while")
}

func TestFrozenNodeIsNoticedAndPassedOver(t *testing.T) {
	db := tables(t)
	cfg := config(db, "events")
	cfg.Replicas = cluster.PolicyInOrder
	c := open(t, cfg)
	l := c.Layout()
	conn, err := c.Acquire(t.Context(), l, 0) // before it freezes: the connection itself is sound
	require.NoError(t, err)
	frozen := conn.Replica()
	freeze(t, servers.Nodes[0][0])

	err = write(t, conn, l.Target(0), 1)
	var stalled *cluster.StalledError
	require.ErrorAs(t, err, &stalled)
	require.Equal(t, frozen.Address, stalled.Address)
	require.Error(t, stalled.Err, "the probe over a second connection got no answer either")
	conn.Release(err)
	require.False(t, frozen.Health().Up)

	r, err := insertOn(t, c, 0, 2)
	require.NoError(t, err)
	require.Equal(t, servers.Nodes[0][1].Addr(), r.Address)

	t.Run("it is tried again later, and found frozen still", func(t *testing.T) {
		require.Eventually(t, func() bool { _, err := c.AcquireReplica(t.Context(), frozen); return !isCircuit(err) }, 20*time.Second, 50*time.Millisecond)
	})
	t.Run("at start", func(t *testing.T) {
		c := open(t, config(db, "events"))
		_, err := insertOn(t, c, 0, 3)
		require.NoError(t, err)
	})
}

func isCircuit(err error) bool {
	var circuit *cluster.CircuitOpenError
	return errors.As(err, &circuit)
}

func TestWriteIntoAFrozenNodeEnds(t *testing.T) {
	db := tables(t)
	c := open(t, config(db, "events"))
	l := c.Layout()
	conn, err := c.Acquire(t.Context(), l, 0)
	require.NoError(t, err)
	var frozen *services.Node
	for _, n := range servers.Nodes[0] {
		if n.Addr() == conn.Replica().Address {
			frozen = n
		}
	}
	q := insertRow(l.Target(0), 1)
	blocks := 0
	q.OnInput = func(context.Context) error { // many blocks: the socket's buffers are full long before the last one
		if blocks++; blocks == 2 {
			freeze(t, frozen)
		}
		q.Input.Reset()
		q.Input[0].Data = manyIDs(1 << 17)
		return nil
	}
	err = conn.Do(t.Context(), q)
	conn.Release(err)
	var stalled *cluster.StalledError
	require.ErrorAs(t, err, &stalled)
	require.Greater(t, blocks, 2)
}

func TestCancellationIsNotTheHostsFault(t *testing.T) {
	db := tables(t)
	cfg := config(db, "events")
	cfg.StallTimeout = time.Hour
	c := open(t, cfg)
	l := c.Layout()
	conn, err := c.Acquire(t.Context(), l, 0)
	require.NoError(t, err)
	r := conn.Replica()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	err = conn.Do(ctx, ch.Query{Body: "SELECT sleepEachRow(1) FROM numbers(5) SETTINGS function_sleep_max_microseconds_per_block = 0 FORMAT Null"})
	require.ErrorIs(t, err, context.Canceled)
	conn.Release(err)
	require.True(t, r.Health().Up)
}

func TestExceptionsAreNotTheHostsFault(t *testing.T) {
	db := tables(t)
	c := open(t, config(db, "events"))
	conn, err := c.Acquire(t.Context(), c.Layout(), 0)
	require.NoError(t, err)
	err = conn.Do(t.Context(), ch.Query{Body: "SELECT throwIf(1)"})
	require.True(t, ch.IsException(err), "%v", err)
	conn.Release(err)
	require.Nil(t, conn.Replica(), "a released connection belongs to nobody")
	for _, r := range c.Layout().Shards[0].Replicas {
		require.True(t, r.Health().Up)
	}
}

func TestSlowInsertIsNotTakenForAStall(t *testing.T) {
	db := tables(t)
	servers.Exec(t, fmt.Sprintf("CREATE MATERIALIZED VIEW %[1]s.slow ENGINE = Null AS SELECT id, sleep(2) FROM %[1]s.events_local", db))
	cfg := config(db, "events")
	cfg.StallTimeout = 200 * time.Millisecond
	c := open(t, cfg)
	_, err := insertOn(t, c, 0, 1)
	require.NoError(t, err, "the host answers probes while it works")

	cfg.ReadTimeout = 500 * time.Millisecond
	c = open(t, cfg)
	_, err = insertOn(t, c, 0, 2)
	var stalled *cluster.StalledError
	require.ErrorAs(t, err, &stalled)
	require.NoError(t, stalled.Err)
}

func TestConnectionsAreBoundedAndReused(t *testing.T) {
	db := tables(t)
	cfg := config(db, "events")
	cfg.MaxConns, cfg.Replicas = 2, cluster.PolicyInOrder
	c := open(t, cfg)
	l := c.Layout()
	first, err := c.Acquire(t.Context(), l, 0)
	require.NoError(t, err)
	second, err := c.Acquire(t.Context(), l, 0)
	require.NoError(t, err)
	require.Equal(t, first.Replica(), second.Replica())

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = c.Acquire(ctx, l, 0)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.True(t, l.Shards[0].Replicas[0].Health().Up, "a full pool is no failure of the host")

	second.Release(nil)
	third, err := c.Acquire(t.Context(), l, 0)
	require.NoError(t, err)
	require.Same(t, second, third)
	third.Release(nil)
	first.Release(nil)
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	db := tables(t)
	spare := servers.Servers[4] // nobody else connects to it
	cfg := config(db, "events_local")
	cfg.Addresses, cfg.Shards = nil, [][]string{{spare.Addr()}}
	cfg.IdleTimeout, cfg.HealthInterval = 50*time.Millisecond, 50*time.Millisecond
	c := open(t, cfg)
	_, err := insertOn(t, c, 0, 1)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return spare.Value(t, "SELECT value FROM system.metrics WHERE metric = 'TCPConnection'") == "0"
	}, 20*time.Second, 50*time.Millisecond)
	_, err = insertOn(t, c, 0, 2)
	require.NoError(t, err)
}

func TestServerThatWasRestartedIsUsedAtOnce(t *testing.T) {
	db := tables(t)
	spare := servers.Servers[4]
	cfg := config(db, "events_local")
	cfg.Addresses, cfg.Shards = nil, [][]string{{spare.Addr()}}
	c := open(t, cfg)
	_, err := insertOn(t, c, 0, 1)
	require.NoError(t, err)
	kill(t, spare)
	require.NoError(t, spare.Start(t.Context()))
	_, err = insertOn(t, c, 0, 2)
	require.NoError(t, err, "the pooled connection was closed by the kill, and that is seen before it is used")
}

// A frozen host answers none of the connections that were pooled: one that does not is enough to know.
func TestAFrozenHostIsNotAskedOnEachConnection(t *testing.T) {
	db := tables(t)
	ill := proxy.Run(t, servers.Nodes[0][0].Addr())
	cfg := config(db, "events_local")
	cfg.Addresses, cfg.Shards = nil, [][]string{{ill.Addr(), servers.Nodes[0][1].Addr()}}
	cfg.Replicas = cluster.PolicyInOrder
	c := open(t, cfg)
	var pooled []*cluster.Conn
	for range 6 {
		conn, err := c.Acquire(t.Context(), c.Layout(), 0)
		require.NoError(t, err)
		require.Equal(t, ill.Addr(), conn.Replica().Address)
		pooled = append(pooled, conn)
	}
	for _, conn := range pooled {
		conn.Release(nil)
	}
	time.Sleep(5100 * time.Millisecond) // idle for so long, they have to show that they work
	var asked atomic.Int32
	ill.OnRequest(func(int) { asked.Add(1) })
	ill.Set(proxy.BlackHole)
	r, err := insertOn(t, c, 0, 1)
	require.NoError(t, err)
	require.Equal(t, servers.Nodes[0][1].Addr(), r.Address)
	require.Less(t, asked.Load(), int32(len(pooled)), "a ping on one of them, and the hello of a new one")
}

func TestServerTakesTheIdleTimeoutFromTheLastQuery(t *testing.T) {
	db := tables(t)
	spare := servers.Servers[4]
	cfg := config(db, "events_local")
	cfg.Addresses, cfg.Shards = nil, [][]string{{spare.Addr()}}
	cfg.Settings = []ch.Setting{{Key: "idle_connection_timeout", Value: "1", Important: true}}
	c := open(t, cfg)
	_, err := insertOn(t, c, 0, 1)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return spare.Value(t, "SELECT value FROM system.metrics WHERE metric = 'TCPConnection'") == "0"
	}, 60*time.Second, 100*time.Millisecond, "what bounds how late a frozen sender can be")
	_, err = insertOn(t, c, 0, 2)
	require.NoError(t, err)
}

func TestPinnedReplicaIsTheOnlyOneUsed(t *testing.T) {
	db := tables(t)
	c := open(t, config(db, "events"))
	b, err := c.Layout().Pin(c.Layout().Table.Replicated()).MarshalBinary()
	require.NoError(t, err)
	l, err := c.Resolve(b)
	require.NoError(t, err)
	pinned := l.Shards[0].Pinned
	require.NotNil(t, pinned)
	for range 10 {
		conn, err := c.Acquire(t.Context(), l, 0, pinned)
		require.NoError(t, err)
		require.Equal(t, pinned.ID(), conn.Replica().ID())
		conn.Release(nil)
	}
	for _, n := range servers.Nodes[0] {
		if n.Addr() == pinned.Address {
			kill(t, n)
		}
	}
	require.Eventually(t, func() bool {
		conn, err := c.Acquire(t.Context(), l, 0)
		if err != nil {
			var unavailable *cluster.UnavailableError
			require.ErrorAs(t, err, &unavailable)
			return true
		}
		conn.Release(write(t, conn, l.Target(0), 1))
		return false
	}, 10*time.Second, 10*time.Millisecond, "never the other replica")
}

// TestManyWritersThroughFailures: whatever happens to one replica, each writer gets its rows in by asking again.
func TestManyWritersThroughFailures(t *testing.T) {
	db := tables(t)
	cfg := config(db, "events")
	cfg.HealthInterval, cfg.MaxConns = 100*time.Millisecond, 3
	c := open(t, cfg)
	const writers, each = 8, 40
	ill := servers.Nodes[0][0]
	halfway := make(chan struct{}, writers*each)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				var avoid []*cluster.Replica
				id := w*each + i
				assert.Eventually(t, func() bool {
					r, err := insertOn(t, c, id%2, id, avoid...)
					avoid = append(avoid, r)
					return err == nil
				}, 60*time.Second, 20*time.Millisecond)
				halfway <- struct{}{}
			}
		})
	}
	for range writers * each / 4 {
		<-halfway
	}
	kill(t, ill)
	for range writers * each / 4 {
		<-halfway
	}
	require.NoError(t, ill.Start(t.Context()))
	require.NoError(t, ill.Pause())
	t.Cleanup(func() { _ = ill.Resume() })
	for range writers * each / 4 {
		<-halfway
	}
	require.NoError(t, ill.Resume())
	wg.Wait()

	seen := map[string]bool{}
	for _, n := range servers.Servers {
		for _, row := range n.Query(t, "SELECT DISTINCT id FROM "+db+".events_local") {
			seen[row[0]] = true
		}
	}
	require.Len(t, seen, writers*each)
	require.Eventually(t, func() bool {
		return c.Layout().Shards[0].Replicas[0].Health().Up
	}, 40*time.Second, 50*time.Millisecond)
}
