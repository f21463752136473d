package output

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/clickhouse/insert"
)

func evolving(max int) func(*insert.Options) {
	return func(o *insert.Options) {
		o.UnknownFields = column.Report
		o.AddColumns = &insert.AddColumns{Max: max, Exclude: []*regexp.Regexp{regexp.MustCompile("^_")}}
	}
}

func small(t *testing.T) string {
	t.Helper()
	return tablesOf(t, "id UInt64", "id")
}

func TestUnknownMembersBecomeColumns(t *testing.T) {
	db := small(t)
	w := open(t, db, evolving(100))
	write(t, w, documents{
		`{"id":1,"city":"Ulm","age":7,"_internal":1}`, `{"id":2,"score":0.5,"tags":["a"],"nothing":null}`, `{"id":3,"city":null,"flag":true}`,
	})
	require.Equal(t, [][]string{
		{"age", "Nullable(Int64)"},
		{"city", "Nullable(String)"},
		{"flag", "Nullable(Bool)"},
		{"id", "UInt64"},
		{"score", "Nullable(Float64)"},
		{"tags", "Array(Nullable(String))"},
	}, servers.Servers[1].Query(t, "SELECT name, type FROM system.columns WHERE database = '"+db+"' AND table = 'events_local' ORDER BY name"))
	require.Equal(t, [][]string{{"1", "Ulm", "7", "-1"}, {"2", "", "-1", "0.5"}, {"3", "", "-1", "-1"}},
		servers.Servers[0].Query(t, "SELECT id, ifNull(city, ''), ifNull(age, -1), ifNull(score, -1) FROM "+db+".events ORDER BY id"), "the Distributed table has them too")
	requireAll(t, db, 3)
}

// The other replicas of a shard copy a change a moment later.
func TestUnknownMembersWaitForAllTables(t *testing.T) {
	db := small(t)
	w := open(t, db, evolving(100), func(o *insert.Options) { o.Retries.InitialInterval = 300 * time.Millisecond })
	servers.Servers[0].Exec(t, "ALTER TABLE "+db+".events_local ADD COLUMN late UInt8")
	written := make(chan error, 1)
	go func() {
		_, err := w.Write(t.Context(), documents{`{"id":1,"city":"Ulm"}`}, nil)
		written <- err
	}()
	added := "SELECT count() FROM system.columns WHERE database = '" + db + "' AND table = 'events' AND name = 'city'"
	require.Eventually(t, func() bool { return servers.Servers[1].Value(t, added) == "1" }, time.Minute, 20*time.Millisecond)
	time.Sleep(50 * time.Millisecond) // the writer has looked by now
	servers.Servers[1].Exec(t, "ALTER TABLE "+db+".events_local ADD COLUMN late UInt8")
	require.NoError(t, <-written)
	require.Equal(t, "Ulm", servers.Servers[0].Value(t, "SELECT city FROM "+db+".events"))
}

func TestColumnsAreAddedWithinTheirBounds(t *testing.T) {
	db := small(t)
	w := open(t, db, evolving(3))
	write(t, w, documents{`{"id":1,"a":1,"b":2,"c":3,"d":4}`})
	require.Equal(t, "3", servers.Servers[0].Value(t, "SELECT count() FROM system.columns WHERE database = '"+db+"' AND table = 'events_local'"))
	write(t, w, documents{`{"id":2,"a":1,"b":2,"c":3,"d":4}`})
	requireAll(t, db, 2)
}

// A server does not take every name; the others get their columns all the same.
func TestANameThatIsRefusedHoldsUpNoOther(t *testing.T) {
	const reserved = "_row_exists"
	db := small(t)
	w := open(t, db, func(o *insert.Options) {
		o.UnknownFields, o.AddColumns = column.Report, &insert.AddColumns{Max: 100}
	})
	tries := func() string {
		servers.Servers[0].Exec(t, "SYSTEM FLUSH LOGS")
		return servers.Servers[0].Value(t, "SELECT count() FROM system.query_log WHERE type != 'QueryStart' AND query_kind = 'Alter' AND query LIKE '%"+db+"%"+reserved+"%'")
	}
	write(t, w, documents{`{"id":1,"city":"Ulm","_row_exists":1,"age":7}`})
	write(t, w, documents{`{"id":2,"city":"Bonn","_row_exists":1,"zip":"53111"}`})
	require.Equal(t, [][]string{{"1", "Ulm", "7", ""}, {"2", "Bonn", "-1", "53111"}},
		servers.Servers[0].Query(t, "SELECT id, city, ifNull(age, -1), ifNull(zip, '') FROM "+db+".events ORDER BY id"))
	require.Equal(t, "2", tries(), "with the others, and alone, but not for the second batch")
	requireAll(t, db, 2)
}

func TestUnknownMembersAreRejected(t *testing.T) {
	db := small(t)
	w := open(t, db, func(o *insert.Options) { o.UnknownFields = column.Reject })
	result := write(t, w, documents{`{"id":1}`, `{"id":2,"extra":1}`})
	require.Equal(t, []int{1}, indexes(result.Rejected))
	require.Contains(t, result.Rejected[0].Reason, "extra")
}

func TestStrategiesReachEveryShard(t *testing.T) {
	for _, strategy := range insert.Strategies {
		t.Run(string(strategy), func(t *testing.T) {
			db := tables(t)
			w := open(t, db, func(o *insert.Options) {
				o.Strategy = strategy
				if strategy == insert.StrategyHash || strategy == insert.StrategyConsistentHash {
					o.Key = []string{"user_id", "name"}
				}
			})
			require.Equal(t, 1000, write(t, w, events(0, 1000)).Inserted)
			requireAll(t, db, 1000)
			for _, n := range servers.Servers {
				require.NotEqual(t, "0", n.Value(t, "SELECT count() FROM "+db+".events_local"))
			}
		})
	}
}

func TestALocalTableWithItsCluster(t *testing.T) {
	db := tables(t)
	cfg := settings(db, "events_local")
	cfg.Cluster = "events_cluster"
	_, err := insert.Open(t.Context(), insert.Options{Cluster: openCluster(t, cfg)})
	require.ErrorContains(t, err, "routing.strategy", "there is no sharding key to follow")
	w := openOn(t, cfg, func(o *insert.Options) { o.Strategy, o.Key = insert.StrategyHash, []string{"user_id"} })
	write(t, w, events(0, 500))
	requireAll(t, db, 500)
	// hash is what a Distributed table with this key would do.
	servers.Servers[0].Exec(t, fmt.Sprintf("CREATE TABLE %[1]s.hashed AS %[1]s.events_local ENGINE = Distributed('events_cluster', %[1]s, reference_local, cityHash64(tuple(user_id)))", db))
	servers.Servers[0].Exec(t, fmt.Sprintf("INSERT INTO %[1]s.hashed SELECT * FROM %[1]s.events SETTINGS distributed_foreground_insert = 1", db))
	require.Equal(t, ids(t, db, "reference_local"), ids(t, db, "events_local"))
}
