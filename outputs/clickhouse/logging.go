package clickhouse

import (
	"context"
	"log/slog"

	"github.com/redpanda-data/benthos/v4/public/service"
)

// handler hands the engine's log records to the logger of the component.
type handler struct {
	log   *service.Logger
	group string
}

func newLogger(log *service.Logger) *slog.Logger { return slog.New(handler{log: log}) }

// Enabled leaves the choice to the component's logger, which does not tell its level.
func (handler) Enabled(context.Context, slog.Level) bool { return true }

func (h handler) Handle(_ context.Context, r slog.Record) error {
	log := h.log
	r.Attrs(func(a slog.Attr) bool {
		log = log.With(h.group+a.Key, a.Value.Resolve().String())
		return true
	})
	switch {
	case r.Level >= slog.LevelError:
		log.Error(r.Message)
	case r.Level >= slog.LevelWarn:
		log.Warn(r.Message)
	case r.Level >= slog.LevelInfo:
		log.Info(r.Message)
	default:
		log.Debug(r.Message)
	}
	return nil
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		h.log = h.log.With(h.group+a.Key, a.Value.Resolve().String())
	}
	return h
}

func (h handler) WithGroup(name string) slog.Handler {
	h.group += name + "."
	return h
}
