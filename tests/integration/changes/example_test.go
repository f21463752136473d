package changes

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// TestTheExample runs the output of config/change_stream.yaml on the tables of its SQL file.
func TestTheExample(t *testing.T) {
	ddl, err := os.ReadFile("../../../config/clickhouse/03_orders.sql")
	require.NoError(t, err)
	servers.Exec(t, "DROP DATABASE IF EXISTS ods SYNC")
	for statement := range strings.SplitSeq(string(ddl), ";\n") {
		if strings.Contains(statement, "CREATE") {
			servers.Exec(t, statement)
		}
	}
	text, err := os.ReadFile("../../../config/change_stream.yaml")
	require.NoError(t, err)
	var file struct {
		Output struct {
			ClickHouse map[string]any `yaml:"clickhouse_native"`
		} `yaml:"output"`
	}
	require.NoError(t, yaml.Unmarshal(text, &file))
	delete(file.Output.ClickHouse, "dead_letter") // another package's output
	config, err := yaml.Marshal(map[string]any{"clickhouse_native": file.Output.ClickHouse})
	require.NoError(t, err)
	t.Setenv("CLICKHOUSE_ADDRESSES", strings.Join(servers.Addrs(), ","))
	send := stream(t, string(config))

	order := func(id int, status string, at int64) string {
		return fmt.Sprintf(`{"id":%d,"customer_id":7,"status":%q,"amount":"19.90","note":null,"created_at":1767323045000,"updated_at":%d}`, id, status, at)
	}
	record := func(op, before, after string, at int64) string {
		return fmt.Sprintf(`{"schema":null,"payload":{"before":%s,"after":%s,"source":{"version":"3.0.0","ts_ms":%d,"lsn":33},"op":%q,"ts_ms":%d}}`, before, after, at, op, at+5)
	}
	require.NoError(t, send(t.Context(), messages(records{values: []string{
		record("r", "null", order(1, "new", 1767323045000), 1767323045000),
		record("c", "null", order(2, "new", 1767323046000), 1767323046000),
		record("u", order(1, "new", 1767323045000), order(1, "paid", 1767323047000), 1767323047001),
		record("d", order(2, "new", 1767323046000), "null", 1767323048000),
		"",
	}})))
	require.Equal(t, [][]string{{"1", "paid", "19.9", "2026-01-02 03:04:05.000", "2026-01-02 03:04:07.000", "2026-01-02 03:04:07.001", "2", "0"}},
		servers.Servers[0].Query(t, "SELECT id, status, amount, created_at, updated_at, changed_at, version, is_deleted FROM ods.orders FINAL"))
}
