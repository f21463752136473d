package cluster

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"
)

const (
	pinVersion = 1
	// pinReplicas is how many replicas of a replicated shard are recorded: it is the same shard while one of them is in it.
	pinReplicas = 3
	// maxPinnedShards guards against reading a length out of foreign bytes.
	maxPinnedShards = 1 << 16
)

// identity condenses host:port of a replica as the cluster defines it.
func identity(r *Replica) uint32 { return uint32(xxhash.Sum64String(r.ID())) }

// MarshalBinary encodes what a later attempt must agree on: shards in their order, weights, and either the pinned replica
// or up to three replicas that tell which shard it is. For each shard that is 5 to 13 bytes, and one or two for the weight.
// The table is not part of it.
func (l *Layout) MarshalBinary() ([]byte, error) {
	b := []byte{pinVersion}
	b = binary.AppendUvarint(b, uint64(len(l.Shards)))
	for i := range l.Shards {
		s := &l.Shards[i]
		b = binary.AppendUvarint(b, uint64(s.Weight))
		if s.Pinned != nil {
			b = append(b, 0)
			b = binary.LittleEndian.AppendUint32(b, identity(s.Pinned))
			continue
		}
		ids := s.identities()
		b = append(b, byte(len(ids)))
		for _, id := range ids {
			b = binary.LittleEndian.AppendUint32(b, id)
		}
	}
	return b, nil
}

// identities picks the replicas that a shard is recognised by; the same ones whatever their order.
func (s *Shard) identities() []uint32 {
	ids := make([]uint32, len(s.Replicas))
	for i, r := range s.Replicas {
		ids[i] = identity(r)
	}
	slices.Sort(ids)
	return ids[:min(len(ids), pinReplicas)]
}

// pinnedShard is one shard of a recorded layout.
type pinnedShard struct {
	weight uint32
	pinned bool
	ids    []uint32
}

func parsePin(b []byte) ([]pinnedShard, error) {
	if len(b) == 0 || b[0] != pinVersion {
		return nil, fmt.Errorf("%w: not version %d", ErrBadPin, pinVersion)
	}
	b = b[1:]
	n, size := binary.Uvarint(b)
	if size <= 0 || n > maxPinnedShards {
		return nil, fmt.Errorf("%w: number of shards", ErrBadPin)
	}
	b = b[size:]
	var shards []pinnedShard
	for i := range n {
		weight, size := binary.Uvarint(b)
		if size <= 0 || weight > 1<<32-1 || len(b) <= size {
			return nil, fmt.Errorf("%w: shard %d is cut off", ErrBadPin, i+1)
		}
		p := pinnedShard{weight: uint32(weight), pinned: b[size] == 0}
		count := max(int(b[size]), 1)
		b = b[size+1:]
		if count > pinReplicas || len(b) < 4*count {
			return nil, fmt.Errorf("%w: shard %d is cut off", ErrBadPin, i+1)
		}
		for range count {
			p.ids = append(p.ids, binary.LittleEndian.Uint32(b))
			b = b[4:]
		}
		shards = append(shards, p)
	}
	if len(b) > 0 {
		return nil, fmt.Errorf("%w: %d bytes too many", ErrBadPin, len(b))
	}
	return shards, nil
}

// Resolve gives the layout that MarshalBinary recorded, with the addresses and the table of today: the recorded shards in
// the recorded order and with the recorded weights, whatever has been added or reordered since. *ShardGoneError when one
// of them is no longer there, ErrBadPin when the bytes are none of ours.
func (c *Cluster) Resolve(b []byte) (*Layout, error) {
	recorded, err := parsePin(b)
	if err != nil {
		return nil, err
	}
	now := c.Layout()
	l := &Layout{Version: now.Version, Cluster: now.Cluster, Table: now.Table, Shards: make([]Shard, len(recorded))}
	for i, p := range recorded {
		s, r := now.find(p.ids)
		if s == nil {
			return nil, &ShardGoneError{Shard: i, Replicas: c.names(p.ids), Pinned: p.pinned}
		}
		l.Shards[i] = *s
		l.Shards[i].Index, l.Shards[i].Weight = i, p.weight
		if p.pinned {
			l.Shards[i].Pinned = r
		}
	}
	return l, nil
}

// find gives the shard that has one of the replicas.
func (l *Layout) find(ids []uint32) (*Shard, *Replica) {
	for i := range l.Shards {
		for _, r := range l.Shards[i].Replicas {
			if slices.Contains(ids, identity(r)) {
				return &l.Shards[i], r
			}
		}
	}
	return nil, nil
}

// names tells which hosts the identities were, as far as this process has seen them.
func (c *Cluster) names(ids []uint32) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := make([]string, len(ids))
	for i, id := range ids {
		name, ok := c.seen[id]
		if !ok {
			name = fmt.Sprintf("host #%08x", id)
		}
		names[i] = name
	}
	return names
}

// Pin fixes what a repeated insert must find again. On a replicated table any replica of the shard knows the blocks of the
// others, and the layout is returned unchanged. Otherwise one replica per shard is chosen by policy and health, and is the
// only one that Acquire then takes; shards whose every replica must be written are not narrowed, since each will be told.
func (l *Layout) Pin(replicated bool) *Layout {
	if replicated {
		return l
	}
	p := *l
	p.Shards = slices.Clone(l.Shards)
	for i := range p.Shards {
		s := &p.Shards[i]
		if s.Pinned == nil && !s.WriteEach() && len(s.Replicas) > 0 {
			s.Pinned = s.Replicas[0].node.cluster.candidates(s, nil)[0]
		}
	}
	return &p
}
