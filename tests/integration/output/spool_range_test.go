package output

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/insert"
	"github.com/benthos-clickhouse/connect/clickhouse/spool"
	"github.com/benthos-clickhouse/connect/delivery"
	"github.com/benthos-clickhouse/connect/tests/leases"
	"github.com/benthos-clickhouse/connect/tests/proxy"
)

func withSpool(t *testing.T, dir string) func(*insert.Options) {
	t.Helper()
	s, err := spool.Open(dir, 0)
	require.NoError(t, err)
	return func(o *insert.Options) { o.Spool = s }
}

// spooledRange writes a range while the second shard is away, so that its block is in dir and was never sent.
func spooledRange(t *testing.T, db, dir string, change ...func(*insert.Options)) *leases.Lease {
	t.Helper()
	kafka := partition()
	proxies, w := through(t, db, append(change, withSpool(t, dir))...)
	writeRange(t, w, rangeOf(5000, 5100), kafka.Lease(5000, 5100))
	proxies[1].Set(proxy.Refuse)
	proxies[1].Cut()
	l := kafka.Lease(0, 1000)
	require.Positive(t, writeRange(t, w, rangeOf(0, 1000), l).Spooled)
	return l
}

func replay(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	return command(t, append([]string{"spool", "replay", "--path", dir, "--dsn", "clickhouse://" + servers.Addrs()[0]}, args...)...)
}

// forget makes the tables forget the names of all blocks.
func forget(t *testing.T, db string) {
	t.Helper()
	servers.Exec(t, fmt.Sprintf(`
		ALTER TABLE %[1]s.events_local MODIFY SETTING non_replicated_deduplication_window = 0;
		ALTER TABLE %[1]s.events_local MODIFY SETTING non_replicated_deduplication_window = 10000`, db))
}

// The process dies after a block went to disk and before its range was committed: the next owner sends the block as well, under its name or
// under another one, and what is on disk must not double it however late it is replayed.
func TestASpooledBlockThatTheNextOwnerSentToo(t *testing.T) {
	for name, next := range map[string]struct {
		source  func() records
		forgets bool
	}{
		"under its name": {func() records { return rangeOf(0, 1000) }, false},
		"long ago":       {func() records { return rangeOf(0, 1000) }, true},
		"under other names, since a join answered otherwise": {func() records {
			r := rangeOf(0, 1000)
			for i := range r.documents {
				r.documents[i] = fmt.Sprintf(`{"id":%d,"user_id":%d}`, i, i*31)
			}
			return r
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			db, dir := tables(t), t.TempDir()
			l := spooledRange(t, db, dir, withProvenance)
			writeRange(t, open(t, db, withProvenance), next.source(), l.Recover())
			requireAll(t, db, 1100)
			if next.forgets {
				forget(t, db)
			}
			out, err := replay(t, dir)
			require.NoError(t, err, out)
			requireAll(t, db, 1100)
		})
	}
}

// A range that was committed has nobody else to send its block. Of a replay that dies before it drops the file, the next one knows.
func TestASpooledBlockIsReplayedOnceHoweverLate(t *testing.T) {
	db, dir := tables(t), t.TempDir()
	spooledRange(t, db, dir, withProvenance).Commit()
	for range 2 {
		out, err := replay(t, dir, "--keep")
		require.NoError(t, err, out)
		requireAll(t, db, 1100)
		forget(t, db)
	}
	listed, err := command(t, "spool", "list", "--path", dir, "--json")
	require.NoError(t, err)
	require.Contains(t, listed, `"sent":true`)
	require.Contains(t, listed, `"committed":true`)
}

// A server that was killed may remember a block that it has not, or not all of.
func TestASpooledBlockWhoseNameIsKnownWithoutItsRows(t *testing.T) {
	for name, lost := range map[string]string{"none of it": "true", "a partition of it": "id % 4 = 1"} {
		t.Run(name, func(t *testing.T) {
			db, dir := tables(t), t.TempDir()
			spooledRange(t, db, dir, withProvenance).Commit()
			out, err := replay(t, dir, "--keep")
			require.NoError(t, err, out)
			sum := "SELECT sum(cityHash64(*)) FROM " + db + ".events_local"
			want := servers.Servers[1].Value(t, sum)
			servers.Servers[1].Exec(t, "DELETE FROM "+db+".events_local WHERE offset < 1000 AND "+lost)
			out, err = replay(t, dir)
			require.NoError(t, err, out)
			requireAll(t, db, 1100)
			require.Equal(t, want, servers.Servers[1].Value(t, sum), "every value as it was")
		})
	}
}

