// Package column checks the columns of clickhouse/column against a real ClickHouse: what a row becomes must be what the
// server makes of the same JSON itself, or a difference that is written down.
package column

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/tests/services"
)

// reading are the settings under which the server reads the reference: its defaults, but for best-effort dates.
var reading = url.Values{
	"date_time_input_format":            {"best_effort"},
	"input_format_parallel_parsing":     {"0"},
	"async_insert":                      {"0"},
	"insert_allow_materialized_columns": {"0"},
}

// creating are the settings under which tables of any type can be made.
var creating = url.Values{
	"allow_suspicious_low_cardinality_types": {"1"},
	"enable_time_time64_type":                {"1"},
	"allow_experimental_bfloat16_type":       {"1"},
}

var node *services.Node

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	cluster, err := services.Start(context.Background(), services.Options{ClickHouse: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer cluster.Stop()
	node = cluster.Nodes[0][0]
	return m.Run()
}

// post runs one statement over HTTP, with data behind it, and returns the answer or the server's error.
func post(ctx context.Context, settings url.Values, statement, data string) (string, error) {
	params := url.Values{"query": {statement}, "wait_end_of_query": {"1"}}
	for name, value := range settings {
		params[name] = value
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+node.HTTPAddr()+"/?"+params.Encode(), strings.NewReader(data))
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s", strings.TrimSpace(string(body)))
	}
	return string(body), nil
}

func mustPost(t *testing.T, settings url.Values, statement string) string {
	t.Helper()
	answer, err := post(t.Context(), settings, statement, "")
	require.NoError(t, err, statement)
	return answer
}

// insert sends a block to a table over the native protocol.
func insert(t *testing.T, client *ch.Client, table string, b *column.Block) {
	t.Helper()
	input := b.Input()
	require.NoError(t, client.Do(t.Context(), ch.Query{
		Body: input.Into(table), Input: input, Settings: []ch.Setting{{Key: "async_insert", Value: "0"}},
	}))
}

// options are those of a plan for the test's servers.
func options(t *testing.T) column.Options {
	t.Helper()
	location, err := time.LoadLocation(strings.TrimSpace(mustPost(t, nil, "SELECT serverTimezone()")))
	require.NoError(t, err)
	return column.Options{Location: location}
}

// stored returns what a table holds, by the column i: the text of v as ClickHouse prints it, byte by byte, or NULL.
func stored(t *testing.T, table string) map[string]string {
	t.Helper()
	rows := make(map[string]string)
	for _, line := range strings.Split(mustPost(t, nil, "SELECT i, ifNull(hex(toString(v)), 'NULL') FROM "+table+" FORMAT TSV"), "\n") {
		i, v, ok := strings.Cut(line, "\t")
		if !ok {
			continue
		}
		if v != "NULL" {
			text, err := hex.DecodeString(v)
			require.NoError(t, err)
			v = string(text)
		}
		rows[i] = v
	}
	return rows
}
