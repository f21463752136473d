package kafka

import (
	"time"

	"golang.org/x/sys/unix"
)

// sinceBoot is a clock that goes on while the process is stopped and while the machine sleeps; Go's monotonic clock does not count the latter.
func sinceBoot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return time.Duration(time.Now().UnixNano())
	}
	return time.Duration(ts.Nano())
}
