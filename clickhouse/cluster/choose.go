package cluster

import (
	"context"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Tiers of replicas, the best first. Within a tier the policy decides.
const (
	tierHealthy  = iota
	tierLagging  // alive, its data is late: readers suffer, an insert does not
	tierAvoided  // failed for this caller a moment ago
	tierInDoubt  // circuit may be tried
	tierReadOnly // will refuse an insert
	tierOpen     // circuit is open: tried only to say why
)

// candidates lists the replicas of a shard in the order in which to try them.
func (c *Cluster) candidates(s *Shard, avoid []*Replica) []*Replica {
	if s.Pinned != nil {
		return []*Replica{s.Pinned}
	}
	if len(s.Replicas) == 1 {
		return s.Replicas
	}
	ordered := c.byPolicy(s)
	now := time.Now()
	tiers := make(map[*Replica]int, len(ordered))
	for _, r := range ordered {
		tiers[r] = c.tier(r, avoid, now)
	}
	slices.SortStableFunc(ordered, func(a, b *Replica) int { return tiers[a] - tiers[b] })
	return ordered
}

func (c *Cluster) tier(r *Replica, avoid []*Replica, now time.Time) int {
	closed, probe := r.node.circuit.usable(now)
	avoided := slices.ContainsFunc(avoid, func(a *Replica) bool { return a != nil && a.Address == r.Address })
	switch {
	case !closed && !probe:
		return tierOpen
	case r.state.readOnly.Load():
		return tierReadOnly
	case probe:
		return tierInDoubt
	case avoided:
		return tierAvoided
	case c.lagging(r):
		return tierLagging
	}
	return tierHealthy
}

func (c *Cluster) lagging(r *Replica) bool {
	return c.cfg.MaxDelay >= 0 && time.Duration(r.state.delay.Load())*time.Second > c.cfg.MaxDelay
}

// byPolicy returns the replicas in the order that the policy gives without regard to their health.
func (c *Cluster) byPolicy(s *Shard) []*Replica {
	ordered := slices.Clone(s.Replicas)
	switch c.cfg.Replicas {
	case PolicyInOrder:
	case PolicyRoundRobin:
		n := int(c.round(s.Number).Add(1)-1) % len(ordered)
		ordered = append(ordered[n:len(ordered):len(ordered)], ordered[:n]...)
	case PolicyNearest:
		shuffle(ordered)
		slices.SortStableFunc(ordered, func(a, b *Replica) int {
			return hostDistance(c.here, a.Host) - hostDistance(c.here, b.Host)
		})
	default:
		shuffle(ordered)
	}
	return ordered
}

func (c *Cluster) round(shard uint32) *atomic.Uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.rounds[shard]
	if n == nil {
		n = new(atomic.Uint32)
		c.rounds[shard] = n
	}
	return n
}

func shuffle(r []*Replica) { rand.Shuffle(len(r), func(i, j int) { r[i], r[j] = r[j], r[i] }) }

// nameLookup bounds the look-up of this host's full name.
const nameLookup = 2 * time.Second

// fullHostName is the name of this host that ClickHouse compares with those of the replicas (base/base/getFQDNOrHostName.cpp, 26.7): the one that DNS or
// the hosts file have for it, domain included, or else the short one.
func fullHostName(ctx context.Context) string {
	short, err := os.Hostname()
	if err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, nameLookup)
	defer cancel()
	full, err := net.DefaultResolver.LookupCNAME(ctx, short)
	if err != nil || full == "" {
		return short
	}
	return strings.TrimSuffix(full, ".")
}

// hostDistance counts the positions at which two host names differ, up to the end of the shorter one: nearest_hostname of
// ClickHouse 26.7 (getHostNamePrefixDistance in src/Common/isLocalAddress.cpp).
func hostDistance(a, b string) int {
	n := 0
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}
