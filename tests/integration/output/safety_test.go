package output

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/insert"
	"github.com/benthos-clickhouse/connect/internal/safety"
	"github.com/benthos-clickhouse/connect/tests/leases"
	"github.com/benthos-clickhouse/connect/tests/proxy"
)

// TestEachSafeguardIsNeeded runs what each safeguard is for: with it every row is there once, without it rows are lost or doubled.
func TestEachSafeguardIsNeeded(t *testing.T) {
	for _, s := range []struct {
		name     string
		rule     safety.Rule
		scenario func(t *testing.T) landed
		want     int
	}{
		{"block names", safety.BlockNames, crashAfterTheInsert, 1000},
		{"intents", safety.Intents, resizedAfterACrash, 1000},
		{"pinned layout", safety.PinnedLayout, anotherReplicaAfterACrash, 100},
		{"same replica", safety.SameReplica, lostReply, 200},
		{"digest", safety.Digest, anotherJoinAfterACrash, 1000},
		{"alive", safety.Alive, frozenOwner, 100},
	} {
		t.Run(s.name, func(t *testing.T) {
			once := landed{rows: s.want, distinct: s.want}
			t.Run("on", func(t *testing.T) { require.Equal(t, once, s.scenario(t)) })
			t.Run("off", func(t *testing.T) {
				restore := safety.TurnOff(s.rule)
				defer restore()
				require.NotEqual(t, once, s.scenario(t), "the safeguard makes no difference here")
			})
		})
	}
}

// landed is what is in events_local on both servers, whatever the cluster looks like.
type landed struct{ rows, distinct int }

func landedIn(t *testing.T, db string) landed {
	t.Helper()
	var l landed
	seen := map[string]bool{}
	for _, n := range servers.Servers {
		for _, row := range n.Query(t, "SELECT id FROM "+db+".events_local") {
			l.rows++
			seen[row[0]] = true
		}
	}
	l.distinct = len(seen)
	return l
}

// half writes a range of which only the first shard gets its block before the process dies.
func half(t *testing.T, db string, l *leases.Lease) {
	t.Helper()
	proxies, w := through(t, db, withProvenance)
	writeRange(t, w, rangeOf(5000, 5010), l.Kafka.Lease(5000, 5010)) // the checks of the first range want both shards
	proxies[1].Set(proxy.Refuse)
	proxies[1].Cut()
	_, err := w.Write(t.Context(), rangeOf(int(l.Range().From), int(l.Range().To)), l)
	require.Error(t, err)
	servers.Exec(t, "DELETE FROM "+db+".events_local WHERE id >= 5000")
}

func withProvenance(o *insert.Options) { o.Columns = provenance }

// A process inserts a range and dies before the commit; the next owner inserts it again.
func crashAfterTheInsert(t *testing.T) landed {
	t.Helper()
	db := tables(t)
	l := partition().Lease(0, 1000)
	writeRange(t, open(t, db), rangeOf(0, 1000), l)
	writeRange(t, open(t, db), rangeOf(0, 1000), l.Recover())
	return landedIn(t, db)
}

// Between crash and recovery the weights of the cluster change, so that rows belong to other shards.
func resizedAfterACrash(t *testing.T) landed {
	t.Helper()
	db := tables(t)
	l := partition().Lease(0, 1000)
	half(t, db, l)
	servers.Exec(t, fmt.Sprintf("DROP TABLE %[1]s.events SYNC; CREATE TABLE %[1]s.events AS %[1]s.events_local ENGINE = Distributed('evenly', %[1]s, events_local, cityHash64(user_id))", db))
	writeRange(t, open(t, db, withProvenance), rangeOf(0, 1000), l.Recover())
	return landedIn(t, db)
}

// The replica that has the block is away when the range is written again.
func anotherReplicaAfterACrash(t *testing.T) landed {
	t.Helper()
	proxies, db, w := replicated(t, "replicas")
	l := partition().Lease(0, 100)
	writeRange(t, w, rangeOf(0, 100), l)
	proxies[0].Set(proxy.Refuse)
	proxies[0].Cut()
	for range 2 { // the first attempt is what finds out that it is away
		_, _ = w.Write(t.Context(), rangeOf(0, 100), l.Recover())
	}
	return landedIn(t, db)
}

// The reply of a block that landed is lost, and another replica is there to take it.
func lostReply(t *testing.T) landed {
	t.Helper()
	proxies, db, w := replicated(t, "replicas")
	write(t, w, events(0, 100))
	requests := 0
	proxies[0].OnRequest(func(int) {
		if requests++; requests == 2 {
			proxies[0].CutBeforeReply()
		}
	})
	write(t, w, events(100, 200))
	return landedIn(t, db)
}

// The join that the sharding key comes from answers otherwise after the crash.
func anotherJoinAfterACrash(t *testing.T) landed {
	t.Helper()
	db := tables(t)
	l := partition().Lease(0, 1000)
	half(t, db, l)
	changed := rangeOf(0, 1000)
	for i := range changed.documents {
		changed.documents[i] = fmt.Sprintf(`{"id":%d,"user_id":%d}`, i, i*31)
	}
	writeRange(t, open(t, db, withProvenance), changed, l.Recover())
	return landedIn(t, db)
}

// An owner that was frozen wakes up after another one has written the range with a table that has forgotten its name meanwhile.
func frozenOwner(t *testing.T) landed {
	t.Helper()
	db := tables(t)
	frozen := open(t, db)
	kafka := partition()
	l := kafka.Lease(0, 100)
	writeRange(t, open(t, db), rangeOf(0, 100), l.Recover())
	servers.Exec(t, "ALTER TABLE "+db+".events_local MODIFY SETTING non_replicated_deduplication_window = 1")
	for i := range 3 {
		write(t, frozen, events(1000+10*i, 1010+10*i))
	}
	servers.Exec(t, "DELETE FROM "+db+".events_local WHERE id >= 1000")
	l.Lose()
	_, _ = frozen.Write(t.Context(), rangeOf(0, 100), l)
	return landedIn(t, db)
}
