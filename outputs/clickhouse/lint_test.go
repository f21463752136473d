package clickhouse

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redpanda-data/benthos/v4/public/service"
)

// lintOf lints a configuration, whose lines stand below clickhouse_native.
func lintOf(t *testing.T, lines ...string) []service.Lint {
	t.Helper()
	text := "output:\n  clickhouse_native:\n"
	for _, line := range lines {
		text += "    " + line + "\n"
	}
	lints, err := service.GlobalEnvironment().FullConfigSchema("", "").NewStreamConfigLinter().LintYAML([]byte(text))
	require.NoError(t, err)
	return lints
}

func parsed(t *testing.T, lines ...string) error {
	t.Helper()
	text := ""
	for _, line := range lines {
		text += line + "\n"
	}
	conf, err := spec().ParseYAML(text, nil)
	if err == nil {
		_, err = parseConfig(conf)
	}
	return err
}

var server = []string{"addresses: [ a:9000 ]", "table: events"}

// TestLintNamesTheFieldOfEachBadValue has a bad value of each field that lint knows more of than its kind.
func TestLintNamesTheFieldOfEachBadValue(t *testing.T) {
	replacing, adding, spooling := "write_mode: replacing", "unknown_fields: add_column", "on_exhausted: spool"
	for _, bad := range []struct {
		field string
		lines []string
	}{
		{"database", []string{"database: ''"}},
		{"shards", []string{"shards: [ [ 'a:9000', b ] ]"}},
		{"shards", []string{"shards: [ [ 'a:9000' ], [] ]"}},
		{"address_map", []string{"address_map: { 'a:9000': b }"}},
		{"address_map", []string{"address_map: { a: 'b:9000' }"}},
		{"compression", []string{"compression: gzip"}},
		{"compression", []string{"compression: LZ4"}},
		{"settings.async_insert", []string{"settings: { async_insert: '1' }"}},
		{"settings.Insert_Deduplicate", []string{"settings: { max_threads: '1', Insert_Deduplicate: '0' }"}},
		{"settings", []string{"settings: { '': '1' }"}},
		{"columns", []string{"columns: [ { from: a } ]"}},
		{"columns", []string{"columns: [ { name: a, from: b..c } ]"}},
		{"columns", []string{"columns: [ { name: a, from: 'b[x]' } ]"}},
		{"columns", []string{"columns: [ { name: a, from: '[0]' } ]"}},
		{"columns", []string{"columns: [ { name: a, from: '@' } ]"}},
		{"columns", []string{"columns: [ { name: a, from: '@envelope.source.' } ]"}},
		{"columns", []string{"columns: [ { name: a }, { name: b }, { name: a, from: c } ]"}},
		{"unknown_fields", []string{"unknown_fields: drop"}},
		{"add_column.include", []string{adding, "add_column: { include: [ a, '(' ] }"}},
		{"add_column.exclude", []string{adding, "add_column: { exclude: [ '[' ] }"}},
		{"add_column.max", []string{adding, "add_column: { max: 0 }"}},
		{"add_column.interval", []string{adding, "add_column: { interval: soon }"}},
		{"duplicate_fields", []string{"duplicate_fields: first"}},
		{"routing.strategy", []string{"routing: { strategy: modulo }"}},
		{"routing.key", []string{"routing: { strategy: hash, key: [ '' ] }"}},
		{"replicas.policy", []string{"replicas: { policy: first }"}},
		{"replicas.max_delay", []string{"replicas: { max_delay: 0s }"}},
		{"delivery", []string{"delivery: twice"}},
		{"retries.max_attempts", []string{"retries: { max_attempts: 0 }"}},
		{"retries.initial_interval", []string{"retries: { initial_interval: '5' }"}},
		{"retries.max_interval", []string{"retries: { max_interval: -1s }"}},
		{"on_exhausted", []string{"on_exhausted: wait"}},
		{"spool.max_bytes", []string{spooling, "spool: { path: x, max_bytes: lots }"}},
		{"topology_refresh", []string{"topology_refresh: often"}},
		{"dial_timeout", []string{"dial_timeout: 5x"}},
		{"stall_timeout", []string{"stall_timeout: 0s"}},
		{"insert_timeout", []string{"insert_timeout: ''"}},
		{"max_block_rows", []string{"max_block_rows: 0"}},
		{"max_block_bytes", []string{"max_block_bytes: '0'"}},
		{"max_block_bytes", []string{"max_block_bytes: 1XB"}},
		{"max_in_flight", []string{"max_in_flight: 0"}},
		{"write_mode", []string{"write_mode: upsert"}},
		{"changes.format", []string{replacing, "changes: { format: avro }"}},
		{"changes.tombstones", []string{replacing, "changes: { tombstones: eat }"}},
		{"changes.truncations", []string{replacing, "changes: { truncations: eat }"}},
		{"changes.version.from", []string{replacing, "changes: { version: { from: a..b } }"}},
		{"changes.version.from", []string{replacing, "changes: { version: { from: '@envelope.' } }"}},
	} {
		lints := lintOf(t, append(server, bad.lines...)...)
		require.NotEmpty(t, lints, bad.lines)
		require.Contains(t, lints[0].Error(), "field "+bad.field+": ", bad.lines)
		if bad.field != "shards" && bad.field != "address_map" && bad.field != "database" && bad.field != "max_in_flight" { // which later steps check
			require.Error(t, parsed(t, append(server, bad.lines...)...), bad.lines)
		}
	}
	for _, dsn := range []string{
		"http://a:8123", "clickhouse://", "clickhouse://a", "clickhouse://a:9000?secure=maybe", "clickhouse://a:9000?compress=gzip", "clickhouse://a:9000?max_threads=1",
		"clickhouse://user:secret@a:9000,b", "clickhouse://a:9000?dial_timeout=x",
	} {
		lints := lintOf(t, "table: events", "dsn: '"+dsn+"'")
		require.NotEmpty(t, lints, dsn)
		require.Contains(t, lints[0].Error(), "field dsn: ", dsn)
		require.NotContains(t, lints[0].Error(), "secret")
	}
}

