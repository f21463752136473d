package column

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
)

// zones change their clocks at midnight, by half an hour, by a whole day, before or after UTC, twice a year or hardly ever. Those are
// left out whose past the time zone database has changed since the server's copy of it (2025a).
var zones = []string{
	"UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Africa/Cairo", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia",
	"Asia/Amman", "Europe/London", "Asia/Shanghai", "America/St_Johns", "Asia/Gaza", "Europe/Moscow", "Pacific/Chatham", "America/Havana", "Asia/Pyongyang",
}

// TestZones compares local times around every change of the clock from 1971 to 2037 with what the server makes of them.
func TestZones(t *testing.T) {
	for _, zone := range zones {
		t.Run(zone, func(t *testing.T) {
			mustPost(t, nil, "DROP TABLE IF EXISTS zones")
			typ := "DateTime('" + zone + "')"
			mustPost(t, nil, "CREATE TABLE zones (s String, v "+typ+", w DateTime64(3, '"+zone+"')) ENGINE = Memory")
			plan, err := column.NewPlan([]column.Field{
				{Column: "s", Type: "String"},
				{Column: "v", Type: typ, Source: column.Path("s")},
				{Column: "w", Type: "DateTime64(3, '" + zone + "')", Source: column.Path("s")},
			}, options(t))
			require.NoError(t, err)
			r, b := plan.NewReader(), plan.NewBlock(0)
			for _, s := range localTimes(t, zone) {
				require.NoError(t, r.ReadJSON([]byte(`{"s":"`+s+`"}`)))
				require.NoError(t, b.Append(r))
			}
			insert(t, node.Client(t), "zones", b)
			require.Equal(t, strconv.Itoa(b.Rows())+"\t0\t0\t[]\n", mustPost(t, nil, `
				WITH parseDateTimeBestEffort(s, '`+zone+`') AS there, parseDateTime64BestEffort(s, 3, '`+zone+`') AS there64
				SELECT count(), countIf(v != there), countIf(w != there64), groupArrayIf(3)((s, v, there), v != there) FROM zones FORMAT TSV`))
		})
	}
}

// localTimes are every ten minutes of the days around each change of the clock, and of some other days.
func localTimes(t *testing.T, zone string) (times []string) {
	t.Helper()
	location, err := time.LoadLocation(zone)
	require.NoError(t, err)
	days := map[string]time.Time{}
	add := func(at time.Time) {
		for d := -1; d <= 1; d++ {
			day := time.Date(at.Year(), at.Month(), at.Day()+d, 0, 0, 0, 0, time.UTC)
			days[day.Format(time.DateOnly)] = day
		}
	}
	add(time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC))
	for at := time.Date(1971, 1, 5, 0, 0, 0, 0, location); at.Year() < 2038; {
		_, end := at.ZoneBounds()
		if end.IsZero() || end.Year() > 2037 {
			break
		}
		add(end.Add(-time.Second))
		add(end)
		at = end
	}
	for _, day := range days {
		for minute := 0; minute < 24*60; minute += 10 {
			times = append(times, day.Add(time.Duration(minute)*time.Minute).Format(time.DateTime))
		}
	}
	return times
}
