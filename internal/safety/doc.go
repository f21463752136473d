// Package safety lets the chaos suite take a single rule of exactly-once delivery away, and show by that that the rule is needed.
//
// It owns the switches. In every binary but those built with the tag `chaos` they are constants that are false, so that nothing a
// user can set reaches them and the compiler removes what stands behind them. It must never be asked for anything but "leave this rule out".
package safety
