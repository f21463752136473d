package services_test

import (
	"net"
	"testing"

	"github.com/ClickHouse/ch-go"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/tests/proxy"
	"github.com/benthos-clickhouse/connect/tests/services"
)

// A server outlives whatever a client does. The library does not by itself: what these clients do ended it.
func TestBadClientsDoNotEndTheServer(t *testing.T) {
	n := services.Run(t, services.Options{ClickHouse: true}).Servers[0]
	pid := n.PID()
	for _, said := range []string{"", "GET / HTTP/1.1\r\n\r\n", "\x00\x03ab", "\xff\xff\xff\xff\xff\xff\xff"} {
		conn, err := net.Dial("tcp", n.Addr())
		require.NoError(t, err)
		_, err = conn.Write([]byte(said))
		require.NoError(t, err)
		require.NoError(t, conn.(*net.TCPConn).SetLinger(0))
		require.NoError(t, conn.Close())
	}
	_, err := ch.Dial(t.Context(), ch.Options{Address: n.Addr(), User: "nobody", Password: "wrong"})
	require.ErrorContains(t, err, "AUTHENTICATION_FAILED")

	p := proxy.Run(t, n.Addr())
	for _, bytes := range []int64{1, 10, 50, 100, 200, 300, 400} {
		p.CutAfter(bytes)
		client, err := ch.Dial(t.Context(), ch.Options{Address: p.Addr()})
		if err != nil {
			continue
		}
		require.Error(t, client.Do(t.Context(), ch.Query{Body: "SELECT 1 SETTINGS log_comment = '" + string(make([]byte, 400)) + "'"}))
	}

	// A dying server still answers while it writes its stack traces, so the log is asked too.
	require.Equal(t, "1", n.Value(t, "SELECT 1"))
	require.NotContains(t, n.Log(1<<20), "Terminate called")
	require.Equal(t, pid, n.PID())
}
