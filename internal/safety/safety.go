// Package safety holds the switches that turn single safeguards of exactly-once delivery off, so that the test-suites can show
// that each of them is needed: with any one off, a scenario loses or doubles rows.
//
// It owns nothing but the switches. No configuration, flag or environment variable may ever reach them, but in the binary that the chaos
// suite builds for itself with the tag chaos (chaos.go).
package safety

import "sync/atomic"

// Rule is one safeguard. They are those of DESIGN.md, section 6.
type Rule uint8

// The safeguards.
const (
	BlockNames   Rule = iota // a block goes out under the same name each time
	Intents                  // the layout and the cut of a range are recorded before its first insert
	PinnedLayout             // a range is written again with the layout it was recorded with
	SameReplica              // a block that may have landed goes to the same replica, where only that one knows its name
	Digest                   // a range that would be cut otherwise is not written under its names
	Alive                    // nothing is sent once the lease may be lost
	rules
)

var off [rules]atomic.Bool

// Off tells whether a test has turned the safeguard off.
func Off(r Rule) bool { return off[r].Load() }

// TurnOff turns a safeguard off until restore is called.
func TurnOff(r Rule) (restore func()) {
	off[r].Store(true)
	return func() { off[r].Store(false) }
}
