package binlog

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
)

// transaction is what has been seen of one that has not ended.
type transaction struct {
	gtid   string
	open   bool // statements do not end it
	xid    string
	tables map[Table]bool // whose rows it has changed, folded
}

// handle takes the next event of the stream.
func (f *Follower) handle(ctx context.Context, ev *replication.BinlogEvent) error {
	switch e := ev.Event.(type) {
	case *replication.RotateEvent:
		f.position.place = place{string(e.NextLogName), e.Position}
		return nil
	case *replication.MariadbGTIDEvent:
		f.begin(asLogged(ev), !e.IsStandalone())
	case *replication.GTIDEvent:
		if ev.Header.EventType == replication.ANONYMOUS_GTID_EVENT {
			f.tx = transaction{}
			break
		}
		f.begin(e, false)
	case *replication.GtidTaggedLogEvent:
		f.position.gtid = nil // see parseGTIDs
		f.begin(e, false)
	case *replication.HeartbeatEvent:
		f.handler.Lag(0)
		return f.heartbeat(ctx, place{e.Filename, uint64(ev.Header.LogPos)})
	default:
		if !f.apply(ev) {
			break
		}
		if err := f.position.advance(ev.Header.LogPos, f.tx.gtid); err != nil {
			return err
		}
		f.tx = transaction{}
	}
	f.lag(ev.Header)
	return nil
}

// asLogged reads MariaDB's GTID event once more. The library takes a GTID of a server that is new to it into its own account of them, and
// counts on in it (MariadbGTIDSet.AddSet) while the event waits to be handled: it would name a later transaction than the one it begins.
func asLogged(ev *replication.BinlogEvent) *replication.MariadbGTIDEvent {
	e := &replication.MariadbGTIDEvent{GTID: mysql.MariadbGTID{ServerID: ev.Header.ServerID}}
	_ = e.Decode(ev.RawData[replication.EventHeaderSize:]) // as it was read before
	return e
}

// begin starts a transaction at its GTID. MySQL says BEGIN in an event of its own.
func (f *Follower) begin(e mysql.BinlogGTIDEvent, open bool) {
	f.tx = transaction{open: open}
	if f.position.gtid == nil {
		return
	}
	if next, err := e.GTIDNext(); err == nil {
		f.tx.gtid = next.String()
	}
}

// apply tells the handler what an event has changed, and reports whether the transaction ends with it.
func (f *Follower) apply(ev *replication.BinlogEvent) (ends bool) {
	switch e := ev.Event.(type) {
	case *replication.RowsEvent:
		f.rows(e)
		return false
	case *replication.QueryEvent:
		return f.query(string(e.Query))
	case *replication.ExecuteLoadQueryEvent: // LOAD DATA as a statement, whose text the library leaves out
		for t := range f.tables {
			f.changed(t)
		}
		return !f.tx.open
	case *replication.XIDEvent:
		return true
	case *replication.TransactionPayloadEvent: // the whole transaction, compressed
		for _, inner := range e.Events {
			f.apply(inner)
		}
		return true
	case *replication.GenericEvent:
		return f.generic(ev.Header.EventType, e.Data)
	default:
		return false
	}
}

// generic takes an event that the library leaves as it is.
func (f *Follower) generic(kind replication.EventType, data []byte) (ends bool) {
	switch kind {
	case replication.INCIDENT_EVENT:
		f.handler.Missed("the server says that changes are not in its binlog")
	case replication.XA_PREPARE_LOG_EVENT:
		if onePhase := len(data) > 0 && data[0] != 0; !onePhase {
			f.prepare()
		}
		return true
	}
	return false
}

func (f *Follower) rows(e *replication.RowsEvent) {
	logged := f.fold(tableOf(e.Table))
	if e.Type() == replication.EnumRowsEventTypeDelete {
		for _, t := range f.cascades[logged] {
			f.changed(t)
		}
	}
	if !f.follows(logged) {
		return
	}
	if len(e.Rows) == 0 { // see decode
		f.changed(logged)
		return
	}
	f.touch(logged)
	var names []string
	for _, n := range e.Table.ColumnName {
		names = append(names, string(n))
	}
	update := e.Type() == replication.EnumRowsEventTypeUpdate
	for i, values := range e.Rows {
		r := Row{Names: names, Values: values}
		if i < len(e.SkippedColumns) {
			r.Skipped = e.SkippedColumns[i]
			if after := i%2 == 1; update && after {
				r.Skipped = complete(r, e.Rows[i-1], e.SkippedColumns[i-1])
			}
		}
		for _, t := range f.tables[logged] {
			f.handler.Row(t, r)
		}
	}
}

