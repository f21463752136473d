package services

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go"
	"github.com/stretchr/testify/require"
)

// ClusterName is the name of the cluster of Options.Shards × Options.Replicas in system.clusters.
const ClusterName = "events_cluster"

// Node is one ClickHouse server. Kill, Stop, Start, Pause, Resume, Log, PID and Running come with it.
type Node struct {
	*process
	tcpPort, httpPort int
	tcpAddr, httpAddr string
}

// Addr is host:port of the native protocol.
func (n *Node) Addr() string { return n.tcpAddr }

// Port is the port of the native protocol.
func (n *Node) Port() int { return n.tcpPort }

// HTTPAddr is host:port of the HTTP interface.
func (n *Node) HTTPAddr() string { return n.httpAddr }

// Client opens a connection as user default; the test's end closes it.
func (n *Node) Client(t testing.TB) *ch.Client {
	t.Helper()
	c, err := ch.Dial(t.Context(), ch.Options{Address: n.tcpAddr})
	require.NoError(t, err, "connecting to %s", n.name)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Exec runs a script of statements separated by semicolons; the test ends at the first that fails.
func (n *Node) Exec(t testing.TB, script string) {
	t.Helper()
	require.NoError(t, n.ExecContext(t.Context(), script))
}

// Query returns the rows of one SELECT, SHOW or DESCRIBE, every value as ClickHouse prints it. NULL is "NULL".
func (n *Node) Query(t testing.TB, query string) [][]string {
	t.Helper()
	rows, err := n.QueryContext(t.Context(), query)
	require.NoError(t, err)
	return rows
}

// Value returns the only value of a query with one row and one column.
func (n *Node) Value(t testing.TB, query string) string {
	t.Helper()
	rows := n.Query(t, query)
	require.Len(t, rows, 1, query)
	require.Len(t, rows[0], 1, query)
	return rows[0][0]
}

// ExecContext is Exec without a test.
func (n *Node) ExecContext(ctx context.Context, script string) error {
	for _, statement := range Statements(script) {
		if _, err := n.post(ctx, statement, ""); err != nil {
			return fmt.Errorf("running on %s: %w\nstatement: %s", n.name, err, statement)
		}
	}
	return nil
}

// QueryContext is Query without a test.
func (n *Node) QueryContext(ctx context.Context, query string) ([][]string, error) {
	body, err := n.post(ctx, query, "JSONCompactStringsEachRow")
	if err != nil {
		return nil, fmt.Errorf("querying %s: %w\nquery: %s", n.name, err, query)
	}
	var rows [][]string
	for d := json.NewDecoder(bytes.NewReader(body)); ; {
		var row []string
		if err := d.Decode(&row); err == io.EOF {
			return rows, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading the answer of %s: %w", n.name, err)
		}
		rows = append(rows, row)
	}
}

// post uses HTTP rather than the native protocol, because there the server formats any type as text.
func (n *Node) post(ctx context.Context, query, format string) ([]byte, error) {
	params := url.Values{"wait_end_of_query": {"1"}} // an error after the first rows must not look like a short answer
	if format != "" {
		params.Set("default_format", format)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+n.httpAddr+"/?"+params.Encode(), strings.NewReader(query))
	if err != nil {
		return nil, err
	}
	resp, err := httpClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s", bytes.TrimSpace(body))
	}
	return body, nil
}

// A connection kept open would be found dead after each restart of a node.
var httpClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func (n *Node) ping(ctx context.Context) error {
	c, err := ch.Dial(ctx, ch.Options{Address: n.tcpAddr})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Ping(ctx); err != nil {
		return err
	}
	_, err = n.post(ctx, "SELECT 1", "")
	return err
}

// newNode reserves what a node needs; its configuration is written when the addresses of all nodes are known.
func newNode(dir, name string, p *ports) (*Node, error) {
	n := &Node{process: &process{name: name, dir: filepath.Join(dir, name)}}
	for _, port := range []*int{&n.tcpPort, &n.httpPort} {
		var err error
		if *port, err = p.take(); err != nil {
			return nil, err
		}
	}
	n.tcpAddr = fmt.Sprintf("127.0.0.1:%d", n.tcpPort)
	n.httpAddr = fmt.Sprintf("127.0.0.1:%d", n.httpPort)
	n.logPath = filepath.Join(n.dir, "server.log")
	n.healthy = n.ping
	if err := os.MkdirAll(n.dir, 0o755); err != nil {
		return nil, fmt.Errorf("creating the directory of %s: %w", name, err)
	}
	return n, nil
}
