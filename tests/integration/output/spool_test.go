package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/urfave/cli/v2"

	"github.com/benthos-clickhouse/connect/clickhouse/insert"
	"github.com/benthos-clickhouse/connect/clickhouse/spool"
	"github.com/benthos-clickhouse/connect/outputs/clickhouse"
	"github.com/benthos-clickhouse/connect/tests/proxy"
)

// command runs `connect clickhouse …`.
func command(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	app := &cli.App{Writer: &out, ErrWriter: &out, Commands: []*cli.Command{clickhouse.Command()}, ExitErrHandler: func(*cli.Context, error) {}}
	err := app.RunContext(t.Context(), append([]string{"connect", "clickhouse"}, args...))
	return out.String(), err
}

func TestSpooledBlocksAreReplayedOnce(t *testing.T) {
	db := tables(t)
	dir := t.TempDir()
	proxies, w := through(t, db, withSpool(t, dir))
	write(t, w, events(0, 100))
	proxies[1].Set(proxy.Refuse)
	proxies[1].Cut()
	result := write(t, w, events(100, 1100))
	require.Equal(t, 1000, result.Inserted+result.Spooled)
	require.Positive(t, result.Spooled)
	require.Positive(t, result.Inserted, "the shard that is there goes on")

	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "broken.chspool"), []byte("CHSPOOL1 but not really"), 0o600))

	listed, err := command(t, "spool", "list", "--path", dir)
	require.NoError(t, err)
	require.Contains(t, listed, db+".events_local")
	require.Contains(t, listed, "broken.chspool")
	requireShardTwo(t, dir, files[0])
	shown, err := command(t, "spool", "show", files[0])
	require.NoError(t, err)
	require.Contains(t, shown, "column")
	require.Contains(t, shown, "price Decimal(10, 2)")

	dsn := "clickhouse://default@" + strings.Join(servers.Addrs(), ",")
	out, err := command(t, "spool", "replay", "--path", dir, "--dsn", dsn, "--keep")
	require.ErrorContains(t, err, "1 of 2 blocks", "the broken one is reported and kept")
	require.Contains(t, out, "corrupt")
	requireAll(t, db, 1100)
	out, err = command(t, "spool", "replay", "--dsn", dsn, "--json", files[0])
	require.NoError(t, err, out)
	require.Contains(t, out, `"result":"inserted"`)
	requireAll(t, db, 1100)
	require.NoFileExists(t, files[0])
	require.FileExists(t, filepath.Join(dir, "broken.chspool"))

	_, err = command(t, "spool", "drop", filepath.Join(dir, "broken.chspool"))
	require.ErrorContains(t, err, "--yes")
	_, err = command(t, "spool", "drop", "--yes", filepath.Join(dir, "broken.chspool"))
	require.NoError(t, err)
	listed, err = command(t, "spool", "list", "--path", dir)
	require.NoError(t, err)
	require.Contains(t, listed, "empty")
}

// requireShardTwo checks that the block of the second shard is said to be of shard 2, as ClickHouse would, wherever it is shown.
func requireShardTwo(t *testing.T, dir, file string) {
	t.Helper()
	require.Contains(t, filepath.Base(file), "-shard2-")
	listed, err := command(t, "spool", "list", "--path", dir)
	require.NoError(t, err)
	require.Regexp(t, `events_local +2 `, listed)
	shown, err := command(t, "spool", "show", file)
	require.NoError(t, err)
	require.Regexp(t, `(?m)^  shard +2$`, shown)
	for _, args := range [][]string{{"list", "--json", file}, {"show", "--json", file}} {
		out, err := command(t, append([]string{"spool"}, args...)...)
		require.NoError(t, err)
		var row struct {
			Block struct {
				Shard int
				Name  string
			}
		}
		require.NoError(t, json.Unmarshal([]byte(out), &row), out)
		require.Equal(t, 2, row.Block.Shard)
		require.Contains(t, row.Block.Name, "/2/", "as in its name")
	}
}

