package insert

import (
	"errors"
	"fmt"
	"io"
	"testing"

	ch "github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/delivery"
)

func exception(code proto.Error, message string) error {
	return fmt.Errorf("handle packet: %w", &ch.Exception{Code: code, Name: "DB::Exception", Message: message})
}

func TestDiagnose(t *testing.T) {
	for name, test := range map[string]struct {
		err    error
		want   Action
		before bool
	}{
		"broken connection":   {io.ErrUnexpectedEOF, Elsewhere, false},
		"not in the table":    {exception(proto.ErrLogicalError, "?"), Retry, false},
		"too many parts":      {exception(proto.ErrTooManyParts, "Too many parts (3000 with average size of 1 MiB) in table"), SlowDown, true},
		"too many partitions": {exception(proto.ErrTooManyParts, "Too many partitions for single INSERT block (more than 100)."), Split, true},
		"memory":              {exception(proto.ErrMemoryLimitExceeded, ""), Split, false},
		"constraint":          {exception(proto.ErrViolatedConstraint, ""), IsolateRow, false},
		"column dropped":      {exception(proto.ErrNoSuchColumnInTable, ""), RefreshSchema, true},
		"table dropped":       {exception(proto.ErrUnknownTable, ""), RefreshTopology, true},
		"read-only":           {exception(proto.ErrTableIsReadOnly, ""), Elsewhere, false},
		"timeout":             {exception(proto.ErrTimeoutExceeded, ""), Retry, false},
		"password":            {exception(proto.ErrAuthenticationFailed, ""), Stop, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := diagnose(test.err)
			require.Equal(t, test.want, c.action)
			require.Equal(t, test.before, c.before)
			require.NotEmpty(t, c.reason)
		})
	}
}

func TestEveryCureIsComplete(t *testing.T) {
	for code, c := range cures {
		require.NotEmptyf(t, c.reason, "%v", code)
		require.Equalf(t, c.action == Stop, c.advice != "", "%v: advice is for those who have to act", code)
		require.NotPanics(t, func() { _ = c.action.String() })
	}
}

func TestWhatIsOnlyUnavailable(t *testing.T) {
	away := &ShardError{Shard: 1, Attempts: 3, Err: &cluster.UnavailableError{Shard: 2}}
	refused := &ShardError{Shard: 0, Attempts: 3, Err: exception(proto.ErrTooManyParts, "")}
	var u *UnavailableError
	require.ErrorAs(t, unavailable(away), &u)
	require.ErrorAs(t, unavailable(errors.Join(away, away)), &u)
	require.NotErrorAs(t, unavailable(errors.Join(away, refused)), &u, "one shard answers: it is not only a matter of waiting")
	require.NotErrorAs(t, unavailable(&ShardError{Err: fmt.Errorf("x: %w", delivery.ErrLost)}), &u)
	require.NotErrorAs(t, unavailable(&PermanentError{Err: away}), &u, "somebody has to act")
	require.NotContains(t, unavailable(errors.Join(away, away)).Error(), "\n")
}

func TestWorstDecides(t *testing.T) {
	away := &ShardError{Err: io.EOF}
	stale := &staleError{io.EOF}
	stop := &PermanentError{Err: io.EOF}
	require.NoError(t, worst(nil))
	require.Equal(t, stop, worst([]error{away, stale, stop}))
	require.Equal(t, stale, worst([]error{away, stale}))
	require.ErrorIs(t, worst([]error{away, away}), io.EOF)
}
