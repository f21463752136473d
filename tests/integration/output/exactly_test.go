package output

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/clickhouse/insert"
	"github.com/benthos-clickhouse/connect/delivery"
	"github.com/benthos-clickhouse/connect/tests/leases"
	"github.com/benthos-clickhouse/connect/tests/proxy"
)

func writeRange(t *testing.T, w *insert.Writer, source insert.Source, l *leases.Lease) insert.Result {
	t.Helper()
	result, err := w.Write(t.Context(), source, l)
	require.NoError(t, err)
	return result
}

func TestARangeIsThereOnceHoweverOftenItIsWritten(t *testing.T) {
	db := tables(t)
	w := open(t, db)
	kafka := partition()
	l := kafka.Lease(0, 1000)
	writeRange(t, w, rangeOf(0, 1000), l)
	for range 3 {
		l = l.Recover()
		writeRange(t, open(t, db), rangeOf(0, 1000), l)
	}
	// The same range of another topic of the same name is another range.
	other := partition()
	other.TopicID = [16]byte{2}
	requireAll(t, db, 1000)
	writeRange(t, w, rangeOf(0, 1000), other.Lease(0, 1000))
	rows, _ := count(t, db)
	require.Equal(t, "2000", rows)
}

func TestALeaseIsWrittenOnce(t *testing.T) {
	db := tables(t)
	w := open(t, db)
	l := partition().Lease(0, 100)
	writeRange(t, w, rangeOf(0, 100), l)
	_, err := w.Write(t.Context(), rangeOf(0, 50), l)
	require.ErrorIs(t, err, delivery.ErrAlreadyWritten)
	requireAll(t, db, 100)
}

func TestAnOwnerThatLostItsRangeSendsNothing(t *testing.T) {
	db := tables(t)
	w := open(t, db)
	l := partition().Lease(0, 100)
	l.Lose()
	_, err := w.Write(t.Context(), rangeOf(0, 100), l)
	require.ErrorIs(t, err, delivery.ErrLost)
	requireAll(t, db, 0)
}

func TestExactlyOnceWithoutALeaseIsRefused(t *testing.T) {
	db := tables(t)
	w := open(t, db, func(o *insert.Options) { o.Delivery = insert.DeliveryExactlyOnce })
	_, err := w.Write(t.Context(), events(0, 10), nil)
	require.ErrorIs(t, err, insert.ErrNoLease)
	requireAll(t, db, 0)
}

func TestTablesThatDoNotDeduplicateAreRefused(t *testing.T) {
	db := tables(t)
	servers.Exec(t, "ALTER TABLE "+db+".events_local MODIFY SETTING non_replicated_deduplication_window = 0")
	c := openCluster(t, settings(db, "events"))
	_, err := insert.Open(t.Context(), insert.Options{Cluster: c, Delivery: insert.DeliveryExactlyOnce})
	require.ErrorContains(t, err, "ALTER TABLE `"+db+"`.`events_local` MODIFY SETTING non_replicated_deduplication_window")
	w := open(t, db)
	_, err = w.Write(t.Context(), rangeOf(0, 10), partition().Lease(0, 10))
	require.ErrorContains(t, err, "MODIFY SETTING", "under auto the first range asks")
	requireAll(t, db, 0)
}

func TestAnInterruptedRangeIsCompleted(t *testing.T) {
	for _, traced := range []bool{false, true} {
		t.Run(fmt.Sprintf("traced %v", traced), func(t *testing.T) {
			db := tables(t)
			change := func(o *insert.Options) {
				if traced {
					o.Columns = provenance
				}
			}
			proxies, w := through(t, db, change)
			kafka := partition()
			writeRange(t, w, rangeOf(5000, 5100), kafka.Lease(5000, 5100))
			l := kafka.Lease(0, 1000)
			proxies[1].Set(proxy.Refuse)
			proxies[1].Cut()
			_, err := w.Write(t.Context(), rangeOf(0, 1000), l)
			var unavailable *insert.UnavailableError
			require.ErrorAs(t, err, &unavailable)
			rows, _ := count(t, db)
			require.NotEqual(t, "100", rows, "the other shard has its rows")

			writeRange(t, open(t, db, change), rangeOf(0, 1000), l.Recover())
			requireAll(t, db, 1100)
		})
	}
}

func TestARangeWhoseCutChangedIsLookedUp(t *testing.T) {
	db := tables(t)
	change := func(o *insert.Options) { o.Columns = provenance }
	kafka := partition()
	l := kafka.Lease(0, 1000)
	writeRange(t, open(t, db, change), rangeOf(0, 1000), l)

	// A join that answered otherwise moves rows to other shards; the last 10 rows are new to the table.
	changed := rangeOf(0, 1000)
	for i := range changed.documents {
		changed.documents[i] = fmt.Sprintf(`{"id":%d,"user_id":%d}`, i, i*31)
	}
	servers.Exec(t, "DELETE FROM "+db+".events_local WHERE id >= 990")
	result := writeRange(t, open(t, db, change), changed, l.Recover())
	require.Equal(t, 1000, result.Inserted)
	requireAll(t, db, 1000)
}

