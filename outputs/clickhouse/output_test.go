package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/delivery"
)

func TestALostLeaseIsNoFailureOfTheBatch(t *testing.T) {
	lost := fmt.Errorf("inserting: %w", delivery.ErrLost)
	down := errors.New("down")
	require.NoError(t, together([]error{nil, nil}))
	require.NoError(t, together([]error{lost}))
	require.NoError(t, together([]error{nil, lost, lost}))
	require.ErrorIs(t, together([]error{lost, down}), down, "what can still be written is to be tried again")
	require.ErrorIs(t, together([]error{context.Canceled}), context.Canceled)
}
