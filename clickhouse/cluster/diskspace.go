package cluster

import (
	"context"
	"fmt"
	"math"
	"math/bits"
)

// FreeSpace reads, for each shard of the layout, how many bytes are free on the disks of the table's storage policy: the
// least among the replicas that answer. A shard none of whose replicas answers has 0. Reserved space counts as used.
func (c *Cluster) FreeSpace(ctx context.Context, l *Layout) ([]uint64, error) {
	free := make([]uint64, len(l.Shards))
	var failed []error
	answered := false
	for i := range l.Shards {
		least, ok := uint64(math.MaxUint64), false
		for _, r := range l.Shards[i].Replicas {
			n, err := c.freeOn(ctx, l, &l.Shards[i], r)
			if err != nil {
				failed = append(failed, addressed(r.String(), err))
				continue
			}
			least, ok = min(least, n), true
		}
		if ok {
			free[i], answered = least, true
		}
	}
	if !answered {
		return nil, fmt.Errorf("reading free disk space: %w", worst(failed))
	}
	return free, nil
}

// freeOn sums over the disks; object storage reports the largest number there is, which must not wrap round.
func (c *Cluster) freeOn(ctx context.Context, l *Layout, s *Shard, r *Replica) (sum uint64, err error) {
	body := fmt.Sprintf("FROM system.disks WHERE name IN (SELECT arrayJoin(disks) FROM system.storage_policies "+
		"WHERE policy_name IN (SELECT storage_policy FROM system.tables WHERE database = %s AND name = %s))",
		quoteString(s.Database), quoteString(l.Table.Name))
	err = c.on(ctx, r.Address, func(conn *Conn) error {
		rows, err := conn.rows(ctx, []string{"unreserved_space"}, body)
		if err == nil && len(rows) == 0 {
			// The engine (Null, Log, Memory) has no storage policy: the server's default disk stands for it.
			rows, err = conn.rows(ctx, []string{"unreserved_space"}, "FROM system.disks WHERE name = 'default'")
		}
		for _, row := range rows {
			total, carry := bits.Add64(sum, number(row[0]), 0)
			if carry > 0 {
				total = math.MaxUint64
			}
			sum = total
		}
		return err
	})
	return sum, err
}
