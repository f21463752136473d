package output

import (
	"context"
	"fmt"
	"testing"
	"time"

	ch "github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/clickhouse/insert"
	"github.com/benthos-clickhouse/connect/tests/leases"
	"github.com/benthos-clickhouse/connect/tests/proxy"
)

// replicated is a cluster of one shard with two replicas that do not copy from each other: the union of both must hold every row once.
func replicated(t *testing.T, name string) (proxies []*proxy.Proxy, db string, w *insert.Writer) {
	t.Helper()
	db = tables(t)
	cfg := settings(db, "events_local")
	cfg.Cluster = name
	cfg.Replicas = cluster.PolicyInOrder
	proxies, cfg.AddressMap = proxied(t)
	return proxies, db, openOn(t, cfg, func(o *insert.Options) { o.Columns = provenance })
}

func onEach(t *testing.T, db string) (first, second string) {
	t.Helper()
	const q = "SELECT count() FROM %s.events_local"
	return servers.Servers[0].Value(t, fmt.Sprintf(q, db)), servers.Servers[1].Value(t, fmt.Sprintf(q, db))
}

func TestAReplicaThatIsAwayIsPassedOver(t *testing.T) {
	proxies, db, w := replicated(t, "replicas")
	write(t, w, events(0, 100))
	proxies[0].Set(proxy.Refuse)
	proxies[0].Cut()
	write(t, w, events(100, 200))
	first, second := onEach(t, db)
	require.Equal(t, "100", first)
	require.Equal(t, "100", second)
}

// The block may be on the replica whose answer was lost, and only that one would recognise it.
func TestABlockThatMayHaveLandedGoesToTheSameReplica(t *testing.T) {
	for name, lease := range map[string]*leases.Lease{"at least once": nil, "exactly once": partition().Lease(100, 200)} {
		t.Run(name, func(t *testing.T) {
			proxies, db, w := replicated(t, "replicas")
			if lease == nil {
				write(t, w, events(0, 100))
			} else {
				writeRange(t, w, rangeOf(0, 100), partition().Lease(0, 100))
			}
			requests := 0
			proxies[0].OnRequest(func(int) {
				if requests++; requests == 2 {
					proxies[0].CutBeforeReply()
				}
			})
			if lease == nil {
				write(t, w, events(100, 200))
			} else {
				writeRange(t, w, rangeOf(100, 200), lease)
			}
			require.GreaterOrEqual(t, requests, 2, "no reply was lost")
			first, second := onEach(t, db)
			require.Equal(t, "200", first)
			require.Equal(t, "0", second)
		})
	}
}

// Another replica does not know the name of a range's block, so that the one chosen first is the one for ever.
func TestARangeStaysWithItsReplica(t *testing.T) {
	proxies, db, w := replicated(t, "replicas")
	kafka := partition()
	writeRange(t, w, rangeOf(0, 10), kafka.Lease(0, 10))
	l := kafka.Lease(10, 100)
	requests := 0
	proxies[0].OnRequest(func(int) {
		if requests++; requests == 2 {
			proxies[0].CutBeforeReply()
			proxies[0].Set(proxy.Refuse)
		}
	})
	_, err := w.Write(t.Context(), rangeOf(10, 100), l)
	var unavailable *insert.UnavailableError
	require.ErrorAs(t, err, &unavailable, "it must not go to the other replica")
	proxies[0].Set(proxy.Pass)
	require.Eventually(t, func() bool { return w.Ready(t.Context()) == nil }, 30e9, 1e7)
	require.Eventually(t, func() bool {
		_, err := w.Write(t.Context(), rangeOf(10, 100), l.Recover())
		return err == nil
	}, 30e9, 1e8)
	first, second := onEach(t, db)
	require.Equal(t, "100", first)
	require.Equal(t, "0", second)
}

func TestEveryReplicaIsWrittenWhereNothingElseCopies(t *testing.T) {
	proxies, db, w := replicated(t, "write_all")
	docs := events(0, 100)
	docs[3] = `{"id":3,"user_id":3,"price":-1}`
	result := write(t, w, docs)
	require.Equal(t, 99, result.Inserted)
	require.Equal(t, []int{3}, indexes(result.Rejected))
	first, second := onEach(t, db)
	require.Equal(t, "99", first)
	require.Equal(t, "99", second)

	proxies[1].Set(proxy.Refuse)
	proxies[1].Cut()
	_, err := w.Write(t.Context(), rangeOf(100, 200), nil)
	var unavailable *insert.UnavailableError
	require.ErrorAs(t, err, &unavailable, "a replica lacks the rows")

	proxies[1].Set(proxy.Pass)
	require.Eventually(t, func() bool {
		_, err := w.Write(t.Context(), rangeOf(100, 200), nil)
		return err == nil
	}, 30*time.Second, 100*time.Millisecond)
	first, second = onEach(t, db)
	require.Equal(t, "199", first, "the replica that had the rows did not get them again")
	require.Equal(t, "199", second)
}

