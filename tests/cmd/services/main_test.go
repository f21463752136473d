package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUpUntilInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"up", "--shards", "2", "--weights", "1,3", "--json"}, w, io.Discard)
	}()

	var got addresses
	line, err := bufio.NewReader(r).ReadBytes('\n')
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(line, &got))
	require.Len(t, got.ClickHouse, 2)
	require.Equal(t, 2, got.ClickHouse[1].Shard)
	require.Equal(t, "CLICKHOUSE_ADDR", got.Env[0].Name)
	require.Equal(t, got.ClickHouse[0].Native+","+got.ClickHouse[1].Native, got.Env[0].Value)
	conn, err := net.Dial("tcp", got.ClickHouse[1].Native)
	require.NoError(t, err)
	require.NoError(t, conn.Close())

	interrupt()
	require.NoError(t, <-ended)
	_, err = net.Dial("tcp", got.ClickHouse[1].Native)
	require.ErrorContains(t, err, "refused")
	require.NoDirExists(t, got.Dir)
}

func TestUpAroundACommand(t *testing.T) {
	var out bytes.Buffer
	script := `test -n "$CLICKHOUSE_ADDR" && echo "$CLICKHOUSE_ADDR" && exit 3`
	err := run(t.Context(), []string{"up", "--", "sh", "-c", script}, &out, io.Discard)
	require.ErrorContains(t, err, "exit status 3")
	require.Regexp(t, `^127\.0\.0\.1:\d+\n$`, out.String())
}

func TestBadArguments(t *testing.T) {
	for _, tc := range []struct {
		args        []string
		errContains string
	}{
		{[]string{"down"}, `there is no command "down"`},
		{[]string{"up", "--weights", "1,x"}, `"x" is no weight`},
		{[]string{"up", "--shards", "2", "--weights", "1"}, "1 weights were given for 2 shards"},
		{[]string{"up", "--replica"}, "flag provided but not defined"},
		{[]string{"--help"}, "help requested"},
		{nil, "help requested"},
	} {
		require.ErrorContains(t, run(t.Context(), tc.args, io.Discard, io.Discard), tc.errContains)
	}
}
