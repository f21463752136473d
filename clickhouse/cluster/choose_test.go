package cluster

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// offline makes a Cluster without a server, and a layout of so many replicas for each shard.
func offline(cfg Config, replicas ...int) (*Cluster, *Layout) {
	cfg.setDefaults()
	c := newCluster(cfg)
	l := &Layout{Table: &Table{Database: "dw", Name: "events_local"}}
	for i, n := range replicas {
		s := Shard{Index: i, Number: uint32(i + 1), Weight: uint32(i + 1), InternalReplication: true, Database: "dw"}
		for j := range n {
			r := &Replica{Shard: s.Number, Number: uint32(j + 1), Host: fmt.Sprintf("ch-%d-%d", i+1, j+1), Port: 9000}
			r.Address = r.ID()
			c.attach(r)
			s.Replicas = append(s.Replicas, r)
		}
		l.Shards = append(l.Shards, s)
	}
	c.publish(l)
	return c, l
}

func hosts(replicas []*Replica) []string {
	names := make([]string, len(replicas))
	for i, r := range replicas {
		names[i] = r.Host
	}
	return names
}

func TestPolicies(t *testing.T) {
	t.Run("in_order", func(t *testing.T) {
		c, l := offline(Config{Replicas: PolicyInOrder}, 3)
		for range 10 {
			require.Equal(t, []string{"ch-1-1", "ch-1-2", "ch-1-3"}, hosts(c.candidates(&l.Shards[0], nil)))
		}
	})
	t.Run("round_robin", func(t *testing.T) {
		c, l := offline(Config{Replicas: PolicyRoundRobin}, 3, 3)
		for i := range 9 {
			require.Equal(t, fmt.Sprintf("ch-1-%d", i%3+1), c.candidates(&l.Shards[0], nil)[0].Host)
			require.Equal(t, fmt.Sprintf("ch-2-%d", i%3+1), c.candidates(&l.Shards[1], nil)[0].Host, "each shard has its own turn")
		}
	})
	t.Run("random", func(t *testing.T) {
		c, l := offline(Config{}, 3)
		firsts := map[string]int{}
		for range 3000 {
			got := c.candidates(&l.Shards[0], nil)
			require.Len(t, got, 3)
			firsts[got[0].Host]++
		}
		for _, n := range firsts {
			require.InDelta(t, 1000, n, 200)
		}
		require.Len(t, firsts, 3)
	})
	t.Run("nearest", func(t *testing.T) {
		c, l := offline(Config{Replicas: PolicyNearest}, 3)
		c.here = "ch-1-2"
		others := map[string]bool{}
		for range 200 {
			got := hosts(c.candidates(&l.Shards[0], nil))
			require.Equal(t, "ch-1-2", got[0])
			others[got[1]] = true
		}
		require.Len(t, others, 2, "equally near ones take turns")
	})
}

// What comes after the short name tells data centres apart.
func TestNearestLooksAtTheDomain(t *testing.T) {
	c, l := offline(Config{Replicas: PolicyNearest}, 3)
	c.here = "app-1.west.example.com"
	for i, host := range []string{"ch-01.east.example.com", "ch-02.west.example.com", "ch-03.east.example.com"} {
		l.Shards[0].Replicas[i].Host = host
	}
	for range 20 {
		require.Equal(t, "ch-02.west.example.com", c.candidates(&l.Shards[0], nil)[0].Host)
	}
	short, err := os.Hostname()
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(fullHostName(t.Context()), short))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.NotEmpty(t, fullHostName(gone), "a name service that does not answer keeps nobody waiting")
}

func TestHostDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{
		{"ch-01", "ch-01", 0},
		{"ch-01", "ch-02", 1},
		{"ch-01", "ch-012", 0},
		{"ch-01", "xx-09", 3},
		{"", "ch-01", 0},
	}
	for _, test := range tests {
		require.Equal(t, test.want, hostDistance(test.a, test.b), "%s %s", test.a, test.b)
		require.Equal(t, test.want, hostDistance(test.b, test.a))
	}
}

func TestIllReplicasArePassedOver(t *testing.T) {
	c, l := offline(Config{Replicas: PolicyInOrder, MaxDelay: time.Minute}, 4)
	s := &l.Shards[0]
	r := s.Replicas

	c.note(r[0], [][]string{{"0", "61"}})
	require.Equal(t, []string{"ch-1-2", "ch-1-3", "ch-1-4", "ch-1-1"}, hosts(c.candidates(s, nil)), "a lagging one comes last")
	require.Equal(t, []string{"ch-1-3", "ch-1-4", "ch-1-1", "ch-1-2"}, hosts(c.candidates(s, r[1:2])), "but before one that has just failed")

	c.note(r[1], [][]string{{"1", "0"}})
	require.Equal(t, []string{"ch-1-3", "ch-1-4", "ch-1-1", "ch-1-2"}, hosts(c.candidates(s, nil)), "a read-only one comes after it")
	r[2].node.circuit.failure(time.Now(), errDown)
	require.Equal(t, []string{"ch-1-4", "ch-1-1", "ch-1-2", "ch-1-3"}, hosts(c.candidates(s, nil)), "an open circuit comes at the very end")
	require.Equal(t, Health{Up: false}, r[2].Health())

	r[2].node.circuit.until = time.Now()
	require.Equal(t, []string{"ch-1-4", "ch-1-1", "ch-1-3", "ch-1-2"}, hosts(c.candidates(s, nil)), "one that may be back is better than one that refuses")
	c.note(r[0], [][]string{{"0", "60"}})
	c.note(r[1], [][]string{{"0", "0"}})
	r[2].node.circuit.success(true)
	require.Equal(t, []string{"ch-1-1", "ch-1-2", "ch-1-3", "ch-1-4"}, hosts(c.candidates(s, nil)))

	c.note(r[0], nil)
	require.True(t, r[0].Health().ReadOnly, "a replica that does not list the table does not have it")
}

func TestAnyDelayIsAcceptedWhenNegative(t *testing.T) {
	c, l := offline(Config{Replicas: PolicyInOrder, MaxDelay: -1}, 2)
	c.note(l.Shards[0].Replicas[0], [][]string{{"0", "100000"}})
	require.Equal(t, []string{"ch-1-1", "ch-1-2"}, hosts(c.candidates(&l.Shards[0], nil)))
}

// Clusters in Kubernetes have ever other hosts.
func TestHostsThatAreGoneAreForgotten(t *testing.T) {
	c, l := offline(Config{}, 2)
	kept := l.Shards[0].Replicas[0]
	next := *l
	for i := range 100 {
		came := &Replica{Shard: 1, Number: 2, Host: fmt.Sprintf("10.0.0.%d", i), Port: 9000}
		came.Address = came.ID()
		c.attach(came)
		next.Shards = []Shard{{Number: 1, Weight: 1, InternalReplication: true, Database: "dw", Replicas: []*Replica{kept, came}}}
		c.publish(&next)
	}
	require.Len(t, c.states, 2)
	require.Len(t, c.nodes, 2)
	require.Same(t, kept.state, c.states[kept.Address+"/"])
}
