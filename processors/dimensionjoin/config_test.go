package dimensionjoin

import (
	"fmt"
	"strings"
	"testing"

	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/lookup"
)

const base = `
dsn: user:secret@tcp(127.0.0.1:1)/shop
dimensions:
  - name: product
    table: dim_product
    key: { sku: this.sku }
    columns: [ name, brand ]
`

func TestConfigErrors(t *testing.T) {
	for _, tc := range []struct{ name, yaml, errContains string }{
		{"dsn", strings.Replace(base, "user:secret@tcp(127.0.0.1:1)/shop", "nowhere", 1), "parsing the MySQL DSN"},
		{"no dimensions", "dsn: user@tcp(a:1)/b\ndimensions: []\n", "no dimensions are configured"},
		{"table and query", base + "    query: SELECT 1 WHERE a IN {keys}\n", `exactly one of table and query`},
		{"no placeholder", strings.Replace(base, "table: dim_product", "query: SELECT 1", 1), "{keys}"},
		{"no key", strings.Replace(base, "{ sku: this.sku }", "{}", 1), "key needs at least one column"},
		{"bad expression", strings.Replace(base, "this.sku", "'this.sku +'", 1), `column "sku": parsing the expression "this.sku +"`},
		{"empty segment", strings.Replace(base, "this.sku", `'this.""'`, 1), "has an empty name"},
		{"rename of nothing", base + "    rename: { nme: title }\n", `column "nme" is renamed or typed, but not listed`},
		{"unknown type", base + "    types: { name: varchar }\n", `cannot be written as "varchar"; there are: string, number`},
		{"rename without columns", strings.Replace(base, "columns: [ name, brand ]", "rename: { name: title }", 1), "need columns to be listed"},
		{"defaults unused", base + "    defaults: { name: x }\n", `on_missing is "null"`},
		{"zone", base + "    time_zone: Middle/Earth\n", "time_zone"},
		{"same name twice", base + strings.SplitN(base, "dimensions:\n", 2)[1], `two dimensions named "product"`},
		{"full query", strings.Replace(base, "table: dim_product", "query: 'SELECT sku FROM p WHERE sku IN {keys}'\n    load: full", 1), "load: full needs a table"},
		{"no bound", base + "cache: { max_rows: 0 }\n", "at least one of max_rows and max_bytes"},
		{"ttl", base + "cache: { ttl: 0s }\n", "ttl and missing_ttl must be positive"},
		{"connections", base + "max_connections: 0\n", "max_connections must be at least 1"},
		{"keys", base + "max_keys_per_query: 0\n", "must be positive"},
		{"backoff", base + "backoff: { max_interval: 0s }\n", "initial_interval must be positive, and max_interval no shorter"},
		{"server id", base + "invalidation: { binlog: { server_id: -1 } }\n", "server_id must be between 0 and 4294967295"},
		{"poll interval", base + "    refresh: { poll_interval: 0s }\n", "poll_interval must be positive"},
		{"refresh without load", base + "    refresh: { updated_at: changed }\n", "updated_at needs load: full"},
		{"inspect", base + "inspect_address: nowhere.invalid:1\n", "inspect_address"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conf, err := Spec().ParseYAML(tc.yaml, nil)
			if err == nil {
				_, err = New(conf, service.MockResources())
			}
			require.ErrorContains(t, err, tc.errContains)
		})
	}
}

func TestReferences(t *testing.T) {
	name := func(names ...string) (steps []jsonscan.Step) {
		for _, n := range names {
			steps = append(steps, jsonscan.Step{Name: n})
		}
		return steps
	}
	for expr, want := range map[string]lookup.FieldRef{
		"this.sku":             {Path: name("sku")},
		"this.a.b_c.D1\n":      {Path: name("a", "b_c", "D1")},
		`this."x.y"."q\"z"`:    {Path: name("x.y", `q"z`)},
		"this.items.0.id":      {Computed: 0}, // an element or a member: only the document tells
		"this.sku.uppercase()": {Computed: 1},
		"meta(\"key\")":        {Computed: 2},
		"this":                 {Computed: 3},
	} {
		s := &settings{}
		got, err := s.reference(expr)
		require.NoError(t, err, expr)
		if want.Path == nil {
			require.Nil(t, got.Path, expr)
			require.Len(t, s.mappings, 1, expr)
			continue
		}
		require.Equal(t, want, got, expr)
	}
}

func TestAllFields(t *testing.T) {
	conf, err := Spec().ParseYAML(`
dsn: user:secret@tcp(127.0.0.1:1)/shop
on_conflict: keep
max_keys_per_query: 50
cache: { max_rows: 10, ttl: 1m, refresh_after: 10s, missing_ttl: 1s, max_stale: 2m, jitter: 0.2 }
invalidation: { binlog: { enabled: false, server_id: 7 } }
dimensions:
  - name: product
    table: shop.dim_product
    key: { tenant: this.tenant, sku: 'this.sku.trim()' }
    columns: [ name, brand, attributes ]
    rename: { brand: maker }
    types: { attributes: json }
    prefix: p_
    target: product
    time_zone: Europe/Berlin
    on_missing: default
    defaults: { name: "?", attributes: { a: [ 1 ] } }
    retry_missing: { attempts: 2, delay: 10ms }
    as_of: { time: this.ts, valid_from: f, valid_to: u, unit: s }
    load: full
    refresh: { updated_at: changed }
    watch: [ other ]
`, nil)
	require.NoError(t, err)
	s, err := parse(conf)
	require.NoError(t, err)
	d := s.join.Dimensions[0]
	require.Equal(t, []string{"sku", "tenant"}, d.Source.Keys)
	require.Equal(t, "p_name maker p_attributes", fmt.Sprint(d.Source.Columns[0].Member, " ", d.Source.Columns[1].Member, " ", d.Source.Columns[2].Member))
	require.JSONEq(t, `{"a":[1]}`, string(d.Defaults["attributes"]))
	require.Equal(t, "30s", d.Full.Interval.String(), "half of the ttl")
	require.Equal(t, lookup.Keep, s.join.OnConflict)
	require.Equal(t, uint32(7), s.serverID)
	require.Len(t, s.mappings, 1)
	p, err := New(conf, service.MockResources())
	require.NoError(t, err)
	require.NoError(t, p.Close(t.Context()))
	require.NoError(t, p.Close(t.Context()), "closed once")
}

// The example in the documentation is a configuration that the linter accepts.
func TestLint(t *testing.T) {
	linter := service.NewEnvironment().NewComponentConfigLinter()
	lints, err := linter.LintProcessorYAML([]byte(Name + ":\n" + strings.ReplaceAll(base, "\n", "\n  ")))
	require.NoError(t, err)
	require.Empty(t, lints)
	lints, err = linter.LintProcessorYAML([]byte(Name + ":\n  dsn: user@tcp(a:1)/b\n  dimensions: []\n"))
	require.NoError(t, err)
	require.Len(t, lints, 1)
	require.Contains(t, lints[0].Error(), "at least one dimension")
}
