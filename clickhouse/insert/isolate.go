package insert

import (
	"context"
	"fmt"

	ch "github.com/ClickHouse/ch-go"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
)

// isolate finds the rows that the server refuses, rejects them, and leaves a shipment of the others under the same name. done
// means that no row is left.
//
// It works on a temporary table of the same structure, which only this connection sees: the table itself must not get a block of
// another cut under any name, or a repetition of the range would not be recognised.
func (s *shipment) isolate(ctx context.Context, cause error) (done bool, _ error) {
	if s.attempts > s.w.opts.Retries.MaxAttempts {
		return false, s.failure(cause)
	}
	conn, err := s.connect(ctx)
	if err != nil {
		return false, nil // tried again, and found again
	}
	table, err := s.scratchTable(ctx, conn)
	if err != nil {
		conn.Release(err)
		if diagnose(err).action == Stop {
			s.w.log.Warn("rows at fault cannot be looked for", "error", err, "advice", "GRANT CREATE TEMPORARY TABLE, or CREATE ARBITRARY TEMPORARY TABLE")
			return false, s.failure(cause)
		}
		return false, nil
	}
	search := &search{s: s, conn: conn, table: table}
	err = search.among(ctx, s.part.rows)
	search.release(table)
	if err != nil {
		s.w.log.Debug("looking for rows at fault failed", "error", err)
		return false, nil
	}
	if len(search.found) == 0 {
		// Not a row: a view, or something that only the table itself has.
		if s.attempts >= s.w.opts.Retries.MaxAttempts {
			return false, s.failure(cause)
		}
		return false, nil
	}
	return s.without(search.found)
}

// without rejects the rows found, and makes the block anew from the others.
func (s *shipment) without(found []Rejection) (done bool, _ error) {
	if !s.w.opts.KeepRejected {
		return false, &RejectedError{First: found[0], Count: len(found)}
	}
	bad := make(map[int32]bool, len(found))
	for _, r := range found {
		bad[int32(r.Index)] = true
		s.j.reject(r)
	}
	rest := make([]int32, 0, len(s.part.rows)-len(found))
	for _, i := range s.part.rows {
		if !bad[i] {
			rest = append(rest, i)
		}
	}
	if len(rest) == 0 {
		return true, nil
	}
	part, err := s.j.rebuild(s.t, s.part, rest, s.part.name)
	if err != nil {
		return false, err
	}
	s.part = part
	return false, nil
}

// scratch is the temporary table's name; a connection has at most one.
const scratch = "clickhouse_native_rows_at_fault"

// scratchTable makes the temporary table: of the table's partitioning where the server allows it, so that rows that cannot be
// partitioned are found too.
func (s *shipment) scratchTable(ctx context.Context, conn *cluster.Conn) (string, error) {
	like := s.j.layout.Target(s.part.shard)
	engine := "Null"
	if key := s.j.layout.Table.PartitionKey; key != "" {
		engine = "MergeTree PARTITION BY " + key + " ORDER BY tuple()"
	}
	create := fmt.Sprintf("CREATE TEMPORARY TABLE `%s` AS %s ENGINE = %s", scratch, like, engine)
	if err := conn.Do(ctx, ch.Query{Body: create}); err != nil {
		return "", fmt.Errorf("making a temporary table to find the rows at fault: %w", err)
	}
	return "`" + scratch + "`", nil
}

// search bisects the rows of a block.
type search struct {
	s     *shipment
	conn  *cluster.Conn
	table string
	found []Rejection
}

// among looks at some rows at once, and at each half when they are refused.
func (f *search) among(ctx context.Context, rows []int32) error {
	refused, err := f.try(ctx, rows)
	if err != nil || refused == nil {
		return err
	}
	if len(rows) == 1 {
		r := Rejection{Index: int(rows[0]), Reason: refused.Message, Code: int(refused.Code)}
		f.found = append(f.found, r)
		return nil
	}
	if err := f.among(ctx, rows[:len(rows)/2]); err != nil {
		return err
	}
	return f.among(ctx, rows[len(rows)/2:])
}

// try inserts rows into the temporary table. refused is the server's exception when it is about a row.
func (f *search) try(ctx context.Context, rows []int32) (refused *ch.Exception, _ error) {
	p, err := f.s.j.rebuild(f.s.t, f.s.part, rows, "")
	if err != nil {
		return nil, err
	}
	defer f.s.j.discard(f.s.t, p)
	input := p.block.Input()
	err = f.conn.Do(ctx, ch.Query{Body: statement(f.table, input), Input: input, Settings: f.s.w.settings("")})
	if err == nil {
		return nil, nil
	}
	ex, ok := ch.AsException(err)
	if !ok || diagnose(err).action != IsolateRow {
		return nil, err
	}
	return ex, f.reconnect(ctx)
}

// reconnect replaces the connection, which an exception ends, and with it the temporary table.
func (f *search) reconnect(ctx context.Context) error {
	f.conn.Release(nil)
	f.conn = nil
	conn, err := f.s.connect(ctx)
	if err != nil {
		return err
	}
	f.conn = conn
	_, err = f.s.scratchTable(ctx, conn)
	return err
}

// release gives the connection back without the temporary table.
func (f *search) release(table string) {
	if f.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), f.s.w.opts.InsertTimeout)
	defer cancel()
	f.conn.Release(f.conn.Do(ctx, ch.Query{Body: "DROP TEMPORARY TABLE IF EXISTS " + table}))
}
