package kafka

import (
	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kgo"
)

// clientLog hands kgo's log lines on, one level lower where kgo tells of normal group life at info.
type clientLog struct{ log *service.Logger }

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
	switch level {
	case kgo.LogLevelError:
		log.Error(msg)
	case kgo.LogLevelWarn:
		log.Warn(msg)
	default:
		log.Debug(msg)
	}
}
