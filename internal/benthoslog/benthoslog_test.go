package benthoslog_test

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/internal/benthoslog"
)

func TestNew(t *testing.T) {
	var out bytes.Buffer
	engine := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	log := benthoslog.New(service.NewLoggerFromSlog(engine))
	shard := log.With("shard", 3)
	shard.Debug("a")
	shard.Info("b", "rows", 7)
	log.WithGroup("binlog").With("server", "db:3306").Warn("c", "error", errors.New("gone"))
	log.Error("d")
	require.Equal(t, `level=DEBUG msg=a shard=3
level=INFO msg=b shard=3 rows=7
level=WARN msg=c binlog.server=db:3306 binlog.error=gone
level=ERROR msg=d
`, out.String())
}
