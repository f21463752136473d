package insert

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"

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
	for _, engine := range s.scratchEngines() {
		f := &search{s: s, engine: engine}
		err := f.run(ctx, distinct(s.part.rows))
		switch {
		case err != nil && diagnose(err).action == Stop:
			s.w.log.Warn("rows at fault cannot be looked for", "error", err, "advice", "GRANT CREATE TEMPORARY TABLE, CREATE ARBITRARY TEMPORARY TABLE, TABLE ENGINE ON *")
			return false, s.failure(cause)
		case err != nil:
			s.w.log.Debug("looking for rows at fault failed", "error", err)
			return false, nil // tried again, and found again
		case len(f.found) > 0:
			return s.without(f.found)
		}
	}
	// Not a row: a view, or something that only the table itself has.
	if s.attempts >= s.w.opts.Retries.MaxAttempts {
		return false, s.failure(cause)
	}
	return false, nil
}

// without rejects the rows found, and makes the block anew from the others.
func (s *shipment) without(found []Rejection) (done bool, _ error) {
	if !s.w.opts.KeepRejected {
		return false, &RejectedError{Records: found}
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

// scratchEngines are those of the temporary table: Null has the columns' types, defaults and constraints and keeps nothing; the other
// one also finds rows that cannot be partitioned.
func (s *shipment) scratchEngines() []string {
	engines := []string{"Null"}
	if key := s.j.layout.Table.PartitionKey; key != "" {
		engines = append(engines, "MergeTree PARTITION BY "+key+" ORDER BY tuple()")
	}
	return engines
}

// scratch is the temporary table's name; a connection has at most one.
const scratch = "`clickhouse_native_rows_at_fault`"

// search bisects the rows of a block.
type search struct {
	s      *shipment
	engine string
	conn   *cluster.Conn
	found  []Rejection
}

// run looks for the rows at fault among those of some records of the part.
func (f *search) run(ctx context.Context, records []int32) error {
	if err := f.connect(ctx); err != nil {
		return err
	}
	err := f.among(ctx, records)
	if f.conn == nil {
		return err
	}
	// Also after an error that is not the connection's: whoever uses it next must not find the table.
	f.conn.Release(errors.Join(err, f.conn.Do(ctx, ch.Query{Body: "DROP TEMPORARY TABLE " + scratch})))
	return err
}

// connect takes a connection and makes the temporary table, which goes away with it.
func (f *search) connect(ctx context.Context) error {
	conn, err := f.s.connect(ctx)
	if err != nil {
		return err
	}
	create := fmt.Sprintf("CREATE TEMPORARY TABLE %s AS %s ENGINE = %s", scratch, f.s.j.layout.Target(f.s.part.shard), f.engine)
	if err := conn.Do(ctx, ch.Query{Body: create}); err != nil {
		conn.Release(err)
		return fmt.Errorf("making a temporary table to find the rows at fault: %w", err)
	}
	f.conn = conn
	return nil
}

// enough rows at fault say what is wrong where none of them is taken out.
const enough = 100

// among looks at some records at once. When they are refused it looks before the row that the server names, and at each half of those behind it,
// so that a block of nothing but faults is not sent whole for each of them; or at each half of all when the server names none.
func (f *search) among(ctx context.Context, rows []int32) error {
	if len(rows) == 0 || len(f.found) >= enough && !f.s.w.opts.KeepRejected {
		return nil
	}
	refused, sent, err := f.try(ctx, rows)
	if err != nil || refused == nil {
		return err
	}
	n, named := rowNamed(refused.Message, len(sent))
	if named {
		n = slices.Index(rows, sent[n])
	}
	if named || len(rows) == 1 {
		f.found = append(f.found, Rejection{Index: int(rows[n]), Reason: refused.Message, Code: int(refused.Code)})
		if err := f.among(ctx, rows[:n]); err != nil {
			return err
		}
		rows = rows[n+1:]
	}
	if err := f.among(ctx, rows[:len(rows)/2]); err != nil {
		return err
	}
	return f.among(ctx, rows[len(rows)/2:])
}

// rowMention is how a violated constraint names the row, counting from 1 (CheckConstraintsTransform of ClickHouse 26.7).
var rowMention = regexp.MustCompile(`is violated at row ([0-9]+)\b`)

// rowNamed reads the row's index, from 0, out of an exception about a block of so many rows.
func rowNamed(message string, rows int) (int, bool) {
	m := rowMention.FindStringSubmatch(message)
	if m == nil {
		return 0, false
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n < 1 || n > rows {
		return 0, false
	}
	return n - 1, true
}

// try inserts records into the temporary table. refused is the server's exception when it is about a row; sent are the records in the
// order of the rows.
func (f *search) try(ctx context.Context, rows []int32) (refused *ch.Exception, sent []int32, _ error) {
	if f.conn == nil {
		// An exception ends the connection, and with it the table.
		if err := f.connect(ctx); err != nil {
			return nil, nil, err
		}
	}
	p, err := f.s.j.rebuild(f.s.t, f.s.part, rows, "")
	if err != nil {
		return nil, nil, err
	}
	sent = slices.Clone(p.rows)
	defer f.s.j.discard(f.s.t, p)
	input := p.block.Input()
	err = f.conn.Do(ctx, ch.Query{Body: statement(scratch, input), Input: input, Settings: f.s.w.settings("")})
	if err == nil {
		return nil, sent, nil
	}
	ex, ok := ch.AsException(err)
	if !ok || diagnose(err).action != IsolateRow {
		return nil, nil, err
	}
	f.conn.Release(nil)
	f.conn = nil
	return ex, sent, nil
}

// distinct lists each record of some rows once; rows of one record stand together.
func distinct(rows []int32) []int32 { return slices.Compact(slices.Clone(rows)) }
