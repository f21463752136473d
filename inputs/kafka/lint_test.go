package kafka

import (
	"strings"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"
)

func lintsOf(t *testing.T, yaml string) (texts []string) {
	t.Helper()
	lints, err := service.NewEnvironment().NewComponentConfigLinter().LintInputYAML([]byte("kafka_exactly_once:\n  " + strings.ReplaceAll(strings.TrimSpace(yaml), "\n", "\n  ")))
	require.NoError(t, err)
	for _, l := range lints {
		texts = append(texts, l.Error())
	}
	return texts
}

// with is the smallest configuration with a line of its own, in place of the field's line if there is one.
func with(line string) string {
	name, _, _ := strings.Cut(line, ":")
	var kept []string
	for l := range strings.SplitSeq(strings.TrimSpace(minimal), "\n") {
		if !strings.HasPrefix(l, name+":") {
			kept = append(kept, l)
		}
	}
	return strings.Join(append(kept, line), "\n")
}

// TestLintNamesTheFieldOfEachBadValue has values that the constructor refuses as well.
func TestLintNamesTheFieldOfEachBadValue(t *testing.T) {
	for _, bad := range []struct{ field, line string }{
		{"seed_brokers", "seed_brokers: []"},
		{"seed_brokers", "seed_brokers: [ '' ]"},
		{"seed_brokers", "seed_brokers: [ 'http://a:9' ]"},
		{"seed_brokers", "seed_brokers: [ 'b:9092,kafka://a' ]"},
		{"seed_brokers", "seed_brokers: [ 'a:9092/path' ]"},
		{"seed_brokers", "seed_brokers: [ 'user@a:9092' ]"},
		{"seed_brokers", "seed_brokers: [ 'a:port' ]"},
		{"seed_brokers", "seed_brokers: [ 'a:0' ]"},
		{"seed_brokers", "seed_brokers: [ ':9092' ]"},
		{"topics", "topics: []"},
		{"topics", "topics: [ ' ' ]"},
		{"topics", "topics: [ '(' ]\nregexp_topics: true"},
		{"consumer_group", "consumer_group: ''"},
		{"start_offset", "start_offset: yesterday"},
		{"start_offset", "start_offset: 2026-01-02"},
		{"metadata", "metadata: [ topic, color ]"},
		{"group_balancers", "group_balancers: [ fair ]"},
		{"group_balancers", "group_balancers: []"},
		{"isolation_level", "isolation_level: none"},
		{"range.count", "range: { count: 0 }"},
		{"range.period", "range: { period: soon }"},
		{"range.period", "range: { period: 0s }"},
		{"range.byte_size", "range: { byte_size: '' }"},
		{"range.byte_size", "range: { byte_size: 0B }"},
		{"range.byte_size", "range: { byte_size: 8MXB }"},
		{"records_per_message", "records_per_message: 0"},
		{"ranges_in_flight", "ranges_in_flight: 0"},
		{"max_buffered_bytes", "max_buffered_bytes: lots"},
		{"max_metadata_bytes", "max_metadata_bytes: 10"},
		{"redelivery.initial_interval", "redelivery: { initial_interval: 0s }"},
		{"redelivery.max_interval", "redelivery: { max_interval: 5 }"},
		{"session_timeout", "session_timeout: 0s"},
		{"rebalance_timeout", "rebalance_timeout: x"},
		{"heartbeat_interval", "heartbeat_interval: 0s"},
		{"metadata_max_age", "metadata_max_age: ''"},
		{"request_timeout_overhead", "request_timeout_overhead: -1s"},
		{"conn_idle_timeout", "conn_idle_timeout: 5"},
		{"fetch_max_wait", "fetch_max_wait: 0s"},
		{"fetch_max_bytes", "fetch_max_bytes: 4GiB"},
		{"fetch_max_partition_bytes", "fetch_max_partition_bytes: ''"},
		{"fetch_min_bytes", "fetch_min_bytes: 0B"},
		{"sasl.mechanism", "sasl: [ { mechanism: GSSAPI } ]"},
	} {
		lints := lintsOf(t, with(bad.line))
		require.NotEmpty(t, lints, bad.line)
		require.Contains(t, lints[0], "field "+bad.field+": ", bad.line)
		_, err := parse(t, with(bad.line))
		require.Error(t, err, bad.line)
	}
}

// TestLintTakesWhatStartTakes has values in each form that the constructor reads.
func TestLintTakesWhatStartTakes(t *testing.T) {
	for _, good := range []string{
		"seed_brokers: [ 'a', 'b:9092, c-1.d:19092', '[::1]:9092', '::1', '[::1]', 10.0.0.1 ]",
		"seed_brokers: [ '', a ]",
		"topics: [ '^clicks_[0-9]{1,3}$' ]\nregexp_topics: true",
		"topics: [ '(' ]",
		"start_offset: latest",
		"start_offset: '2026-01-02T15:04:05Z'",
		"start_offset: 2026-01-02T15:04:05Z",
		"metadata: []",
		"group_balancers: [ sticky, range, round_robin, cooperative_sticky ]",
		"isolation_level: read_uncommitted",
		"range: { count: 1, byte_size: 10 MB, period: 1m30s }\nmax_buffered_bytes: 1GiB",
		"range: { byte_size: 65536 }",
		"fetch_max_wait: 10ms",
		"sasl: [ { mechanism: none } ]",
	} {
		require.Empty(t, lintsOf(t, with(good)), good)
		_, err := parse(t, with(good))
		require.NoError(t, err, good)
	}
}

func TestASizeIsNamedByWhatItIs(t *testing.T) {
	_, err := parse(t, minimal+"range: { byte_size: '' }")
	require.EqualError(t, err, `range.byte_size: "" is not a size such as 8MiB`)
	_, err = parse(t, minimal+"fetch_max_bytes: 4GiB")
	require.EqualError(t, err, `fetch_max_bytes: "4GiB" is not a size between 1B and 2.0 GiB`)
}
