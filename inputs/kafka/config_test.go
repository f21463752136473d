package kafka

import (
	"strings"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"
)

const minimal = `
seed_brokers: [ "a:9092,b:9092", "c:9092" ]
topics: [ clicks ]
consumer_group: g
`

func parse(t *testing.T, yaml string) (*config, error) {
	t.Helper()
	conf, err := spec().ParseYAML(yaml, service.NewEnvironment())
	if err != nil {
		return nil, err
	}
	return parseConfig(conf)
}

func TestConfigDefaults(t *testing.T) {
	c, err := parse(t, minimal)
	require.NoError(t, err)
	require.Equal(t, []string{"a:9092", "b:9092", "c:9092"}, c.brokers)
	require.Equal(t, 100_000, c.count)
	require.Equal(t, int64(8<<20), c.byteSize)
	require.Equal(t, time.Second, c.period)
	require.Equal(t, 1, c.recordsPerMessage)
	require.Equal(t, 4, c.inFlight)
	require.Equal(t, int64(24<<20), c.maxBuffered)
	require.Equal(t, 4096, c.maxMetadata)
	require.Equal(t, fields{topic: true, partition: true, offset: true, key: true, timestampMs: true}, c.fields)
	require.Nil(t, c.tls)
	require.Empty(t, c.sasl)
	require.Equal(t, 3*time.Second, c.heartbeatInterval)
	require.Equal(t, startOffset{}, c.start)
}

func TestDefaultsFollowOtherFields(t *testing.T) {
	c, err := parse(t, minimal+"session_timeout: 6s\nrange: { byte_size: 64MiB }")
	require.NoError(t, err)
	require.Equal(t, 2*time.Second, c.heartbeatInterval)
	require.Equal(t, int64(192<<20), c.maxBuffered)
	c, err = parse(t, minimal+"session_timeout: 6s\nheartbeat_interval: 500ms\nmax_buffered_bytes: 100MiB")
	require.NoError(t, err)
	require.Equal(t, 500*time.Millisecond, c.heartbeatInterval)
	require.Equal(t, int64(100<<20), c.maxBuffered)
}

func TestConfigIsChecked(t *testing.T) {
	for name, c := range map[string]struct{ yaml, errContains string }{
		"no broker":           {"seed_brokers: []\ntopics: [ a ]\nconsumer_group: g", "at least one broker"},
		"no topic":            {"seed_brokers: [ a ]\ntopics: [ ' ' ]\nconsumer_group: g", "at least one topic"},
		"no group":            {"seed_brokers: [ a ]\ntopics: [ a ]\nconsumer_group: ''", "intents are kept"},
		"count":               {minimal + "range: { count: 0 }", "range.count"},
		"period":              {minimal + "range: { period: 0s }", "range.period"},
		"byte size":           {minimal + "range: { byte_size: many }", "range.byte_size"},
		"no byte":             {minimal + "range: { byte_size: 0B }", "range.byte_size"},
		"range beyond buffer": {minimal + "max_buffered_bytes: 1MiB", "at least one range"},
		"records per message": {minimal + "records_per_message: 0", "records_per_message"},
		"in flight":           {minimal + "ranges_in_flight: 0", "ranges_in_flight"},
		"metadata too short":  {minimal + "max_metadata_bytes: 10", "max_metadata_bytes"},
		"start offset":        {minimal + "start_offset: yesterday", "RFC 3339"},
		"metadata field":      {minimal + "metadata: [ topic, color ]", `unknown metadata "color"`},
		"isolation":           {minimal + "isolation_level: none", "isolation_level"},
		"balancer":            {minimal + "group_balancers: [ fair ]", `"fair"`},
		"no balancer":         {minimal + "group_balancers: []", "at least one balancer"},
		"heartbeat":           {minimal + "heartbeat_interval: 30s", "third of session_timeout"},
		"rebalance timeout":   {minimal + "rebalance_timeout: 1s", "rebalance_timeout"},
		"empty pattern":       {"seed_brokers: [ a ]\ntopics: [ '' ]\nconsumer_group: g\nregexp_topics: true", "at least one topic"},
		"topic pattern":       {"seed_brokers: [ a ]\ntopics: [ '(' ]\nconsumer_group: g\nregexp_topics: true", "topic pattern"},
		"mechanism":           {minimal + "sasl: [ { mechanism: GSSAPI } ]", "GSSAPI"},
		"token":               {minimal + "sasl: [ { mechanism: OAUTHBEARER } ]", "needs a token"},
		"redelivery":          {minimal + "redelivery: { initial_interval: 1m }", "max_interval"},
		"fetch bytes":         {minimal + "fetch_max_bytes: 4GiB", "fetch_max_bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, c.yaml)
			require.ErrorContains(t, err, c.errContains)
		})
	}
}

func TestPatternsMayHaveCommas(t *testing.T) {
	const conf = "seed_brokers: [ a ]\nconsumer_group: g\ntopics: [ '^clicks_[0-9]{1,3}$' ]\nregexp_topics: "
	c, err := parse(t, conf+"true")
	require.NoError(t, err)
	require.Equal(t, []string{"^clicks_[0-9]{1,3}$"}, c.topics)
	c, err = parse(t, "seed_brokers: [ a ]\nconsumer_group: g\ntopics: [ 'a, b', c ]")
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "c"}, c.topics)
}

func TestStartOffsets(t *testing.T) {
	at := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	for text, want := range map[string]startOffset{
		"earliest": {}, "latest": {latest: true}, "committed": {committed: true}, "2026-01-02T15:04:05Z": {time: at},
	} {
		got, err := parseStart(text)
		require.NoError(t, err)
		require.Equal(t, want, got, text)
	}
}

func TestEveryMechanismIsTaken(t *testing.T) {
	c, err := parse(t, minimal+`
sasl:
  - { mechanism: none }
  - { mechanism: PLAIN, username: u, password: p }
  - { mechanism: SCRAM-SHA-256, username: u, password: p }
  - { mechanism: SCRAM-SHA-512, username: u, password: p }
  - { mechanism: OAUTHBEARER, token: t, extensions: { a: b } }
tls: { enabled: true }
instance_id: one
regexp_topics: true
`)
	require.NoError(t, err)
	var names []string
	for _, m := range c.sasl {
		names = append(names, m.Name())
	}
	require.Equal(t, []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"}, names)
	require.NotNil(t, c.tls)
}

func TestBackoffDoublesUpToItsLimit(t *testing.T) {
	c := &config{retryInitial: 100 * time.Millisecond, retryMax: time.Second}
	require.Equal(t, 100*time.Millisecond, c.backoff(1))
	require.Equal(t, 400*time.Millisecond, c.backoff(3))
	require.Equal(t, time.Second, c.backoff(5))
	require.Equal(t, time.Second, c.backoff(1000))
}

func TestExamplesAreValid(t *testing.T) {
	view, ok := service.GlobalEnvironment().GetInputConfig("kafka_exactly_once")
	require.True(t, ok)
	data, err := view.TemplateData()
	require.NoError(t, err)
	require.NotEmpty(t, data.Examples)
	for _, example := range data.Examples {
		_, conf, ok := strings.Cut(example.Config, "input:\n")
		require.True(t, ok)
		lints, err := service.NewEnvironment().NewComponentConfigLinter().LintInputYAML([]byte(conf))
		require.NoError(t, err)
		require.Empty(t, lints, example.Title)
	}
}