// complete gives the image after an update the values that it leaves out because they are as before (binlog_row_image=MINIMAL), and
// returns those that are still missing.
func complete(after Row, before []any, skipped []int) (missing []int) {
	for _, column := range after.Skipped {
		if slices.Contains(skipped, column) {
			missing = append(missing, column)
		} else {
			after.Values[column] = before[column]
		}
	}
	return missing
}

func (f *Follower) follows(folded Table) bool { return len(f.tables[folded]) > 0 }

func (f *Follower) changed(folded Table) {
	f.touch(folded)
	for _, t := range f.tables[folded] {
		f.handler.Changed(t)
	}
}

func (f *Follower) touch(folded Table) {
	if f.tx.tables == nil {
		f.tx.tables = map[Table]bool{}
	}
	f.tx.tables[folded] = true
}

// query takes a statement, and reports whether a transaction ends with it. It looks for those that change a table otherwise
// than row by row: definitions, TRUNCATE, and any change under binlog_format=STATEMENT. It errs on the side of noticing.
func (f *Follower) query(text string) (ends bool) {
	verb, rest, _ := strings.Cut(text, " ")
	switch verb = strings.ToUpper(verb); {
	case verb == "BEGIN":
		f.tx.open = true
		return false
	case (verb == "COMMIT" || verb == "ROLLBACK") && rest == "":
		return true
	case verb == "XA":
		return f.xa(rest)
	}
	text = strings.ToLower(text)
	database := strings.HasPrefix(text, "drop database") || strings.HasPrefix(text, "drop schema")
	for t := range f.tables {
		if database || strings.Contains(text, strings.ToLower(t.Name)) {
			f.changed(t)
		}
	}
	return !f.tx.open
}

// xa takes a statement about a distributed transaction. The rows of one are logged when it is prepared, and may be seen only
// after its commit, a transaction of its own in the log and any time later: what is read in between is the old.
func (f *Follower) xa(text string) (ends bool) {
	verb, xid, _ := strings.Cut(text, " ")
	switch strings.ToUpper(verb) {
	case "START", "BEGIN":
		f.tx.open = true
		return false
	case "END":
		f.tx.xid = xid
		return false
	case "COMMIT":
		tables, known := f.prepared[xid]
		for t := range f.tables {
			if !known || slices.Contains(tables, t) {
				f.changed(t)
			}
		}
	}
	delete(f.prepared, xid)
	return true
}

// prepare notes what a distributed transaction will change when it is committed. Of one that is not noted everything is
// taken to change, so the notes may be thrown away.
func (f *Follower) prepare() {
	const most = 1000
	if f.prepared == nil || len(f.prepared) >= most {
		f.prepared = map[string][]Table{}
	}
	f.prepared[f.tx.xid] = slices.Collect(maps.Keys(f.tx.tables))
}

func (f *Follower) lag(h *replication.EventHeader) {
	if h.Timestamp == 0 {
		f.handler.Lag(0)
		return
	}
	// The server's stamps are whole seconds: within one, it counts as caught up.
	f.handler.Lag(max(time.Since(time.Unix(int64(h.Timestamp), 0))-time.Second, 0))
}

// decode leaves the rows of other tables alone. Rows that cannot be read are left out: anything of the table may be different.
func (f *Follower) decode(ev *replication.RowsEvent, data []byte) error {
	pos, err := ev.DecodeHeader(data)
	if err != nil {
		return err
	}
	if !f.follows(f.fold(tableOf(ev.Table))) {
		return nil
	}
	if err := ev.DecodeData(pos, data); err != nil {
		ev.Rows = nil
	}
	return nil
}

func tableOf(m *replication.TableMapEvent) Table {
	return Table{string(m.Schema), string(m.Table)}
}
