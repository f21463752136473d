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

// planOf makes the plan of a table as the server describes it.
func planOf(t *testing.T, table string) *column.Plan {
	t.Helper()
	var fields []column.Field
	answer := mustPost(t, nil, "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = '"+table+"' ORDER BY position FORMAT TSVRaw")
	for line := range strings.Lines(answer) {
		name, typ, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		fields = append(fields, column.Field{Column: name, Type: typ})
	}
	plan, err := column.NewPlan(fields, options(t))
	require.NoError(t, err)
	return plan
}

// stored returns what a table holds, by the column i: the text of the cell's column as ClickHouse prints it, byte by byte, or NULL.
func stored(t *testing.T, table string, cells []cell) map[string]*string {
	t.Helper()
	var selects []string
	for first := 0; first < len(cells); {
		last := first
		for last+1 < len(cells) && cells[last+1].wrapper.column == cells[first].wrapper.column {
			last++
		}
		selects = append(selects, fmt.Sprintf("SELECT i, ifNull(hex(toString(%s)), 'NULL') FROM %s WHERE i BETWEEN %d AND %d", cells[first].wrapper.column, table, cells[first].i, cells[last].i))
		first = last + 1
	}
	rows := make(map[string]*string)
	for line := range strings.Lines(mustPost(t, nil, strings.Join(selects, " UNION ALL ")+" FORMAT TSV")) {
		i, v, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if v != "NULL" {
			text, err := hex.DecodeString(v)
			require.NoError(t, err)
			v = string(text)
		}
		rows[i] = &v
	}
	return rows
}
