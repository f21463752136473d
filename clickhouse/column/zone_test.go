package column

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestWallClock has answers of a server; the integration tests of clickhouse/sharding compare every change of the clock with one.
func TestWallClock(t *testing.T) {
	tests := map[string]struct {
		zone  string
		unix  int64
		shown string
	}{
		"UTC":                                {"UTC", -1, "1969-12-31 23:59:59"},
		"before the epoch":                   {"Europe/Berlin", -86400, "1969-12-31 01:00:00"},
		"before an hour is skipped":          {"Europe/Berlin", 1711846799, "2024-03-31 01:59:59"},
		"after an hour is skipped":           {"Europe/Berlin", 1711846800, "2024-03-31 03:00:00"},
		"an hour that repeats":               {"Europe/Berlin", 1729990800, "2024-10-27 02:00:00"},
		"half an hour set":                   {"Australia/Lord_Howe", 1712415600, "2024-04-07 01:30:00"},
		"odd minutes are a day late":         {"Asia/Kolkata", -2019645546, "1906-01-01 16:42:04"},
		"a day after odd minutes":            {"Asia/Kolkata", -2019645546 + 86400, "1906-01-02 16:50:54"},
		"a day that was left out":            {"Pacific/Apia", 1325239200, "2011-12-31 00:00:00"},
		"odd minutes set back over midnight": {"Asia/Shanghai", -2177481923, "1900-12-31 23:00:20"},
		"an hour repeated over midnight":     {"America/St_Johns", 1289097000, "2010-11-06 23:00:00"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			location, err := time.LoadLocation(test.zone)
			require.NoError(t, err)
			require.Equal(t, test.shown, WallClock(test.unix, location).Format(time.DateTime))
		})
	}
	require.Equal(t, "1970-01-01 00:00:01", WallClock(1, nil).Format(time.DateTime))
}
