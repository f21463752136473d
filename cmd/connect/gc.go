package main

import (
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// gcPercent trades memory for the 15–25% of CPU that collecting at Go's default of 100 costs: the live heap of a pipeline is
// a few batches, so letting it grow to five times that is cheap. See docs/performance.
const gcPercent = 400

// tuneGC sets what GOGC and GOMEMLIMIT would set, unless the user did. The memory limit follows the container's, so that
// the collector works harder before the kernel ends the process.
func tuneGC() {
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(gcPercent)
	}
	if _, set := os.LookupEnv("GOMEMLIMIT"); !set {
		// No limit to be found (no cgroup, another operating system) leaves Go's own default: none.
		_, _ = memlimit.SetGoMemLimitWithOpts(memlimit.WithRatio(0.9), memlimit.WithProvider(memlimit.FromCgroup))
	}
}
