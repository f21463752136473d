package dimension

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/tests/proxy"
	"github.com/benthos-clickhouse/connect/tests/services"
)

// A server that takes everything in and answers nothing does not keep the processor from ending, whatever it has asked for.
func TestCloseWhileTheServerIsSilent(t *testing.T) { onBoth(t, testCloseWhileSilent) }

func testCloseWhileSilent(t *testing.T, server *services.MySQL) {
	t.Helper()
	server.Exec(t, `DROP TABLE IF EXISTS shut; CREATE TABLE shut (k INT PRIMARY KEY, v VARCHAR(20))`)

	t.Run("following", func(t *testing.T) {
		between := proxy.Run(t, server.Addr())
		p := joinWith(t, through(t, server, between.Addr()), fmt.Sprintf(followed, "shut", "{ k: this.k }"))
		followSimple(t, p, server.DB(t), "shut")
		between.Set(proxy.BlackHole)
		closesInSilence(t, p, between)
	})

	t.Run("beginning to follow", func(t *testing.T) {
		between := proxy.Run(t, server.Addr())
		asked := make(chan struct{})
		silence := sync.OnceFunc(func() {
			between.Set(proxy.BlackHole)
			close(asked)
		})
		between.OnRequest(func(int) {
			if between.Accepted() > 1 { // the first is the pool's
				silence()
			}
		})
		p := joinWith(t, through(t, server, between.Addr()), fmt.Sprintf(followed, "shut", "{ k: this.k }"))
		<-asked
		closesInSilence(t, p, between)
	})

	// A table that the cache is too small for is read to its end by the driver, which no context ends.
	t.Run("reading what is left", func(t *testing.T) {
		server.Exec(t, `DROP TABLE IF EXISTS shut_long; CREATE TABLE shut_long (k INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(2000));
			INSERT INTO shut_long (v) VALUES (REPEAT('v', 2000)), (REPEAT('v', 2000)), (REPEAT('v', 2000)), (REPEAT('v', 2000))`)
		for range 11 {
			server.Exec(t, `INSERT INTO shut_long (v) SELECT v FROM shut_long`)
		}
		between := proxy.Run(t, server.Addr())
		p := joinWith(t, through(t, server, between.Addr()), `
dsn: "$DSN"
dimensions: [ { name: long, table: shut_long, key: { k: this.k }, load: full, refresh: { interval: 10ms } } ]
cache: { max_rows: 100 }
`)
		run(t, p, `{"k":1}`)
		between.Delay(5 * time.Millisecond)
		time.Sleep(500 * time.Millisecond) // it is read again by now, well past the rows that fit
		between.Set(proxy.BlackHole)
		closesInSilence(t, p, between)
	})
}

// closesInSilence closes the processor, which has to end before its connections do of themselves, and to leave nothing behind.
func closesInSilence(t *testing.T, p service.BatchProcessor, between *proxy.Proxy) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // the shortest of the timeouts of reading is 15 s
	defer cancel()
	closed := make(chan error, 1)
	go func() { closed <- p.Close(context.Background()) }()
	select {
	case err := <-closed:
		require.NoError(t, err)
	case <-ctx.Done():
		between.Cut()
		t.Fatal("the processor waits for a server that says nothing")
	}
	require.Eventually(t, func() bool { return between.Open() == 0 }, 5*time.Second, 10*time.Millisecond, "its connections are closed")
	require.Eventually(t, func() bool { return !bytes.Contains(goroutines(), []byte("replication.(*BinlogSyncer)")) }, 5*time.Second, 10*time.Millisecond)
}

func goroutines() []byte {
	buf := make([]byte, 1<<20)
	return buf[:runtime.Stack(buf, true)]
}