// Without the columns to look for rows, a block that somebody else may have sent is refused once its name may be forgotten.
func TestASpooledBlockThatCannotBeLookedFor(t *testing.T) {
	db, dir := tables(t), t.TempDir()
	l := spooledRange(t, db, dir)
	servers.Exec(t, "ALTER TABLE "+db+".events_local MODIFY SETTING non_replicated_deduplication_window = 0")
	out, err := replay(t, dir)
	require.ErrorContains(t, err, "1 of 1 blocks")
	require.Contains(t, out, "may be in the table already")
	l.Commit()
	out, err = replay(t, dir, "--keep")
	require.NoError(t, err, "nobody else can have sent it: %s", out)
	requireAll(t, db, 1100)
	out, err = replay(t, dir)
	require.ErrorContains(t, err, "1 of 1 blocks")
	require.Contains(t, out, "may be in the table already")
	requireAll(t, db, 1100)
}

// Two people replay the same blocks: what one of them inserts the other finds, or finds gone.
func TestTwoReplaysAtOnce(t *testing.T) {
	for name, lost := range map[string]string{"nothing is in": "true", "a part is in": "id % 4 = 1"} {
		t.Run(name, func(t *testing.T) {
			db, dir := tables(t), t.TempDir()
			spooledRange(t, db, dir, withProvenance).Commit()
			out, err := replay(t, dir, "--keep")
			require.NoError(t, err, out)
			servers.Servers[1].Exec(t, "DELETE FROM "+db+".events_local WHERE offset < 1000 AND "+lost)
			files, err := filepath.Glob(filepath.Join(dir, "*.chspool"))
			require.NoError(t, err)
			require.Len(t, files, 1)
			var wg sync.WaitGroup
			for range 4 {
				cfg := settings(db, "events_local")
				cfg.Cluster = "events_cluster"
				c := openCluster(t, cfg)
				wg.Go(func() {
					_, err := insert.Replay(t.Context(), c, files[0], false)
					if err == nil {
						err = spool.Drop(files[0])
					}
					if err != nil {
						assert.ErrorIs(t, err, fs.ErrNotExist)
					}
				})
			}
			wg.Wait()
			requireAll(t, db, 1100)
			require.NoFileExists(t, files[0])
		})
	}
}

// Where nothing copies between replicas each of them has a file of its own.
func TestABlockIsSpooledForEachReplica(t *testing.T) {
	db, dir := tables(t), t.TempDir()
	cfg := settings(db, "events_local")
	cfg.Cluster = "write_all"
	proxies, addresses := proxied(t)
	cfg.AddressMap = addresses
	w := openOn(t, cfg, withProvenance, withSpool(t, dir))
	kafka := partition()
	writeRange(t, w, rangeOf(0, 100), kafka.Lease(0, 100))
	for _, p := range proxies {
		p.Set(proxy.Refuse)
		p.Cut()
	}
	writeRange(t, w, rangeOf(100, 200), kafka.Lease(100, 200))
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Len(t, files, 2)
	out, err := replay(t, dir)
	require.NoError(t, err, out)
	first, second := onEach(t, db)
	require.Equal(t, "200", first)
	require.Equal(t, "200", second)
}

// Rows are looked for on each replica, where each gets them for itself: what one has the other may lack.
func TestALookUpIsOneOfEachReplica(t *testing.T) {
	for name, lost := range map[string]string{"a row here and there": "id % 3 = 0", "all": "true"} {
		t.Run(name, func(t *testing.T) {
			_, db, w := replicated(t, "write_all")
			l := partition().Lease(0, 100)
			writeRange(t, w, rangeOf(0, 100), l)
			l.Kafka.Change(func(p *delivery.Prepared) { p.Digest++ }) // as if the range were routed otherwise now
			servers.Servers[1].Exec(t, "DELETE FROM "+db+".events_local WHERE "+lost)
			writeRange(t, w, rangeOf(0, 100), l.Recover())
			for _, n := range servers.Servers {
				require.Equal(t, [][]string{{"100", "100"}}, n.Query(t, "SELECT count(), uniqExact(id) FROM "+db+".events_local"))
			}
		})
	}
}
