package cluster

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/clickhouse/insert"
)

// zoned makes tables on two servers in different time zones, with a Distributed table on each.
func zoned(t *testing.T, typ, key string) (db string) {
	t.Helper()
	db = database(t)
	servers.Exec(t, fmt.Sprintf(`
		CREATE TABLE %[1]s.l (id UInt64, at %[2]s) ENGINE = MergeTree ORDER BY id;
		CREATE TABLE %[1]s.d AS %[1]s.l ENGINE = Distributed('two_zones', %[1]s, l, %[3]s)`, db, typ, key))
	return db
}

// prepare opens a writer for the Distributed table, and returns what is told and what it is refused for.
func prepare(t *testing.T, cfg cluster.Config) (log string, err error) {
	t.Helper()
	var said bytes.Buffer
	opts := insert.Options{Cluster: open(t, cfg), Logger: slog.New(slog.NewTextHandler(&said, nil))}
	w, err := insert.Open(t.Context(), opts)
	if err == nil {
		w.Close()
	}
	return said.String(), err
}

func TestServersInDifferentTimeZones(t *testing.T) {
	utc, tokyo := servers.Servers[0], servers.Servers[4]
	hosts := fmt.Sprintf("Etc/UTC on %s, Asia/Tokyo on %s", utc.Addr(), tokyo.Addr())
	t.Run("a key that depends on them", func(t *testing.T) {
		db := zoned(t, "DateTime", "toYYYYMM(at)")
		for id, n := range []interface{ Exec(testing.TB, string) }{utc, tokyo} { // the evening of January 31, in Tokyo the morning of February 1
			n.Exec(t, fmt.Sprintf("INSERT INTO %s.d SELECT %d, toDateTime(1769889600) SETTINGS distributed_foreground_insert = 1", db, id))
		}
		const where = "SELECT id FROM %s.l ORDER BY id"
		require.Equal(t, "0", tokyo.Value(t, fmt.Sprintf(where, db)), "a row goes where the server that takes it says")
		require.Equal(t, "1", utc.Value(t, fmt.Sprintf(where, db)))

		_, err := prepare(t, config(db, "d"))
		require.ErrorContains(t, err, hosts)
		require.ErrorContains(t, err, `sharding key "toYYYYMM(at)" depends on the server's time zone`)
		var permanent *insert.PermanentError
		require.ErrorAs(t, err, &permanent)
	})
	t.Run("columns that depend on them", func(t *testing.T) {
		log, err := prepare(t, config(zoned(t, "DateTime", "cityHash64(id, at)"), "d"))
		require.NoError(t, err)
		require.Contains(t, log, hosts)
		require.Contains(t, log, "columns=at")
	})
	t.Run("nothing that depends on them", func(t *testing.T) {
		log, err := prepare(t, config(zoned(t, "DateTime('UTC')", "toYYYYMM(at)"), "d"))
		require.NoError(t, err)
		require.NotContains(t, log, "time zone")
	})
	t.Run("two names of one zone", func(t *testing.T) {
		db := tables(t)
		require.Equal(t, "UTC", servers.Servers[1].Value(t, "SELECT timezone()"))
		l := open(t, config(db, "events")).Layout()
		require.Empty(t, l.Table.Zones)
		require.Equal(t, "Etc/UTC", l.Table.Timezone)
	})
	t.Run("the server that is asked is in another one", func(t *testing.T) {
		db := tables(t)
		cfg := config(db, "events")
		cfg.Addresses = []string{tokyo.Addr()}
		require.Len(t, open(t, cfg).Layout().Table.Zones, 2, "it evaluates the key of what is inserted into its Distributed table")
	})
}

// A host that was down is asked when it is back; one that goes down is still known to be in its zone.
func TestATimeZoneIsLearnedLate(t *testing.T) {
	db := zoned(t, "DateTime", "id")
	kill(t, servers.Servers[4])
	cfg := config(db, "d")
	cfg.Addresses = cfg.Addresses[:1]
	c := open(t, cfg)
	require.Empty(t, c.Layout().Table.Zones)
	require.NoError(t, servers.Servers[4].Start(t.Context()))
	require.Eventually(t, func() bool {
		_, err := c.Refresh(t.Context())
		return err == nil && len(c.Layout().Table.Zones) == 2
	}, 20*time.Second, 50*time.Millisecond)
	before := c.Layout()
	require.Equal(t, "Etc/UTC", before.Table.Timezone)
	kill(t, servers.Servers[4])
	changed, err := c.Refresh(t.Context())
	require.NoError(t, err)
	require.False(t, changed)
	require.Same(t, before, c.Layout())
}
