package dimensionjoin

import (
	"strings"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"
)

func lintsOf(t *testing.T, yaml string) (texts []string) {
	t.Helper()
	lints, err := service.NewEnvironment().NewComponentConfigLinter().LintProcessorYAML([]byte(Name + ":\n  " + strings.ReplaceAll(strings.TrimSpace(yaml), "\n", "\n  ")))
	require.NoError(t, err)
	for _, l := range lints {
		texts = append(texts, l.Error())
	}
	return texts
}

// TestLintNamesTheFieldOfEachBadValue has values that the start refuses as well.
func TestLintNamesTheFieldOfEachBadValue(t *testing.T) {
	instead := func(old, now string) string { return strings.Replace(base, old, now, 1) }
	const dsn, table, key = "user:secret@tcp(127.0.0.1:1)/shop", "table: dim_product", "{ sku: this.sku }"
	for _, bad := range []struct{ field, yaml string }{
		{"dsn", instead(dsn, "''")},
		{"dsn", instead(dsn, "secret")},
		{"dsn", instead(dsn, "user:secret/shop")},
		{"dsn", instead(dsn, "user:secret@tcp(a:1/shop")},
		{"dsn", instead(dsn, "user:secret@tcp(a:1)/shop?timeout=secret")},
		{"dsn", instead(dsn, "mysql://user:secret@a:1/shop")},
		{"dimensions", "dsn: user@tcp(a:1)/b\ndimensions: []\n"},
		{"dimensions.name", instead("name: product", "name: ''")},
		{"dimensions.name", base + strings.SplitN(base, "dimensions:\n", 2)[1]},
		{"dimensions.table", instead(table, "")},
		{"dimensions.table", base + "    query: SELECT 1 WHERE a IN {keys}\n"},
		{"dimensions.query", instead(table, "query: SELECT 1")},
		{"dimensions.query", instead(table, "query: SELECT 1 /* {keys} */")},
		{"dimensions.load", instead(table, "query: SELECT 1 WHERE a IN {keys}\n    load: full")},
		{"dimensions.load", base + "    load: eager\n"},
		{"dimensions.key", instead(key, "{}")},
		{"dimensions.key", instead(key, "{ sku: 'this.sku +' }")},
		{"dimensions.key", instead(key, "{ sku: 'this.\"\"' }")},
		{"dimensions.key", instead(key, "{ sku: '' }")},
		{"dimensions.types", base + "    types: { name: varchar }\n"},
		{"dimensions.time_zone", base + "    time_zone: Middle/Earth\n"},
		{"dimensions.on_missing", base + "    on_missing: skip\n"},
		{"dimensions.on_missing", base + "    on_missing: DROP\n"},
		{"dimensions.defaults", base + "    defaults: { name: x }\n"},
		{"dimensions.retry_missing.attempts", base + "    retry_missing: { attempts: -1 }\n"},
		{"dimensions.retry_missing.delay", base + "    retry_missing: { delay: later }\n"},
		{"dimensions.as_of.time", base + "    as_of: { time: 'this.', valid_from: f }\n"},
		{"dimensions.as_of.unit", base + "    as_of: { time: this.t, valid_from: f, unit: min }\n"},
		{"dimensions.refresh.interval", base + "    refresh: { interval: -1s }\n"},
		{"dimensions.refresh.poll_interval", base + "    refresh: { poll_interval: 0s }\n"},
		{"on_conflict", base + "on_conflict: merge\n"},
		{"cache.max_rows", base + "cache: { max_rows: -1 }\n"},
		{"cache.max_bytes", base + "cache: { max_bytes: -1 }\n"},
		{"cache.ttl", base + "cache: { ttl: 0s }\n"},
		{"cache.refresh_after", base + "cache: { refresh_after: often }\n"},
		{"cache.missing_ttl", base + "cache: { missing_ttl: '' }\n"},
		{"cache.max_stale", base + "cache: { max_stale: -1h }\n"},
		{"cache.jitter", base + "cache: { jitter: 1 }\n"},
		{"invalidation.binlog.server_id", base + "invalidation: { binlog: { server_id: -1 } }\n"},
		{"max_connections", base + "max_connections: 0\n"},
		{"max_keys_per_query", base + "max_keys_per_query: 0\n"},
		{"query_timeout", base + "query_timeout: 0s\n"},
		{"backoff.initial_interval", base + "backoff: { initial_interval: 0s }\n"},
		{"backoff.max_interval", base + "backoff: { max_interval: x }\n"},
	} {
		lints := lintsOf(t, bad.yaml)
		require.NotEmpty(t, lints, bad.yaml)
		require.Contains(t, lints[0], "field "+bad.field+": ", bad.yaml)
		conf, err := Spec().ParseYAML(bad.yaml, nil)
		if err == nil {
			_, err = New(conf, service.MockResources())
		}
		require.Error(t, err, bad.yaml)
		if bad.field == "dsn" {
			require.NotContains(t, strings.Join(lints, ""), "secret")
			require.NotContains(t, err.Error(), "secret")
		}
	}
}

// TestLintTakesWhatStartTakes has values in each form that the constructor reads.
func TestLintTakesWhatStartTakes(t *testing.T) {
	instead := func(old, now string) string { return strings.Replace(base, old, now, 1) }
	const dsn, table, key = "user:secret@tcp(127.0.0.1:1)/shop", "table: dim_product", "{ sku: this.sku }"
	for _, good := range []string{
		base,
		instead(dsn, "u:p@ss/w:rd@tcp([::1]:3306)/shop?tls=skip-verify&timeout=3s&readTimeout=1m"),
		instead(dsn, "u@unix(/run/mysqld/mysqld.sock)/shop"),
		instead(dsn, "/shop"),
		instead(table, "query: SELECT sku FROM p WHERE sku IN {keys}"),
		instead(key, "{ sku: 'this.sku.trim().uppercase()', tenant: 'this.\"x.y\".z', shop: '@shop.or(\"-\")' }"),
		base + "    types: { name: json, brand: hex }\n    time_zone: Europe/Berlin\n    load: full\n    refresh: { interval: 0s, updated_at: u }\n",
		base + "    on_missing: default\n    defaults: { name: '?' }\n    retry_missing: { attempts: 0, delay: 0s }\n",
		base + "    as_of: { time: this.ts, valid_from: f, unit: ns }\n",
		base + "cache: { max_rows: 0, max_bytes: 1, refresh_after: 0s, max_stale: 0s, jitter: 0 }\n",
		base + "invalidation: { binlog: { server_id: 4294967295 } }\n",
	} {
		require.Empty(t, lintsOf(t, good), good)
		conf, err := Spec().ParseYAML(good, nil)
		require.NoError(t, err, good)
		p, err := New(conf, service.MockResources())
		require.NoError(t, err, good)
		require.NoError(t, p.Close(t.Context()))
	}
}
