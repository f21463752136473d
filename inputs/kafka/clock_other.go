//go:build !linux

package kafka

import "time"

// sinceBoot is wall-clock time where the system has no clock that counts suspension and cannot be set: better a lease that ends early
// because somebody moved the clock than one that outlives a suspension.
func sinceBoot() time.Duration { return time.Duration(time.Now().UnixNano()) }
