package clickhouse

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/benthos-clickhouse/connect/clickhouse/insert"
)

// Metadata of a dead letter.
const (
	metaError  = "clickhouse_native_error"
	metaColumn = "clickhouse_native_column"
	metaType   = "clickhouse_native_type"
	metaCode   = "clickhouse_native_code"
)

// deadLetter is the child output for rows that can never be inserted.
type deadLetter struct {
	out     *service.OwnedOutput
	log     *service.Logger
	retries insert.Retries
}

// write hands the rejected records over, and returns when the child output has acknowledged them. It tries until the context ends:
// what has been inserted of the batch must not be written again because of it.
func (d *deadLetter) write(ctx context.Context, s *source, rejected []insert.Rejection) error {
	wait := d.retries.InitialInterval
	for {
		// Made anew each time: the child output may have changed its messages.
		err := d.out.WriteBatch(ctx, letters(s, rejected))
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("writing %d dead letters: %w", len(rejected), err)
		}
		d.log.Warnf("Dead letters could not be written, trying again in %s: %v", wait, err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("writing %d dead letters: %w", len(rejected), err)
		case <-time.After(wait):
		}
		wait = min(2*wait, d.retries.MaxInterval)
	}
}

// letters are the records as they came, with what is wrong about each.
func letters(s *source, rejected []insert.Rejection) service.MessageBatch {
	batch := make(service.MessageBatch, len(rejected))
	for i, r := range rejected {
		m := s.original(r.Index).WithContext(context.Background()) // without the lease: it is not this record's to claim
		m.MetaSetMut(metaError, r.Reason)
		if r.Column != "" {
			m.MetaSetMut(metaColumn, r.Column)
			m.MetaSetMut(metaType, r.Type)
		}
		if r.Code != 0 {
			m.MetaSetMut(metaCode, strconv.Itoa(r.Code))
		}
		batch[i] = m
	}
	return batch
}
