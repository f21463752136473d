//go:build chaos

package safety

import (
	"os"
	"slices"
	"strings"
)

// Variable names, separated by commas, the rules that the binary leaves out: block-names, intents, same-replica, layout-pin.
const Variable = "CHAOS_WITHOUT"

// The rules that can be left out.
var (
	WithoutBlockNames  = without("block-names")
	WithoutIntents     = without("intents")
	WithoutSameReplica = without("same-replica")
	WithoutLayoutPin   = without("layout-pin")
)

func without(rule string) bool { return slices.Contains(strings.Split(os.Getenv(Variable), ","), rule) }