// A spooled block is sent as it was encoded, and the server would make other values of what a column has no room for any more.
func TestASpooledBlockWaitsForColumnsThatHoldIt(t *testing.T) {
	db := tablesOf(t, "id UInt64, n Int32, at DateTime64(6, 'UTC')", "id")
	dir := t.TempDir()
	proxies, w := through(t, db, withSpool(t, dir))
	for _, p := range proxies {
		p.Set(proxy.Refuse)
		p.Cut()
	}
	require.Equal(t, 2, write(t, w, documents{
		`{"id":1,"n":70000,"at":"2026-01-02 03:04:05.123456"}`, `{"id":2,"n":-70000,"at":"2026-01-02 03:04:05.654321"}`,
	}).Spooled)
	alter := func(change string) {
		for _, table := range []string{"events_local", "events"} {
			servers.Exec(t, "ALTER TABLE "+db+"."+table+" "+change)
		}
	}
	replay := func() (string, error) {
		return command(t, "spool", "replay", "--path", dir, "--dsn", "clickhouse://default@"+strings.Join(servers.Addrs(), ","))
	}
	refused := func(reason string) {
		out, err := replay()
		require.ErrorContains(t, err, "blocks were not inserted and are kept")
		require.Contains(t, out, reason)
		require.Equal(t, "0", servers.Servers[0].Value(t, "SELECT count() FROM "+db+".events"))
	}
	alter("MODIFY COLUMN n Int16")
	refused(`column "n": its type is Int16 now, and the block was made for Int32`)
	alter("MODIFY COLUMN n Int64, MODIFY COLUMN at DateTime64(3, 'UTC')")
	refused(`column "at": its type is DateTime64(3, 'UTC') now, and the block was made for DateTime64(6, 'UTC')`)
	alter("DROP COLUMN at")
	refused(`column "at" (DateTime64(6, 'UTC')) is no longer in ` + db + `.events_local`)
	alter("ADD COLUMN at Nullable(DateTime64(7, 'UTC'))")
	_, err := replay()
	require.NoError(t, err)
	require.Equal(t, [][]string{{"1", "70000", "2026-01-02 03:04:05.1234560"}, {"2", "-70000", "2026-01-02 03:04:05.6543210"}},
		servers.Servers[0].Query(t, "SELECT id, n, at FROM "+db+".events ORDER BY id"))
}

// A block that landed and was spooled because the reply never came.
func TestASpooledBlockThatHadLandedChangesNothing(t *testing.T) {
	db := tables(t)
	dir := t.TempDir()
	proxies, w := through(t, db, withSpool(t, dir))
	write(t, w, events(0, 10))
	for _, p := range proxies {
		requests := 0
		p.OnRequest(func(int) {
			if requests++; requests == 2 {
				p.CutBeforeReply()
				p.Set(proxy.Refuse)
			}
		})
	}
	result := write(t, w, events(10, 500))
	require.Equal(t, 490, result.Spooled)
	require.Eventually(t, func() bool { rows, _ := count(t, db); return rows == "500" }, 10e9, 1e7, "both blocks had landed")
	out, err := command(t, "spool", "replay", "--path", dir, "--dsn", "clickhouse://"+servers.Addrs()[0])
	require.NoError(t, err, out)
	requireAll(t, db, 500)
	require.Contains(t, out, fmt.Sprintf("2 blocks with %d rows", 490))
}

func TestAFullSpoolFallsBackToWaiting(t *testing.T) {
	db := tables(t)
	s, err := spool.Open(t.TempDir(), 100)
	require.NoError(t, err)
	proxies, w := through(t, db, func(o *insert.Options) { o.Spool = s })
	write(t, w, events(0, 10))
	proxies[1].Set(proxy.Refuse)
	proxies[1].Cut()
	_, err = w.Write(t.Context(), events(10, 500), nil)
	require.ErrorIs(t, err, spool.ErrFull)
}
