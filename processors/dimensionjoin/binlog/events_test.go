package binlog

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
	"github.com/stretchr/testify/require"
)

// heard is a Handler that notes what it is told.
type heard []string

func (h *heard) Row(t Table, r Row)     { *h = append(*h, fmt.Sprint("row of ", t.Name, r.Values)) }
func (h *heard) Changed(t Table)        { *h = append(*h, t.Name+" changed") }
func (h *heard) Missed(reason string)   { *h = append(*h, "missed: "+reason) }
func (h *heard) Lag(d time.Duration)    {}
func (h *heard) since() (news []string) { news, *h = *h, nil; return news }

func newFollower(h *heard) *Follower {
	f := New(Config{}, nil, h)
	f.tables = map[Table][]Table{{"shop", "product"}: {{"shop", "product"}}, {"shop", "brand"}: {{"shop", "brand"}}}
	f.cascades = map[Table][]Table{{"shop", "owner"}: {{"shop", "brand"}}}
	f.position.place = place{"binlog.000001", 4}
	return f
}

func rowsOf(table string, values ...any) *replication.RowsEvent {
	e := &replication.RowsEvent{Table: &replication.TableMapEvent{Schema: []byte("shop"), Table: []byte(table)}}
	if values != nil {
		e.Rows = [][]any{values}
	}
	return e
}

func query(text string) *replication.QueryEvent { return &replication.QueryEvent{Query: []byte(text)} }

// An image that leaves out what has not changed has it from the one before the change.
func TestCompleteImages(t *testing.T) {
	after := Row{Values: []any{nil, nil, "new", nil}, Skipped: []int{0, 1, 3}}
	require.Equal(t, []int{3}, complete(after, []any{1, nil, "old", nil}, []int{3}))
	require.Equal(t, []any{1, nil, "new", nil}, after.Values, "a NULL is a value too")
}

// What each event says, and where a transaction ends: offsets count up by 100, and only an end moves the position.
func TestEvents(t *testing.T) {
	generic := func(data ...byte) *replication.GenericEvent { return &replication.GenericEvent{Data: data} }
	for name, tc := range map[string]struct {
		events []replication.Event
		kind   replication.EventType // of generic events
		want   []string
		offset uint64
	}{
		"rows":             {[]replication.Event{query("BEGIN"), rowsOf("product", 1), rowsOf("other", 2), &replication.XIDEvent{}}, 0, []string{"row of product[1]"}, 400},
		"without an end":   {[]replication.Event{query("BEGIN"), rowsOf("product", 1), query("INSERT INTO x")}, 0, []string{"row of product[1]"}, 4},
		"no transactions":  {[]replication.Event{query("BEGIN"), rowsOf("product", 1), query("COMMIT")}, 0, []string{"row of product[1]"}, 300},
		"unreadable rows":  {[]replication.Event{query("BEGIN"), rowsOf("product"), &replication.XIDEvent{}}, 0, []string{"product changed"}, 300},
		"definition":       {[]replication.Event{query("ALTER TABLE `Product` ADD c INT")}, 0, []string{"product changed"}, 100},
		"database dropped": {[]replication.Event{query("DROP DATABASE shop")}, 0, []string{"brand changed", "product changed"}, 100},
		"compressed": {[]replication.Event{&replication.TransactionPayloadEvent{Events: []*replication.BinlogEvent{
			{Header: &replication.EventHeader{LogPos: 9}, Event: query("BEGIN")},
			{Header: &replication.EventHeader{LogPos: 9}, Event: rowsOf("brand", 1)},
			{Header: &replication.EventHeader{LogPos: 9}, Event: &replication.XIDEvent{}},
		}}}, 0, []string{"row of brand[1]"}, 100},
		"load data":   {[]replication.Event{query("BEGIN"), &replication.ExecuteLoadQueryEvent{}, &replication.XIDEvent{}}, 0, []string{"brand changed", "product changed"}, 300},
		"incident":    {[]replication.Event{generic(0, 1)}, replication.INCIDENT_EVENT, []string{"missed: the server says that changes are not in its binlog"}, 4},
		"prepared":    {[]replication.Event{query("XA START X'61'"), rowsOf("brand", 1), query("XA END X'61'"), generic(0)}, replication.XA_PREPARE_LOG_EVENT, []string{"row of brand[1]"}, 400},
		"unknown":     {[]replication.Event{query("XA COMMIT X'61'")}, 0, []string{"brand changed", "product changed"}, 100},
		"rolled back": {[]replication.Event{query("XA ROLLBACK X'61'")}, 0, nil, 100},
		"committed": {
			[]replication.Event{query("XA START X'61'"), rowsOf("brand", 1), query("XA END X'61'"), generic(0), query("XA COMMIT X'61'")},
			replication.XA_PREPARE_LOG_EVENT,
			[]string{"row of brand[1]", "brand changed"},
			500,
		},
		"in one phase": {
			[]replication.Event{query("XA START X'61'"), rowsOf("brand", 1), query("XA END X'61'"), generic(1), query("XA ROLLBACK X'61'")},
			replication.XA_PREPARE_LOG_EVENT,
			[]string{"row of brand[1]"},
			500,
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := &heard{}
			f := newFollower(h)
			for i, e := range tc.events {
				header := &replication.EventHeader{LogPos: uint32(100 * (i + 1))}
				if _, ok := e.(*replication.GenericEvent); ok {
					header.EventType = tc.kind
				}
				require.NoError(t, f.handle(t.Context(), &replication.BinlogEvent{Header: header, Event: e}))
			}
			require.ElementsMatch(t, tc.want, h.since())
			require.Equal(t, tc.offset, f.position.offset)
		})
	}
}