// TestLintTakesWhatStartTakes has values in each form that the constructor reads.
func TestLintTakesWhatStartTakes(t *testing.T) {
	for _, good := range [][]string{
		{"shards: [ [ 'a:9000', '[::1]:9000' ], [ b-1.c:19000 ] ]"},
		{"address_map: { 'ch-1.internal:9000': 'localhost:19000' }"},
		{"settings: { insert_quorum: auto, max_threads: '4' }"},
		{"columns: [ { name: a, from: 'b.c[0].d' }, { name: b, from: '\"b.c\".d' }, { name: c, from: 'b\\.c' }, { name: d, from: '@kafka_offset' }, { name: e, skip: true }, { name: f, from: 'ä b' }, { name: g, mapping: 'root = 1' } ]"},
		{"columns: [ { name: a, from: 'b[0][12]' }, { name: b, from: '@some header' } ]"},
		{"unknown_fields: add_column", "add_column: { include: [ '^[a-z_]+$', 'x{1,3}' ], exclude: [ '\\d' ], max: 1, interval: 0s }"},
		{"topology_refresh: 1h30m", "dial_timeout: 1.5s", "stall_timeout: 500ms", "insert_timeout: .5h", "retries: { initial_interval: 100us, max_interval: 1m }"},
		{"max_block_bytes: 10 GB"},
		{"max_block_bytes: 1,000kib"},
		{"max_block_bytes: '65536'"},
		{"max_block_bytes: 1.5GiB"},
		{"write_mode: replacing", "changes: { version: { from: '@envelope.source.lsn' } }", "columns: [ { name: a, from: '@envelope.source.ts_ms' } ]"},
		{"write_mode: collapsing", "changes: { version: { from: row.version } }"},
	} {
		require.Empty(t, lintOf(t, append(server, good...)...), good)
		require.NoError(t, parsed(t, append(server, good...)...), good)
	}
	for _, dsn := range []string{
		"clickhouse://a:9000", "clickhouse://user:p%40ss@a:9000,b:9000/dw?secure=true&skip_verify=false&compress=zstd&dial_timeout=3s", "tcp://[::1]:9000/?database=d&username=u&password=", "native://:@a:9000/",
	} {
		require.Empty(t, lintOf(t, "table: events", "dsn: '"+dsn+"'"), dsn)
		require.NoError(t, parsed(t, "table: events", "dsn: '"+dsn+"'"), dsn)
	}
}

// TestLintRulesAreShort keeps rules from being written in Bloblang, which is parsed whenever the program starts.
func TestLintRulesAreShort(t *testing.T) {
	config, ok := service.GlobalEnvironment().GetOutputConfig("clickhouse_native")
	require.True(t, ok)
	text, err := config.FormatJSON()
	require.NoError(t, err)
	ours := regexp.MustCompile(`"linter":"root = this\.connect_lint\(`).FindAllString(string(text), -1)
	require.Greater(t, len(ours), 30)
	require.Empty(t, regexp.MustCompile(`"linter":"[^"]*re_match[^"]*"`).FindAllString(string(text), -1))
}
