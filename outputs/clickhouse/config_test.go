package clickhouse

import (
	"testing"

	"github.com/stretchr/testify/require"

	_ "github.com/redpanda-data/benthos/v4/public/components/io"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/clickhouse/insert"
)

func parse(t *testing.T, yaml string) (*config, error) {
	t.Helper()
	conf, err := spec().ParseYAML(yaml, nil)
	require.NoError(t, err)
	return parseConfig(conf)
}

func TestConfigDefaults(t *testing.T) {
	c, err := parse(t, `
addresses: [ "a:9000, b:9000", "c:9000" ]
table: events
`)
	require.NoError(t, err)
	require.Equal(t, []string{"a:9000", "b:9000", "c:9000"}, c.cluster.Addresses)
	require.Equal(t, "default", c.cluster.Database)
	require.Equal(t, cluster.CompressionLZ4, c.cluster.Compression)
	require.Nil(t, c.cluster.TLS)
	require.Equal(t, insert.DeliveryAuto, c.insert.Delivery)
	require.Equal(t, insert.StrategyTable, c.insert.Strategy)
	require.Equal(t, 8, c.insert.Retries.MaxAttempts)
	require.Equal(t, 256<<20, c.insert.MaxBlockBytes)
	require.Empty(t, c.spoolPath)
}

func TestConfigOfADSN(t *testing.T) {
	c, err := parse(t, `
dsn: clickhouse://writer:s%40cret@a:9000,b:9000/dw?secure=true&skip_verify=true&compress=zstd&dial_timeout=3s
table: events
`)
	require.NoError(t, err)
	require.Equal(t, []string{"a:9000", "b:9000"}, c.cluster.Addresses)
	require.Equal(t, "dw", c.cluster.Database)
	require.Equal(t, "writer", c.cluster.Username)
	require.Equal(t, "s@cret", c.cluster.Password)
	require.Equal(t, cluster.CompressionZSTD, c.cluster.Compression)
	require.True(t, c.cluster.TLS.InsecureSkipVerify)
}

func TestConfigRefusals(t *testing.T) {
	const server = "addresses: [ a:9000 ]\ntable: events\n"
	for name, test := range map[string]struct{ yaml, errContains string }{
		"no address":          {"table: events", "field `addresses`: name at least one"},
		"no table":            {"addresses: [ a:9000 ]\ntable: ''", "field `table`: is required"},
		"two sources":         {"addresses: [ a:9000 ]\ntable: t\ndsn: clickhouse://a:9000", "field `dsn`: cannot be combined"},
		"http dsn":            {"table: t\ndsn: http://a:8123", "scheme \"http\" is not clickhouse"},
		"dsn parameter":       {"table: t\ndsn: clickhouse://a:9000?max_threads=1", "parameter max_threads is not known"},
		"session zone":        {server + "settings: { session_timezone: Asia/Tokyo }", "name one in the columns"},
		"owned setting":       {server + "settings: { async_insert: '1' }", "field `settings.async_insert`: is set by this output"},
		"no key":              {server + "routing: { strategy: hash }", "field `routing.key`: strategy hash needs at least one column"},
		"useless key":         {server + "routing: { key: [ a ] }", "field `routing.key`: is only used by"},
		"no spool":            {server + "on_exhausted: spool", "field `spool.path`: is required"},
		"spool size":          {server + "on_exhausted: spool\nspool: { path: x, max_bytes: lots }", "field `spool.max_bytes`: \"lots\" is not a size"},
		"block size":          {server + "max_block_bytes: '0'", "field `max_block_bytes`"},
		"two sources of one":  {server + "columns: [ { name: a, from: b, mapping: root = 1 } ]", "\"a\" has both from and mapping"},
		"column twice":        {server + "columns: [ { name: a, from: b }, { name: a, from: c } ]", "\"a\" stands twice"},
		"column without name": {server + "columns: [ { name: '', from: b } ]", "an entry has no name"},
		"no operation":        {server + "write_mode: replacing\nchanges: { format: mapping }", "field `changes.operation`: is required"},
		"useless operation":   {server + "write_mode: replacing\nchanges: { operation: root = 1 }", "field `changes.operation`: is only used"},
		"useless sign":        {server + "write_mode: replacing\nchanges: { sign: s }", "field `changes.sign`: is only used with"},
		"useless flag":        {server + "write_mode: collapsing\nchanges: { is_deleted: d }", "field `changes.is_deleted`: is only used with"},
		"key alone":           {server + "write_mode: collapsing\nchanges: { tombstones: delete }", "field `changes.tombstones`: delete does not go with"},
		"attempts":            {server + "retries: { max_attempts: 0 }", "field `retries.max_attempts`: is too small"},
		"patience":            {server + "stall_timeout: -1s", "field `stall_timeout`: is too small"},
		"refresh":             {server + "topology_refresh: 0s", "field `topology_refresh`: is too small"},
		"no delay":            {server + "replicas: { max_delay: 0s }", "field `replicas.max_delay`: is too small"},
		"no columns":          {server + "unknown_fields: add_column\nadd_column: { max: 0 }", "field `add_column.max`: is too small"},
		"exhausted":           {server + "on_exhausted: Spool", "field `on_exhausted`: \"Spool\" is not one of retry, spool"},
		"unknown fields":      {server + "unknown_fields: drop", "field `unknown_fields`: \"drop\" is not one of"},
		"duplicates":          {server + "duplicate_fields: first", "field `duplicate_fields`: \"first\" is not one of"},
		"skipped source":      {server + "columns: [ { name: a, from: b, skip: true } ]", "\"a\" is skipped and has a source"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, test.yaml)
			require.ErrorContains(t, err, test.errContains)
			require.NotContains(t, err.Error(), "\n", "one line that names the field")
		})
	}
}

