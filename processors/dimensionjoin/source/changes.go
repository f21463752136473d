package source

import (
	"context"
	"database/sql"
	"time"
)

// sameInstant is how long rows are watched for that may still get the newest value of a time column.
const sameInstant = 10 * time.Second

// Changes hands over the keys of the rows whose column, a time or a number that grows with every change, is beyond since, and
// returns the column's greatest value, to go on from. Rows that have the very value of since are handed over again while it
// is recent: others may have got the same value after them. With since "" it only asks for the greatest value. However many rows have
// changed, they are all handed over, so as with Scan ctx bounds it.
func (s *Source) Changes(ctx context.Context, schema *Schema, column, since string, emit func(key string)) (next string, err error) {
	newest, recent, err := s.newest(ctx, column)
	if err != nil {
		return since, s.wrap("polling", err)
	}
	if since == "" || newest == "" {
		return newest, nil
	}
	where, args := " WHERE "+quote(column)+" > ?", []any{since}
	if recent != "" && since >= recent {
		where = " WHERE " + quote(column) + " >= ?"
	}
	err = s.scan(ctx, schema, where, args, func(key string, _ *Result) error {
		emit(key)
		return nil
	})
	if err != nil {
		return since, s.wrap("polling", err)
	}
	return newest, nil
}

// newest returns the greatest value of a column, and the value below which no row can get it any more.
func (s *Source) newest(ctx context.Context, column string) (newest, recent string, err error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	rows, err := s.db.QueryContext(ctx, "SELECT MAX("+quote(column)+"), UTC_TIMESTAMP() FROM "+quoteTable(s.cfg.Table))
	if err != nil {
		return "", "", err
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return "", "", err
	}
	var value sql.NullString
	var now string
	for rows.Next() {
		if err := rows.Scan(&value, &now); err != nil {
			return "", "", err
		}
	}
	if err := rows.Err(); err != nil {
		return "", "", err
	}
	zone := time.UTC
	switch types[0].DatabaseTypeName() {
	case "DATETIME":
		zone = s.cfg.zone()
	case "TIMESTAMP":
	default:
		return value.String, "", nil
	}
	t, err := time.Parse(time.DateTime, now)
	if err != nil {
		return "", "", err
	}
	return value.String, t.Add(-sameInstant).In(zone).Format(time.DateTime), nil
}
