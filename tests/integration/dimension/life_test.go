package dimension

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"
	"github.com/urfave/cli/v2"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin"
	"github.com/benthos-clickhouse/connect/tests/proxy"
)

// A cache that was saved when the processor stopped serves the next one, unless the schema has changed.
func TestSnapshot(t *testing.T) {
	server.Exec(t, `
		CREATE OR REPLACE TABLE snap (k VARCHAR(10) PRIMARY KEY, v VARCHAR(20), j JSON);
		CREATE OR REPLACE TABLE snap_versions (k INT, v VARCHAR(10), f DATETIME NULL, u DATETIME NULL);
		INSERT INTO snap VALUES ('a', '1', '{"x":[1]}'), ('b', NULL, NULL);
		INSERT INTO snap_versions VALUES (1, 'old', NULL, '2026-01-01'), (1, 'new', '2026-01-01', NULL)`)
	db := server.DB(t)
	path := filepath.Join(t.TempDir(), "cache.snapshot")
	yaml := fmt.Sprintf(`
dsn: "$DSN"
snapshot: %q
dimensions:
  - { name: snap, table: snap, key: { k: this.k } }
  - { name: versions, table: snap_versions, key: { k: this.n }, target: version, as_of: { time: this.ts, valid_from: f, valid_to: u } }
`, path)
	docs := []string{`{"k":"a","n":1,"ts":"2025-01-01"}`, `{"k":"b","n":1,"ts":"2026-01-01"}`, `{"k":"none","n":2,"ts":"2026-01-01"}`}
	first := join(t, yaml)
	want := run(t, first, docs...)
	require.Contains(t, want[0], `"j":{"x":[1]},"version":{"v":"old"}`)
	require.NoError(t, first.Close(context.Background()))

	before := rowsRead(t, db, "snap") + rowsRead(t, db, "snap_versions")
	second := join(t, yaml)
	require.Equal(t, want, run(t, second, docs...))
	require.Equal(t, before, rowsRead(t, db, "snap")+rowsRead(t, db, "snap_versions"), "nothing was read again")
	require.NoError(t, second.Close(context.Background()))

	server.Exec(t, `ALTER TABLE snap MODIFY v INT; UPDATE snap SET v = 7 WHERE k = 'b'`)
	third := join(t, yaml)
	require.Contains(t, run(t, third, docs...)[1], `"v":7`)
	require.NoError(t, third.Close(context.Background()))

	content, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, damaged := range [][]byte{content[:len(content)/2], append([]byte{1}, content[1:]...), nil} {
		require.NoError(t, os.WriteFile(path, damaged, 0o600))
		p := join(t, yaml)
		require.Contains(t, run(t, p, docs...)[1], `"v":7`, "a damaged snapshot is an empty cache")
		require.NoError(t, p.Close(context.Background()))
	}
}

// Processors with one cache_label read a dimension that they configure alike once.
func TestCacheLabel(t *testing.T) {
	server.Exec(t, `CREATE OR REPLACE TABLE lab (k INT PRIMARY KEY, v INT); INSERT INTO lab VALUES (1,10), (2,20)`)
	between := proxy.Run(t, server.Addr())
	const yaml = `
dsn: "$DSN"
cache_label: %s
dimensions: [ { name: lab, table: lab, key: { k: this.%s }, target: %q } ]
cache: { max_rows: %d }
`
	first := joinWith(t, through(t, server, between.Addr()), fmt.Sprintf(yaml, t.Name(), "k", "", 1000))
	second := joinWith(t, through(t, server, between.Addr()), fmt.Sprintf(yaml, t.Name(), "other", "", 1000))
	nested := joinWith(t, through(t, server, between.Addr()), fmt.Sprintf(yaml, t.Name(), "k", "row", 1000))
	require.Equal(t, []string{`{"k":1,"v":10}`}, run(t, first, `{"k":1}`))
	require.Equal(t, []string{`{"other":3,"v":null}`}, run(t, second, `{"other":3}`), "its schema is read")
	require.Equal(t, []string{`{"k":2,"row":{"v":20}}`}, run(t, nested, `{"k":2}`), "other rows under the same label")
	between.Set(proxy.Refuse)
	between.Cut()
	require.Equal(t, []string{`{"other":1,"v":10}`}, run(t, second, `{"other":1}`), "read by the first processor")

	conf, err := dimensionjoin.Spec().ParseYAML(strings.ReplaceAll(fmt.Sprintf(yaml, t.Name(), "k", "", 5), "$DSN", server.DSN()), nil)
	require.NoError(t, err)
	_, err = dimensionjoin.New(conf, service.MockResources())
	require.ErrorContains(t, err, "already in use with other settings")
}

