package output

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/insert"
	"github.com/benthos-clickhouse/connect/tests/proxy"
)

// through puts a proxy before each shard's server.
func through(t *testing.T, db string, change ...func(*insert.Options)) (proxies []*proxy.Proxy, w *insert.Writer) {
	t.Helper()
	cfg := settings(db, "events")
	proxies, cfg.AddressMap = proxied(t)
	return proxies, openOn(t, cfg, change...)
}

// proxied is a proxy for each server, and the addresses by which a cluster is reached through them.
func proxied(t *testing.T) (proxies []*proxy.Proxy, addresses map[string]string) {
	t.Helper()
	addresses = map[string]string{}
	for _, n := range servers.Servers {
		p := proxy.Run(t, n.Addr())
		proxies = append(proxies, p)
		addresses[n.Addr()] = p.Addr()
	}
	return proxies, addresses
}

func requireAll(t *testing.T, db string, n int) {
	t.Helper()
	rows, distinct := count(t, db)
	require.Equal(t, fmt.Sprint(n), distinct, "rows lost")
	require.Equal(t, fmt.Sprint(n), rows, "rows doubled")
}

func TestALostReplyDoublesNothing(t *testing.T) {
	db := tables(t)
	proxies, w := through(t, db)
	write(t, w, events(0, 1000))
	for i := 1; i <= 5; i++ {
		for _, p := range proxies {
			// The first answer after this is the one that says which columns the server expects; the next one acknowledges.
			requests := 0
			p.OnRequest(func(int) {
				if requests++; requests == 2 {
					p.CutBeforeReply()
				}
			})
		}
		result := write(t, w, events(i*1000, i*1000+1000))
		require.Equal(t, 1000, result.Inserted)
	}
	requireAll(t, db, 6000)
}

func TestAnEndlessHangIsEnded(t *testing.T) {
	db := tables(t)
	proxies, w := through(t, db)
	write(t, w, events(0, 100))
	proxies[1].Set(proxy.BlackHole)
	proxies[1].OnRequest(func(int) {})
	done := make(chan error, 1)
	go func() {
		_, err := w.Write(context.WithoutCancel(t.Context()), events(100, 1100), nil)
		done <- err
	}()
	select {
	case <-done:
		require.Fail(t, "a batch was decided without one of its shards")
	case <-time.After(700 * time.Millisecond):
	}
	proxies[1].Set(proxy.Pass)
	proxies[1].Cut()
	if err := <-done; err != nil {
		// Its attempts were used up while the shard was silent: the batch is delivered again.
		var unavailable *insert.UnavailableError
		require.ErrorAs(t, err, &unavailable)
		require.Eventually(t, func() bool { return w.Ready(t.Context()) == nil }, 30*time.Second, 50*time.Millisecond)
		write(t, w, events(100, 1100))
	}
	_, distinct := count(t, db)
	require.Equal(t, "1100", distinct)
}

func TestAServerThatRestartsLosesNothing(t *testing.T) {
	db := tables(t)
	w := openOn(t, settings(db, "events"), func(o *insert.Options) {
		o.Retries = insert.Retries{MaxAttempts: 1000, InitialInterval: 20 * time.Millisecond, MaxInterval: 100 * time.Millisecond}
	})
	node := servers.Nodes[1][0]
	const batches = 40
	killed := make(chan error, 1)
	for i := range batches {
		if i == 10 {
			require.NoError(t, node.Kill())
			go func() { killed <- node.Start(context.Background()) }()
		}
		require.Equal(t, 500, write(t, w, events(i*500, i*500+500)).Inserted)
	}
	require.NoError(t, <-killed)
	requireAll(t, db, batches*500)
}

func TestShardsThatAreAwayAreNamed(t *testing.T) {
	db := tables(t)
	proxies, w := through(t, db)
	write(t, w, events(0, 10))
	proxies[1].Set(proxy.Refuse)
	proxies[1].Cut()
	_, err := w.Write(t.Context(), events(10, 200), nil)
	var unavailable *insert.UnavailableError
	require.ErrorAs(t, err, &unavailable)
	require.ErrorContains(t, err, proxies[1].Addr())
	require.ErrorContains(t, err, "shard 2")
	require.ErrorContains(t, w.Ready(t.Context()), proxies[1].Addr())
	proxies[1].Set(proxy.Pass)
	require.Eventually(t, func() bool { return w.Ready(t.Context()) == nil }, 30*time.Second, 50*time.Millisecond)
}

// What a shard has acknowledged is not written again when the batch comes back, although delivery is at least once.
func TestABatchThatComesBackGoesOnWhereItStopped(t *testing.T) {
	for name, change := range map[string]func(*insert.Options){
		"one block a shard": func(*insert.Options) {},
		"several":           func(o *insert.Options) { o.MaxBlockRows = 50 },
	} {
		t.Run(name, func(t *testing.T) {
			db := tables(t)
			proxies, w := through(t, db, change)
			write(t, w, rangeOf(0, 10))
			docs := rangeOf(10, 1010)
			docs.documents[3] = `{"id":"x"}`
			proxies[1].Set(proxy.Refuse)
			proxies[1].Cut()
			for range 2 {
				_, err := w.Write(t.Context(), docs, nil)
				require.Error(t, err)
			}
			proxies[1].Set(proxy.Pass)
			require.Eventually(t, func() bool { return w.Ready(t.Context()) == nil }, 30*time.Second, 10*time.Millisecond)
			result := write(t, w, docs)
			require.Equal(t, 999, result.Inserted)
			require.Equal(t, []int{3}, indexes(result.Rejected))
			requireAll(t, db, 1009)

			write(t, w, docs)
			rows, _ := count(t, db)
			require.Equal(t, "2008", rows, "once it is done it is forgotten: the same records again are another batch")
		})
	}
}

// In between, a column is added: the rest is cut anew.
func TestABatchThatComesBackAfterAChange(t *testing.T) {
	db := tables(t)
	proxies, w := through(t, db)
	write(t, w, rangeOf(0, 10))
	docs := rangeOf(10, 1010)
	proxies[1].Set(proxy.Refuse)
	proxies[1].Cut()
	_, err := w.Write(t.Context(), docs, nil)
	require.Error(t, err)
	proxies[1].Set(proxy.Pass)
	servers.Exec(t, "ALTER TABLE "+db+".events_local DROP COLUMN note")
	require.Eventually(t, func() bool { return w.Ready(t.Context()) == nil }, 30*time.Second, 10*time.Millisecond)
	require.Equal(t, 1000, write(t, w, docs).Inserted)
	requireAll(t, db, 1010)
}
