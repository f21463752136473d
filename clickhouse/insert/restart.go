package insert

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
)

// A MergeTree that is not replicated writes a block's name to its deduplication log before it renames the part (MergeTreeSink of
// ClickHouse 26.7). A server that is killed between the two comes back with the name and without the rows, and drops the block when
// it is sent again. So where a block may have landed on a server that has been started since, an acknowledgement says little: under
// at-least-once the block is sent under another name, under exactly-once its rows are looked for once it is acknowledged. It has to be sent
// again under its own name first, because the server may have been killed between the table and its materialized views: each view
// knows the block by a name that follows from this one, and takes it, or drops it, by itself.

// mayHave is the replica that may have a block of a range that was tried before.
func (j *job) mayHave(shard *cluster.Shard, only *cluster.Replica) (replica *cluster.Replica, since time.Time) {
	since = j.firstSent()
	switch {
	case since.IsZero() || j.lease == nil || j.layout.Table.Replicated():
		return nil, time.Time{}
	case only != nil:
		return only, since
	}
	return shard.Pinned, since
}

// checkRestart is asked, on the connection that is about to be used, before a block goes out again to the server where it may be.
func (s *shipment) checkRestart(ctx context.Context, conn *cluster.Conn) error {
	if s.landing == nil || s.j.unsure {
		return nil
	}
	if started, err := startedSince(ctx, conn, s.landed); err != nil || !started {
		return err
	}
	if s.j.lease == nil {
		again := *s.part
		again.name += "/restarted"
		s.part, s.landing = &again, nil
		return nil
	}
	if s.t.traceable() {
		return fmt.Errorf("inserting into %s: %w", conn.Replica(), ErrRestarted)
	}
	return nil // said at start
}

// startedSince tells whether the server at the other end was started after a moment. No clock is compared with another.
func startedSince(ctx context.Context, conn *cluster.Conn, at time.Time) (bool, error) {
	var e elapsed
	for {
		up, err := uptime(ctx, conn)
		if err != nil {
			return false, err
		}
		if started, known := e.startedSince(up, time.Since(at)); known {
			return started, nil
		}
		if err := sleep(ctx, elapsedStep); err != nil {
			return false, err
		}
	}
}

// elapsed compares a server's uptime, which it cuts down to whole seconds, with the time since some moment. Where they are so close that this
// matters, the next second to begin decides.
type elapsed struct{ up, since time.Duration }

// elapsedStep is the time between two looks, and what may be wrong then: a server needs longer to take its first block.
const elapsedStep = 50 * time.Millisecond

func (e *elapsed) startedSince(up, since time.Duration) (started, known bool) {
	before := *e
	*e = elapsed{up, since}
	switch {
	case up > since:
		return false, true
	case up+time.Second <= since:
		return true, true
	}
	return true, before.since > 0 && up > before.up
}

// uptime asks how long the server has been running.
func uptime(ctx context.Context, conn *cluster.Conn) (time.Duration, error) {
	var rows [][]string
	if err := conn.Do(ctx, stringsQuery("SELECT toString(uptime())", 1, &rows)); err != nil {
		return 0, fmt.Errorf("asking for the server's uptime: %w", err)
	}
	if len(rows) != 1 {
		return 0, fmt.Errorf("asking for the server's uptime: %d rows", len(rows))
	}
	seconds, err := strconv.ParseInt(rows[0][0], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("asking for the server's uptime: %w", err)
	}
	return time.Duration(seconds) * time.Second, nil
}

// quiet waits until no INSERT of a block whose name begins with base runs on the connection's server: what such an insert is about to
// write would be missed by a look at the table.
func quiet(ctx context.Context, conn *cluster.Conn, base string) error {
	body := "SELECT toString(count()) FROM system.processes WHERE startsWith(Settings['insert_deduplication_token'], " + quoteText(base) + ")"
	for {
		var rows [][]string
		if err := conn.Do(ctx, stringsQuery(body, 1, &rows)); err != nil {
			return fmt.Errorf("asking for running inserts: %w", err)
		}
		if len(rows) == 1 && rows[0][0] == "0" {
			return nil
		}
		if err := sleep(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}
