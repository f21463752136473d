package insert

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	ch "github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"

	"github.com/benthos-clickhouse/connect/clickhouse/sharding"
)

// proofRows is how many sampled rows a sharding expression is compared on.
const proofRows = 200

// prove lets the server evaluate the sharding expression on sampled rows, and compares. The samples differ from start to start, so
// that a difference which one sample misses is met by another.
func (w *Writer) prove(ctx context.Context, f *sharding.Func) error {
	proof, err := f.NewProof(proofRows, rand.Uint64())
	if errors.Is(err, sharding.ErrVolatile) {
		return nil
	}
	if err != nil {
		return &PermanentError{Err: err}
	}
	var values proto.ColUInt64
	answers := make([]uint64, 0, proof.Rows)
	err = w.opts.Cluster.Query(ctx, ch.Query{
		Body:   proof.Query,
		Result: proto.Results{{Data: &values}},
		OnResult: func(context.Context, proto.Block) error {
			answers = append(answers, values...)
			values.Reset()
			return nil
		},
	})
	if err != nil {
		return fmt.Errorf("proving the sharding expression against the server: %w", err)
	}
	if err := proof.Check(answers); err != nil {
		return &PermanentError{Err: err}
	}
	return nil
}
