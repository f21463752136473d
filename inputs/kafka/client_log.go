package kafka

import (
	"sync/atomic"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kgo"
)

// clientLog hands kgo's log lines on, one level lower where kgo tells of normal group life at info. Until a broker has answered, everything is
// for debugging: what keeps it from answering is told by one *ConnectError.
type clientLog struct {
	log      *service.Logger
	answered *atomic.Bool
}

// Level implements kgo.Logger.
func (clientLog) Level() kgo.LogLevel { return kgo.LogLevelInfo }

// Log implements kgo.Logger.
func (l clientLog) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	log := l.log
	if log == nil {
		return
	}
	if len(keyvals) > 0 {
		log = log.With(keyvals...)
	}
	switch {
	case level == kgo.LogLevelError && l.answered.Load():
		log.Error(msg)
	case level == kgo.LogLevelWarn && l.answered.Load():
		log.Warn(msg)
	default:
		log.Debug(msg)
	}
}
