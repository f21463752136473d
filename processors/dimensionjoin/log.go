package dimensionjoin

import (
	"context"
	"log/slog"

	"github.com/redpanda-data/benthos/v4/public/service"
)

// logHandler hands the records of the packages below, which know no Benthos, to the component's logger.
type logHandler struct{ logger *service.Logger }

// Enabled implements slog.Handler; the engine has its own level.
func (logHandler) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (h logHandler) Handle(_ context.Context, r slog.Record) error {
	logger := h.logger
	r.Attrs(func(a slog.Attr) bool {
		logger = logger.With(a.Key, a.Value.String())
		return true
	})
	switch {
	case r.Level >= slog.LevelError:
		logger.Error(r.Message)
	case r.Level >= slog.LevelWarn:
		logger.Warn(r.Message)
	case r.Level >= slog.LevelInfo:
		logger.Info(r.Message)
	default:
		logger.Debug(r.Message)
	}
	return nil
}

// WithAttrs implements slog.Handler.
func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		h.logger = h.logger.With(a.Key, a.Value.String())
	}
	return h
}

// WithGroup implements slog.Handler; groups are flattened.
func (h logHandler) WithGroup(string) slog.Handler { return h }