func TestARangeWhoseCutChangedStopsWithoutProvenance(t *testing.T) {
	db := tables(t)
	kafka := partition()
	l := kafka.Lease(0, 10)
	writeRange(t, open(t, db), rangeOf(0, 10), l)
	changed := rangeOf(0, 10)
	for i := range changed.documents {
		changed.documents[i] = fmt.Sprintf(`{"id":%d,"user_id":%d}`, i, i*31+5)
	}
	_, err := open(t, db).Write(t.Context(), changed, l.Recover())
	require.ErrorIs(t, err, insert.ErrCutChanged)
	var permanent *insert.PermanentError
	require.ErrorAs(t, err, &permanent)
	require.ErrorContains(t, err, "@kafka_offset")
	requireAll(t, db, 10)
}

func TestRowsAtFaultAreFoundBesideTheTable(t *testing.T) {
	db := tables(t)
	kafka := partition()
	l := kafka.Lease(0, 500)
	source := rangeOf(0, 500)
	source.documents[7] = `{"id":7,"user_id":7,"price":-1}`
	source.documents[8] = `{`
	result := writeRange(t, open(t, db), source, l)
	require.Equal(t, []int{7, 8}, indexes(result.Rejected))
	result = writeRange(t, open(t, db), source, l.Recover())
	require.Equal(t, []int{7, 8}, indexes(result.Rejected), "dead letters may repeat")
	requireAll(t, db, 498)
}

func TestARangeThatIsTooLargeIsRefused(t *testing.T) {
	db := tables(t)
	w := open(t, db, func(o *insert.Options) { o.MaxBlockRows = 100 })
	_, err := w.Write(t.Context(), rangeOf(0, 1000), partition().Lease(0, 1000))
	require.ErrorIs(t, err, insert.ErrTooLarge)
	requireAll(t, db, 0)
}

// The server must not cut or merge what was named.
func TestABlockArrivesAsOne(t *testing.T) {
	db := database(t)
	servers.Exec(t, fmt.Sprintf(`CREATE TABLE %[1]s.events_local (id UInt32) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100;
		CREATE TABLE %[1]s.events AS %[1]s.events_local ENGINE = Distributed('replicas', %[1]s, events_local);
		SYSTEM STOP MERGES %[1]s.events_local`, db))
	const rows = 1200000 // more than max_insert_block_size is by default
	docs := make(documents, rows)
	for i := range docs {
		docs[i] = fmt.Sprintf(`{"id":%d}`, i)
	}
	cfg := settings(db, "events")
	cfg.Replicas = cluster.PolicyInOrder
	w := openOn(t, cfg, func(o *insert.Options) { o.MaxBlockRows = 2 * rows })
	writeRange(t, w, records{docs, 0}, partition().Lease(0, rows))
	require.Equal(t, fmt.Sprint(rows), servers.Servers[0].Value(t, "SELECT count() FROM "+db+".events_local"))
	require.Equal(t, "1", servers.Servers[0].Value(t, "SELECT count() FROM system.parts WHERE database = '"+db+"'"))
}

// A server that is killed may have the name of a block and not its rows, or both: the rows are looked for.
func TestARestartUnderARange(t *testing.T) {
	db := tables(t)
	proxies, w := through(t, db, withProvenance, func(o *insert.Options) { o.Retries.MaxAttempts = 200 })
	kafka := partition()
	writeRange(t, w, rangeOf(0, 100), kafka.Lease(0, 100))
	var once sync.Once
	lost := make(chan struct{})
	requests := 0
	proxies[1].OnRequest(func(int) {
		if requests++; requests == 2 { // the columns are answered for, and then the block
			proxies[1].CutBeforeReply()
			proxies[1].Set(proxy.Refuse)
			once.Do(func() { close(lost) })
		}
	})
	done := make(chan error, 1)
	go func() {
		_, err := w.Write(context.WithoutCancel(t.Context()), rangeOf(100, 1100), kafka.Lease(100, 1100))
		done <- err
	}()
	select {
	case <-lost:
	case err := <-done:
		require.Fail(t, "no reply was lost", "%v", err)
	}
	require.NoError(t, servers.Nodes[1][0].Kill())
	require.NoError(t, servers.Nodes[1][0].Start(context.Background()))
	proxies[1].Set(proxy.Pass)
	require.NoError(t, <-done)
	requireAll(t, db, 1100)
}
