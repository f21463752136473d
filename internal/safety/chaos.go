//go:build chaos

package safety

import (
	"os"
	"strings"
)

// names are the safeguards as the environment variable CHAOS_WITHOUT names them, separated by commas.
var names = map[string]Rule{
	"block names": BlockNames, "intents": Intents, "pinned layout": PinnedLayout,
	"same replica": SameReplica, "digest": Digest, "alive": Alive,
}

func init() {
	for name := range strings.SplitSeq(os.Getenv("CHAOS_WITHOUT"), ",") {
		if rule, ok := names[name]; ok {
			TurnOff(rule)
		}
	}
}
