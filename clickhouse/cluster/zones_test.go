package cluster

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestZonesThatShowTheSameTime(t *testing.T) {
	tests := []struct {
		a, b string
		want bool
	}{
		{"UTC", "UTC", true},
		{"UTC", "Etc/UTC", true},
		{"Europe/Kiev", "Europe/Kyiv", true},
		{"Asia/Calcutta", "Asia/Kolkata", true},
		{"Europe/London", "UTC", false},
		{"Europe/Berlin", "Europe/Paris", false}, // they are the same since 1980
		{"UTC", "Africa/Abidjan", false},         // since 1912
		{"Fixed/UTC+01:00:00", "Fixed/UTC+01:00:00", true},
		{"UTC", "No/Such", false},
	}
	for _, test := range tests {
		require.Equal(t, test.want, sameClock(test.a, test.b), "%s %s", test.a, test.b)
		require.Equal(t, test.want, sameClock(test.b, test.a), "%s %s", test.b, test.a)
	}
}

func TestZonesOfServers(t *testing.T) {
	c, l := offline(Config{Addresses: []string{"seed:9000"}}, 2, 1)
	settle := func() *Table {
		table := *l.Table
		c.settleZone(&table, l)
		return &table
	}
	require.Empty(t, settle().Timezone, "nobody has said anything")

	c.noteZone("ch-1-2:9000", "Europe/Berlin")
	require.Equal(t, "Europe/Berlin", settle().Timezone)
	l.Table.Timezone = "Europe/Berlin"

	c.noteZone("ch-1-1:9000", "UTC")
	c.noteZone("ch-2-1:9000", "Etc/UTC")
	table := settle()
	require.Equal(t, "Europe/Berlin", table.Timezone, "it does not change because a host came back that had been down")
	require.Equal(t, "UTC on ch-1-1:9000, Europe/Berlin on ch-1-2:9000", table.Zones.String())

	c.noteZone("ch-1-2:9000", "UTC")
	table = settle()
	require.Equal(t, "UTC", table.Timezone, "no server has the other one any more")
	require.Empty(t, table.Zones)

	c.noteZone("seed:9000", "Asia/Tokyo")
	require.Equal(t, "UTC on ch-1-1:9000, Asia/Tokyo on seed:9000", settle().Zones.String())

	c.publish(&Layout{Table: l.Table, Shards: l.Shards[:1]})
	require.NotContains(t, c.zones, "ch-2-1:9000", "hosts that are gone are forgotten")
	require.Len(t, c.zones, 3)
}