func TestLintNamesTheField(t *testing.T) {
	const server = "output:\n  clickhouse_native:\n    addresses: [ a:9000 ]\n    table: events\n"
	for name, test := range map[string]struct{ yaml, want string }{
		"good":          {server, ""},
		"empty letters": {server + "    dead_letter: {}\n    alert: {}\n", ""},
		"no address":    {"output:\n  clickhouse_native:\n    table: events\n", "field addresses: name at least one"},
		"bad address":   {"output:\n  clickhouse_native:\n    table: events\n    addresses: [ a ]\n", "field addresses: \"a\" is not host:port"},
		"no key":        {server + "    routing: { strategy: hash }\n", "field routing.key: strategy hash needs"},
		"strategy":      {server + "    routing: { strategy: modulo }\n", "modulo"},
		"delivery":      {server + "    delivery: twice\n", "twice"},
		"spool":         {server + "    on_exhausted: spool\n", "field spool.path: is required"},
		"columns":       {server + "    columns: [ { name: a, from: b, mapping: root = 1 } ]\n", "field columns: a has both"},
		"mapping":       {server + "    columns: [ { name: a, mapping: 'root = (' } ]\n", "expected query"},
		"field":         {server + "    adresses: []\n", "adresses"},
		"attempts":      {server + "    retries: { max_attempts: 0 }\n", "field retries.max_attempts"},
		"changes":       {server + "    write_mode: replacing\n    changes: { format: canal, version: { from: '@envelope.es' } }\n", ""},
		"write mode":    {server + "    write_mode: upsert\n", "upsert"},
		"format":        {server + "    write_mode: replacing\n    changes: { format: avro }\n", "avro"},
		"operation":     {server + "    write_mode: replacing\n    changes: { format: mapping }\n", "field changes.operation: is required"},
		"no mapping":    {server + "    write_mode: replacing\n    changes: { operation: root = 1 }\n", "field changes.operation: is only used"},
		"sign":          {server + "    write_mode: replacing\n    changes: { sign: s }\n", "field changes.sign"},
		"flag":          {server + "    write_mode: collapsing\n    changes: { is_deleted: d }\n", "field changes.is_deleted"},
		"tombstones":    {server + "    write_mode: collapsing\n    changes: { tombstones: delete }\n", "field changes.tombstones"},
	} {
		t.Run(name, func(t *testing.T) {
			lints, err := service.GlobalEnvironment().FullConfigSchema("", "").NewStreamConfigLinter().LintYAML([]byte(test.yaml))
			require.NoError(t, err)
			if test.want == "" {
				require.Empty(t, lints)
				return
			}
			require.NotEmpty(t, lints)
			require.Contains(t, lints[0].Error(), test.want)
		})
	}
}

func TestExamplesAreLinted(t *testing.T) {
	for _, e := range examples {
		t.Run(e.title, func(t *testing.T) {
			t.Setenv("CLICKHOUSE_PASSWORD", "secret")
			linter := service.GlobalEnvironment().FullConfigSchema("", "").NewStreamConfigLinter()
			lints, err := linter.LintYAML([]byte(e.yaml))
			require.NoError(t, err)
			for _, l := range lints {
				require.Contains(t, l.Error(), "unable to infer component type", "components of other packages are not registered here")
			}
		})
	}
}

func TestAPasswordThatIsNotEscapedIsNotShown(t *testing.T) {
	for _, dsn := range []string{"clickhouse://user:geheim/x@a:9000", "clickhouse://user:100%geheim@a:9000", "clickhouse://user:geheim#x@a:9000"} {
		err := parsed(t, "table: events", "dsn: '"+dsn+"'")
		require.ErrorContains(t, err, "field `dsn`: is not a URL", dsn)
		require.NotContains(t, err.Error(), "geh")
	}
}

func TestBatchesAreGatheredUnlessAPolicyIsGiven(t *testing.T) {
	for yaml, gathered := range map[string]bool{
		"":                                true,
		"max_in_flight: 4":                true,
		"batching: { count: 0 }":          true,
		"max_in_flight: 1":                false,
		"batching: { count: 1 }":          false,
		"batching: { count: 1000 }":       false,
		"batching: { period: 1s }":        false,
		"batching: { byte_size: 100000 }": false,
		"batching: { check: 'true' }":     false,
	} {
		conf, err := spec().ParseYAML("addresses: [ a:9000 ]\ntable: t\n"+yaml, nil)
		require.NoError(t, err)
		policy, err := conf.FieldBatchPolicy(choFieldBatching)
		require.NoError(t, err)
		inFlight, err := conf.FieldMaxInFlight()
		require.NoError(t, err)
		require.Equal(t, gathered, gathers(policy, inFlight), yaml)
	}
}
