package insert

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A server is asked again and again, until it is clear whether it was started before or after a moment.
func TestTheUptimeOfAServer(t *testing.T) {
	const second = time.Second
	for name, test := range map[string]struct {
		age, since time.Duration // of the server, and of the moment, at the first look
		want       bool
		looks      int
	}{
		"long before":                 {age: 3600 * second, since: second, want: false, looks: 1},
		"long after":                  {age: 2 * second, since: 60 * second, want: true, looks: 1},
		"within its first second":     {age: 700 * time.Millisecond, since: 400 * time.Millisecond, want: false, looks: 7},
		"within the same second":      {age: 400 * time.Millisecond, since: 700 * time.Millisecond, want: true, looks: 7},
		"the second has just begun":   {age: 5 * second, since: 5*second + 300*time.Millisecond, want: true, looks: 15},
		"a moment after":              {age: 5*second + 30*time.Millisecond, since: 5*second + 40*time.Millisecond, want: true, looks: 21},
		"the next second has not yet": {age: 5*second + 990*time.Millisecond, since: 5*second + 500*time.Millisecond, want: false, looks: 2},
	} {
		t.Run(name, func(t *testing.T) {
			var e elapsed
			started, known, looks := false, false, 0
			for passed := time.Duration(0); !known; passed += elapsedStep {
				looks++
				started, known = e.startedSince((test.age + passed).Truncate(second), test.since+passed)
			}
			require.Equal(t, test.want, started)
			require.Equal(t, test.looks, looks)
		})
	}
}