// The names are those of the server's own table of errors.
func TestErrorCodesAreTheServers(t *testing.T) {
	node := servers.Servers[0]
	for code, name := range map[proto.Error]string{
		proto.ErrTooManyParts: "TOO_MANY_PARTS", proto.ErrMemoryLimitExceeded: "MEMORY_LIMIT_EXCEEDED", proto.ErrViolatedConstraint: "VIOLATED_CONSTRAINT",
		proto.ErrNoSuchColumnInTable: "NO_SUCH_COLUMN_IN_TABLE", proto.ErrTableIsReadOnly: "TABLE_IS_READ_ONLY", proto.ErrUnknownStatusOfInsert: "UNKNOWN_STATUS_OF_INSERT",
		proto.ErrTooManyMutations: "TOO_MANY_MUTATIONS", proto.ErrUnknownElementOfEnum: "UNKNOWN_ELEMENT_OF_ENUM", proto.ErrServerOverloaded: "SERVER_OVERLOADED",
	} {
		require.Equal(t, name, node.Value(t, fmt.Sprintf("SELECT errorCodeToName(%d)", int(code))))
	}
}

// What a server really says, and what is done about it.
func TestErrorsOfARealServer(t *testing.T) {
	db := tables(t)
	w := open(t, db, func(o *insert.Options) {
		o.Settings = map[string]string{"max_memory_usage": "4000000"}
	})
	result := write(t, w, events(0, 20000))
	require.Equal(t, 20000, result.Inserted, "a block that needs too much memory is halved")
	requireAll(t, db, 20000)

	_, err := insert.Open(t.Context(), insert.Options{Cluster: openCluster(t, settings(db, "events")), Settings: map[string]string{"no_such_setting": "1"}, Retries: impatient})
	require.NoError(t, err, "a setting is tried by the first insert")
	w = open(t, db, func(o *insert.Options) { o.Settings = map[string]string{"no_such_setting": "1"} })
	_, err = w.Write(t.Context(), events(0, 10), nil)
	var permanent *insert.PermanentError
	require.ErrorAs(t, err, &permanent)
	require.ErrorContains(t, err, "no_such_setting")
	require.True(t, ch.IsErr(err, proto.ErrUnknownSetting))
}

func TestTooManyPartsSlowsTheShardDown(t *testing.T) {
	db := database(t)
	servers.Exec(t, fmt.Sprintf(`CREATE TABLE %[1]s.events_local (id UInt64) ENGINE = MergeTree ORDER BY id
			SETTINGS parts_to_throw_insert = 5, parts_to_delay_insert = 1000, max_delay_to_insert = 1;
		CREATE TABLE %[1]s.events AS %[1]s.events_local ENGINE = Distributed('events_cluster', %[1]s, events_local, id);
		SYSTEM STOP MERGES %[1]s.events_local`, db))
	w := open(t, db, func(o *insert.Options) { o.Retries.MaxAttempts = 100 })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	finished := make(chan error, 1)
	go func() {
		for i := range 12 {
			if _, err := w.Write(ctx, documents{fmt.Sprintf(`{"id":%d}`, 2*i), fmt.Sprintf(`{"id":%d}`, 2*i+1)}, nil); err != nil {
				finished <- err
				return
			}
		}
		finished <- nil
	}()
	require.Eventually(t, func() bool {
		return servers.Servers[1].Value(t, "SELECT count() FROM system.parts WHERE active AND database = '"+db+"'") == "5"
	}, 20e9, 1e7)
	require.Never(t, func() bool { return len(finished) > 0 }, 5e8, 1e8, "it must wait, not give up")
	servers.Exec(t, "SYSTEM START MERGES "+db+".events_local; OPTIMIZE TABLE "+db+".events_local FINAL")
	require.NoError(t, <-finished)
	_, distinct := count(t, db)
	require.Equal(t, "24", distinct)
}
