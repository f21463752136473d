package source

import (
	"context"
	"database/sql"
	"slices"
	"strings"
)

// reader turns a query's rows into keys and encoded rows.
type reader struct {
	source  *Source
	schema  *Schema
	rows    *sql.Rows
	columns []sql.RawBytes
	dst     []any
	order   []int // position in the result of each selected column
	key     []byte
	err     error
}

// reader checks that the result has the schema's columns.
func (s *Source) reader(schema *Schema, rows *sql.Rows) (*reader, error) {
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	result := describe(types)
	r := &reader{source: s, schema: schema, rows: rows, columns: make([]sql.RawBytes, len(result)), dst: make([]any, len(result))}
	ordered := make([]described, 0, len(schema.selects))
	for _, name := range schema.selects {
		i := slices.IndexFunc(result, func(d described) bool { return strings.EqualFold(d.name, name) })
		if i < 0 {
			return nil, ErrSchemaChanged
		}
		r.order = append(r.order, i)
		ordered = append(ordered, result[i])
	}
	if !schema.same(ordered) {
		return nil, ErrSchemaChanged
	}
	for i := range r.columns {
		r.dst[i] = &r.columns[i]
	}
	return r, nil
}

// next moves to the next row that has a key; one with a NULL in its key can never be looked up.
func (r *reader) next() bool {
	for r.rows.Next() {
		if r.err = r.rows.Scan(r.dst...); r.err != nil {
			return false
		}
		if r.readKey() {
			return true
		}
	}
	r.err = r.rows.Err()
	return false
}

func (r *reader) column(i int) []byte { return r.columns[r.order[i]] }

func (r *reader) readKey() bool {
	r.key = r.key[:0]
	for i := range r.schema.Keys {
		text := r.column(i)
		if text == nil {
			return false
		}
		part, ok := r.schema.Keys[i].canonical(nil, text)
		if !ok { // a zero date, for example: no event can have it
			return false
		}
		if len(r.schema.Keys) == 1 {
			r.key = append(r.key, part...)
		} else {
			r.key = appendPart(r.key, part)
		}
	}
	return true
}

// addTo encodes the row and adds it to the result of its key.
func (r *reader) addTo(result *Result) {
	if result.Err != nil {
		return
	}
	v, err := r.version()
	if err == nil && len(result.Versions) > 0 && r.source.cfg.AsOf == nil {
		err = &DuplicateError{r.source.cfg.Name, Describe(r.schema.Keys, string(r.key))}
	}
	if err != nil {
		result.Versions, result.Err = nil, err
		return
	}
	result.Versions = append(result.Versions, v)
}

func (r *reader) version() (Version, error) {
	v := Version{From: Beginning, To: Forever}
	next := len(r.schema.Keys)
	if asOf := r.source.cfg.AsOf; asOf != nil {
		var err error
		if text := r.column(next); text != nil && !isZeroDate(text) {
			if v.From, err = r.schema.from.parse(text); err != nil {
				return v, err
			}
		}
		next++
		if asOf.To != "" {
			if text := r.column(next); text != nil && !isZeroDate(text) {
				if v.To, err = r.schema.to.parse(text); err != nil {
					return v, err
				}
			}
			next++
		}
	}
	var err error
	v.Row, err = r.schema.Shape.Encode(func(dst []byte, i int) ([]byte, error) {
		text := r.column(next + i)
		if text == nil {
			return append(dst, "null"...), nil
		}
		return r.schema.Values[i].encode(dst, text)
	})
	return v, err
}

// Scan streams the whole table in the order of its key and hands over every key's result, each once. It has no query
// timeout: ctx bounds it. emit's error ends the scan and is returned.
func (s *Source) Scan(ctx context.Context, schema *Schema, emit func(key string, result *Result) error) error {
	if err := s.scan(ctx, schema, "", nil, emit); err != nil {
		return s.wrap("scanning", err)
	}
	return nil
}

func (s *Source) scan(ctx context.Context, schema *Schema, where string, args []any, emit func(string, *Result) error) error {
	if s.cfg.Table == "" {
		return &SchemaError{Dimension: s.cfg.Name, Reason: "load: full needs a table, not a query"}
	}
	order := make([]string, len(schema.Keys))
	for i, k := range schema.Keys {
		order[i] = quote(k.Name)
	}
	rows, err := s.db.QueryContext(ctx, s.selectFrom(schema)+where+" ORDER BY "+strings.Join(order, ","), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	r, err := s.reader(schema, rows)
	if err != nil {
		return err
	}
	if schema.Unique {
		return r.emitEach(emit)
	}
	return r.emitGrouped(emit)
}

// emitEach serves tables where no two rows have one key.
func (r *reader) emitEach(emit func(string, *Result) error) error {
	for r.next() {
		result := &Result{}
		r.addTo(result)
		if err := emit(string(r.key), result); err != nil {
			return err
		}
	}
	return r.err
}

// emitGrouped puts the rows of each key together. The server's order has those of a number, a date or bytes one after the other. Under
// a collation rows of several texts may alternate, so tables with such a key are collected first.
func (r *reader) emitGrouped(emit func(string, *Result) error) error {
	collated := slices.ContainsFunc(r.schema.Keys, func(k KeyColumn) bool { return k.Kind == KeyString })
	groups := map[string]*Result{}
	for r.next() {
		result := groups[string(r.key)]
		if result == nil {
			if !collated {
				if err := r.emitAll(groups, emit); err != nil {
					return err
				}
			}
			result = &Result{}
			groups[string(r.key)] = result
		}
		r.addTo(result)
	}
	if r.err != nil {
		return r.err
	}
	return r.emitAll(groups, emit)
}

// emitAll hands over the groups, and forgets them.
func (r *reader) emitAll(groups map[string]*Result, emit func(string, *Result) error) error {
	asOf := r.source.cfg.AsOf
	for key, result := range groups {
		result.sortVersions(asOf != nil && asOf.To != "")
		if err := emit(key, result); err != nil {
			return err
		}
	}
	clear(groups)
	return nil
}