// begun is the event that begins a transaction of MariaDB's, as the library hands it over.
func begun(t *testing.T, domain, server uint32, sequence uint64) *replication.BinlogEvent {
	t.Helper()
	raw := binary.LittleEndian.AppendUint32(nil, 0)
	raw = append(raw, byte(replication.MARIADB_GTID_EVENT))
	raw = binary.LittleEndian.AppendUint32(raw, server)
	raw = binary.LittleEndian.AppendUint32(raw, 38) // its size
	raw = append(raw, make([]byte, 6)...)
	raw = binary.LittleEndian.AppendUint64(raw, sequence)
	raw = binary.LittleEndian.AppendUint32(raw, domain)
	raw = append(raw, make([]byte, 7)...)
	ev, err := replication.NewBinlogParser().Parse(raw)
	require.NoError(t, err)
	return ev
}

// The library reads ahead, and what it keeps of the GTIDs must not move this follower on: after a reconnect, it would pass over transactions.
func TestEventsReadAheadDoNotMoveThePosition(t *testing.T) {
	f := newFollower(&heard{})
	var err error
	f.position.gtid, err = parseGTIDs(mysql.MariaDBFlavor, "0-1-10")
	require.NoError(t, err)
	ahead := f.position.gtid.Clone().(*mysql.MariadbGTIDSet)
	first, second := begun(t, 0, 7, 11), begun(t, 0, 7, 12)
	for _, ev := range []*replication.BinlogEvent{first, second} {
		require.NoError(t, ahead.AddSet(&ev.Event.(*replication.MariadbGTIDEvent).GTID))
	}
	end := &replication.BinlogEvent{Header: &replication.EventHeader{LogPos: 100}, Event: &replication.XIDEvent{}}
	for _, step := range []struct {
		ev   *replication.BinlogEvent
		want string
	}{{first, "0-7-11"}, {second, "0-7-12"}} {
		require.NoError(t, f.handle(t.Context(), step.ev))
		require.NoError(t, f.handle(t.Context(), end))
		require.Equal(t, step.want, f.position.String())
	}
}

// What is noted of distributed transactions is bounded, and forgetting it makes no change unseen.
func TestPreparedAreBounded(t *testing.T) {
	h := &heard{}
	f := newFollower(h)
	for i := range 5000 {
		f.xa(fmt.Sprintf("END X'%d'", i))
		f.prepare()
	}
	require.LessOrEqual(t, len(f.prepared), 1000)
	f.xa("COMMIT X'0'")
	require.Len(t, h.since(), 2)
}

func TestLost(t *testing.T) {
	f := newFollower(&heard{})
	err := f.lost(fmt.Errorf("reading: %w", &replication.EventError{Header: &replication.EventHeader{EventType: replication.TABLE_MAP_EVENT, LogPos: 7}, Err: "unknown type"}))
	var gap *GapError
	require.ErrorAs(t, err, &gap)
	require.EqualError(t, gap, "an event cannot be read (TableMapEvent at 7): unknown type")
	require.Equal(t, gap.Reason, f.gapBefore(server{}), "it would not be read the next time either")
}

func TestGaps(t *testing.T) {
	f := newFollower(&heard{})
	f.server.id = "a"
	require.Empty(t, f.gapBefore(server{id: "a", end: end{place: place{"binlog.000001", 4}}}))
	require.Equal(t, "this is another server", f.gapBefore(server{id: "b", end: end{place: place{"binlog.000002", 4}}}))
	f.position.offset = 5
	require.Equal(t, "the binlog was reset", f.gapBefore(server{id: "a", end: end{place: place{"binlog.000001", 4}}}))
}

// On a server that takes any case, each spelling of the configuration is told.
func TestSpellings(t *testing.T) {
	h := &heard{}
	f := newFollower(h)
	f.tables = map[Table][]Table{{"shop", "product"}: {{"shop", "Product"}, {"Shop", "PRODUCT"}}}
	f.rows(rowsOf("product", 1))
	require.Equal(t, []string{"row of Product[1]", "row of PRODUCT[1]"}, h.since())
	f.query("TRUNCATE product")
	require.Equal(t, []string{"Product changed", "PRODUCT changed"}, h.since())
}

// late is a Handler that notes how late it is.
type late struct {
	heard
	lag atomic.Int64
}

func (l *late) Lag(d time.Duration) { l.lag.Store(int64(d)) }

// A server that cannot be followed is not one that has no news.
func TestLagWithoutAConnection(t *testing.T) {
	db, err := sql.Open("mysql", "user@tcp(127.0.0.1:1)/shop")
	require.NoError(t, err)
	defer db.Close()
	handler := &late{}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { New(Config{Retry: time.Millisecond}, db, handler).Run(ctx) })
	require.Eventually(t, func() bool { return handler.lag.Load() > int64(20*time.Millisecond) }, 10*time.Second, time.Millisecond)
	stop()
	running.Wait()
}