// What another user, another database or other session variables may see otherwise is not shared.
func TestCacheLabelOfOtherSessions(t *testing.T) {
	server.Exec(t, `
		CREATE OR REPLACE TABLE owned (owner VARCHAR(20), k INT, d DATE, PRIMARY KEY (owner, k));
		INSERT INTO owned VALUES ('ann', 1, '2026-05-01'), ('bob', 1, '2026-10-01');
		CREATE OR REPLACE SQL SECURITY INVOKER VIEW visible AS
			SELECT k, owner, MONTHNAME(d) AS month FROM owned WHERE owner = SUBSTRING_INDEX(USER(), '@', 1);
		CREATE DATABASE IF NOT EXISTS elsewhere;
		CREATE OR REPLACE TABLE elsewhere.visible (k INT PRIMARY KEY, owner VARCHAR(20), month VARCHAR(9));
		INSERT INTO elsewhere.visible SELECT k, 'nobody', 'no month' FROM owned WHERE owner = 'ann'`)
	for _, user := range []string{"ann", "bob"} {
		server.Exec(t, fmt.Sprintf(`CREATE OR REPLACE USER %s@'127.0.0.1' IDENTIFIED BY 'secret'; GRANT SELECT ON *.* TO %[1]s@'127.0.0.1'`, user))
	}
	dsn := func(user, database, variables string) string {
		cfg, err := mysql.ParseDSN(server.DSN())
		require.NoError(t, err)
		return fmt.Sprintf("%s:secret@tcp(%s)/%s?%s", user, cfg.Addr, cmp.Or(database, cfg.DBName), variables)
	}
	for _, session := range []struct{ dsn, want string }{
		{dsn("ann", "", ""), `{"k":1,"owner":"ann","month":"May"}`},
		{dsn("bob", "", ""), `{"k":1,"owner":"bob","month":"October"}`},
		{dsn("bob", "", "lc_time_names=%27de_DE%27"), `{"k":1,"owner":"bob","month":"Oktober"}`},
		{dsn("bob", "elsewhere", ""), `{"k":1,"owner":"nobody","month":"no month"}`},
	} {
		p := joinWith(t, session.dsn, fmt.Sprintf(`
dsn: "$DSN"
cache_label: %s
dimensions: [ { name: visible, query: "SELECT k, owner, month FROM visible WHERE k IN {keys}", key: { k: this.k } } ]
`, t.Name()))
		require.Equal(t, []string{session.want}, run(t, p, `{"k":1}`), session.dsn)
	}
}

func TestInspect(t *testing.T) {
	server.Exec(t, `
		CREATE OR REPLACE TABLE ins (a INT, b VARCHAR(10), v INT, PRIMARY KEY (a, b));
		INSERT INTO ins VALUES (1,'x',10);
		CREATE OR REPLACE TABLE ins_names (dimension INT, `+"`key`"+` VARCHAR(10), v INT, PRIMARY KEY (dimension, `+"`key`"+`));
		INSERT INTO ins_names VALUES (1, 'a,b=c', 10)`)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	p := join(t, fmt.Sprintf(`
dsn: "$DSN"
inspect_address: %q
dimensions:
  - { name: ins, table: ins, key: { a: this.a, b: this.b } }
  - { name: names, table: ins_names, key: { dimension: this.a, key: this.b }, prefix: names_ }
`, address))
	ask := func(args ...string) (string, error) {
		var out bytes.Buffer
		app := &cli.App{Commands: []*cli.Command{dimensionjoin.Command()}, Writer: &out}
		err := app.RunContext(t.Context(), append([]string{"connect", "dimension", "inspect", "--address", address}, args...))
		return out.String(), err
	}
	type answer struct {
		Key   string
		Same  bool
		Cache struct {
			State, Origin, Age string
			Rows               []struct{ Row json.RawMessage }
		}
		Database struct {
			Rows []struct{ Row json.RawMessage }
		}
	}
	look := func() (a answer) {
		out, err := ask("--dimension", "ins", "--key", "a=1", "--key", "b=x")
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal([]byte(out), &a), out)
		return a
	}
	a := look()
	require.Equal(t, `"1", "x"`, a.Key)
	require.Equal(t, "absent", a.Cache.State)
	require.False(t, a.Same)
	run(t, p, `{"a":1,"b":"x"}`)
	a = look()
	require.Equal(t, "fresh", a.Cache.State)
	require.Equal(t, "read by its key", a.Cache.Origin)
	require.JSONEq(t, `{"v":10}`, string(a.Cache.Rows[0].Row))
	require.True(t, a.Same)
	server.Exec(t, `UPDATE ins SET v = 11`)
	a = look()
	require.JSONEq(t, `{"v":10}`, string(a.Cache.Rows[0].Row))
	require.JSONEq(t, `{"v":11}`, string(a.Database.Rows[0].Row))
	require.False(t, a.Same)

	out, err := ask("--dimension", "names", "--key", "dimension=1", "--key", "key=a,b=c")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal([]byte(out), &a))
	require.Equal(t, `"1", "a,b=c"`, a.Key)
	require.JSONEq(t, `{"names_v":10}`, string(a.Database.Rows[0].Row))

	for _, tc := range []struct {
		args        []string
		errContains string
	}{
		{[]string{"--dimension", "nope", "--key", "a=1"}, `there is no dimension "nope"`},
		{[]string{"--dimension", "ins", "--key", "a=1"}, `its key column "b" is needed`},
		{[]string{"--dimension", "ins", "--key", "a=z", "--key", "b=x"}, `cannot match column "a"`},
		{[]string{"--dimension", "ins", "--key", "a"}, "is not column=value"},
	} {
		_, err := ask(tc.args...)
		require.ErrorContains(t, err, tc.errContains)
	}
}
