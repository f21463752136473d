package cluster

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPinOfAReplicatedTable(t *testing.T) {
	c, l := offline(Config{}, 2, 2, 1)
	b, err := l.Pin(true).MarshalBinary()
	require.NoError(t, err)
	require.LessOrEqual(t, len(b), 2+3*10)

	// b is: a shard was added in front, one replica of each shard was replaced, the weights have changed.
	_, now := offline(Config{}, 2, 2, 2, 1)
	added := now.Shards[3]
	now.Shards = append([]Shard{added}, l.Shards...)
	for i := 1; i < len(now.Shards); i++ {
		s := &now.Shards[i]
		s.Index, s.Weight = i, 100
		if len(s.Replicas) > 1 {
			replaced := &Replica{Shard: s.Number, Host: "new-" + s.Replicas[0].Host, Port: 9000, Address: "new:9000"}
			c.attach(replaced)
			s.Replicas = append([]*Replica{replaced}, s.Replicas[1:]...)
		}
	}
	now.Table = &Table{Database: "dw", Name: "today"}
	c.publish(now)

	got, err := c.Resolve(b)
	require.NoError(t, err)
	require.Equal(t, []uint32{1, 2, 3}, got.Weights(), "the weights are those of then")
	require.Equal(t, "today", got.Table.Name, "the table is that of now")
	require.Len(t, got.Shards, 3)
	for i, s := range got.Shards {
		require.Equal(t, i, s.Index)
		require.Equal(t, l.Shards[i].Number, s.Number)
		require.Nil(t, s.Pinned)
	}
	again, err := got.MarshalBinary()
	require.NoError(t, err)
	require.NotEqual(t, b, again, "the replicas are those of now")
}

func TestPinOfATableThatDoesNotReplicate(t *testing.T) {
	c, l := offline(Config{Replicas: PolicyRoundRobin}, 3, 3)
	p := l.Pin(false)
	require.Nil(t, l.Shards[0].Pinned, "the layout itself is not changed")
	b, err := p.MarshalBinary()
	require.NoError(t, err)
	require.Len(t, b, 2+2*6)
	got, err := c.Resolve(b)
	require.NoError(t, err)
	for i := range got.Shards {
		require.NotNil(t, got.Shards[i].Pinned)
		require.Equal(t, p.Shards[i].Pinned.ID(), got.Shards[i].Pinned.ID())
		require.Equal(t, []*Replica{got.Shards[i].Pinned}, c.candidates(&got.Shards[i], []*Replica{got.Shards[i].Pinned}), "nothing else may be used, even if it failed")
	}
	require.Equal(t, p.Shards[0].Pinned, p.Pin(false).Shards[0].Pinned, "a pinned layout stays pinned")

	l.Shards[0].InternalReplication = false
	require.Nil(t, l.Pin(false).Shards[0].Pinned, "every replica is written, so none is chosen")
}

func TestResolveNamesWhatIsGone(t *testing.T) {
	c, l := offline(Config{}, 2, 2)
	replicated, err := l.MarshalBinary()
	require.NoError(t, err)
	pinned, err := l.Pin(false).MarshalBinary()
	require.NoError(t, err)

	_, now := offline(Config{}, 2, 2)
	now.Shards = now.Shards[:1]
	c.publish(now)
	_, err = c.Resolve(replicated)
	var gone *ShardGoneError
	require.ErrorAs(t, err, &gone)
	require.Equal(t, 1, gone.Shard)
	require.False(t, gone.Pinned)
	require.ElementsMatch(t, []string{"ch-2-1:9000", "ch-2-2:9000"}, gone.Replicas)
	require.ErrorContains(t, err, "shard 2 of the recorded layout")

	_, err = c.Resolve(pinned)
	require.ErrorContains(t, err, "pinned replica of shard 2")

	other, _ := offline(Config{}, 1)
	_, err = other.Resolve(pinned)
	require.ErrorAs(t, err, &gone)
	require.Contains(t, err.Error(), "host #", "another process does not know the name")
}

func TestResolveRefusesForeignBytes(t *testing.T) {
	c, l := offline(Config{}, 2, 2)
	good, err := l.MarshalBinary()
	require.NoError(t, err)
	_, err = c.Resolve(nil)
	require.ErrorIs(t, err, ErrBadPin)
	for i := range good {
		_, err := c.Resolve(good[:i])
		require.ErrorIs(t, err, ErrBadPin, "cut at %d", i)
	}
	_, err = c.Resolve(append(good, 0))
	require.ErrorIs(t, err, ErrBadPin)
	_, err = c.Resolve([]byte{pinVersion, 0xff, 0xff, 0xff, 0xff, 0x7f})
	require.ErrorIs(t, err, ErrBadPin)
	_, err = c.Resolve([]byte{pinVersion + 1, 0})
	require.ErrorIs(t, err, ErrBadPin)
}

// FuzzResolve: foreign bytes are refused or resolved, never worse.
func FuzzResolve(f *testing.F) {
	c, l := offline(Config{}, 2, 3)
	for _, layout := range []*Layout{l, l.Pin(false)} {
		b, err := layout.MarshalBinary()
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := c.Resolve(b); err == nil {
			require.LessOrEqual(t, len(got.Shards), len(b))
		}
	})
}

func TestShardsOfOneHostAreToldApart(t *testing.T) {
	c, _ := offline(Config{}, 1)
	members := []member{
		{shard: 1, weight: 1, replica: 1, host: "a", port: 9000, database: "shard_1"},
		{shard: 2, weight: 1, replica: 1, host: "a", port: 9000, database: "shard_2"},
	}
	l := &Layout{Table: &Table{Name: "t"}, Shards: c.shards(members, "", "a:9000")}
	require.Equal(t, []string{"`shard_1`.`t`", "`shard_2`.`t`"}, []string{l.Target(0), l.Target(1)})
	c.publish(l)
	b, err := l.MarshalBinary()
	require.NoError(t, err)
	got, err := c.Resolve(b)
	require.NoError(t, err)
	require.Equal(t, "shard_2", got.Shards[1].Database)
	require.NotSame(t, l.Shards[0].Replicas[0].state, l.Shards[1].Replicas[0].state)
	require.Same(t, l.Shards[0].Replicas[0].node, l.Shards[1].Replicas[0].node)
}
