// Package benthoslog hands log/slog's records to the logger of a Benthos component.
//
// It owns the translation of levels, attributes and groups, so that the packages below the plugins can log without knowing
// Benthos. It must never decide what is logged: the engine has its own level.
package benthoslog

import (
	"context"
	"log/slog"

	"github.com/redpanda-data/benthos/v4/public/service"
)

// New returns a logger whose records the component logs.
func New(log *service.Logger) *slog.Logger { return slog.New(handler{log: log}) }

type handler struct {
	log   *service.Logger
	group string // prefix of attributes' names, with a dot at its end
}

// Enabled leaves the choice to the component's logger, which does not tell its level.
func (handler) Enabled(context.Context, slog.Level) bool { return true }

func (h handler) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		h.log = h.with(a)
		return true
	})
	switch {
	case r.Level >= slog.LevelError:
		h.log.Error(r.Message)
	case r.Level >= slog.LevelWarn:
		h.log.Warn(r.Message)
	case r.Level >= slog.LevelInfo:
		h.log.Info(r.Message)
	default:
		h.log.Debug(r.Message)
	}
	return nil
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		h.log = h.with(a)
	}
	return h
}

func (h handler) WithGroup(name string) slog.Handler {
	if name != "" {
		h.group += name + "."
	}
	return h
}

func (h handler) with(a slog.Attr) *service.Logger {
	return h.log.With(h.group+a.Key, a.Value.Resolve().String())
}
