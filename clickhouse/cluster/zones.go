package cluster

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// HostZone is a time zone, and a host whose server has it.
type HostZone struct{ Host, Zone string }

func (z HostZone) String() string { return z.Zone + " on " + z.Host }

// Zones are the time zones of servers that should have one.
type Zones []HostZone

func (z Zones) String() string {
	named := make([]string, len(z))
	for i, host := range z {
		named[i] = host.String()
	}
	return strings.Join(named, ", ")
}

// noteZone remembers what timezone() is on a host. It is known on while the host does not answer, so that the layout does not change
// with who happens to be down.
func (c *Cluster) noteZone(address, zone string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.zones[address] = zone
}

// settleZone picks the zone in which times without one are read: that of the last layout while a server has it. Where servers have other ones,
// it lists them. The hosts that are asked for the topology count too: an INSERT into the Distributed table there is read and placed there.
func (c *Cluster) settleZone(t *Table, l *Layout) {
	addresses := append(l.addresses(), c.cfg.bootstrap()...)
	c.mu.Lock()
	known := maps.Clone(c.zones)
	c.mu.Unlock()
	var zones Zones
	for _, address := range addresses {
		zone, ok := known[address]
		if ok && !slices.ContainsFunc(zones, func(z HostZone) bool { return sameClock(z.Zone, zone) }) {
			zones = append(zones, HostZone{address, zone})
		}
	}
	if len(zones) == 0 {
		return
	}
	t.Timezone = zones[0].Zone
	if last := c.layout.Load(); last != nil && slices.ContainsFunc(zones, func(z HostZone) bool { return sameClock(z.Zone, last.Table.Timezone) }) {
		t.Timezone = last.Table.Timezone
	}
	if len(zones) > 1 {
		t.Zones = zones
	}
}

// The years of ClickHouse's calendar, within which clocks are compared.
var (
	calendarBegin = time.Date(1900, time.January, 1, 0, 0, 0, 0, time.UTC)
	calendarEnd   = time.Date(2300, time.January, 1, 0, 0, 0, 0, time.UTC)
)

// sameClock tells whether two zones always show the same time, as Etc/UTC and UTC do, or a city that was renamed.
func sameClock(a, b string) bool {
	if a == b {
		return true
	}
	first, err := time.LoadLocation(a)
	if err != nil {
		return false
	}
	second, err := time.LoadLocation(b)
	if err != nil {
		return false
	}
	for at := calendarBegin; at.Before(calendarEnd); {
		_, here := at.In(first).Zone()
		_, there := at.In(second).Zone()
		if here != there {
			return false
		}
		at = earlier(periodEnd(at.In(first)), periodEnd(at.In(second)))
	}
	return true
}

// periodEnd is when the clock is set next, or an earlier time after the given one: at the end of a leap year Go (1.26) gives that back itself.
func periodEnd(at time.Time) time.Time {
	_, end := at.ZoneBounds()
	switch {
	case end.IsZero():
		return calendarEnd
	case !end.After(at):
		return at.Add(time.Hour)
	}
	return end
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
