//go:build !chaos

package safety

// The rules that can be left out.
const (
	WithoutBlockNames  = false // every attempt sends its block under another name
	WithoutIntents     = false // nothing is recorded before the first block of a range
	WithoutSameReplica = false // a block that may have landed on one replica is sent to another
	WithoutLayoutPin   = false // a recovered range goes by the layout of today
)
