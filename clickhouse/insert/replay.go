package insert

import (
	"context"
	"errors"
	"fmt"
	"time"

	ch "github.com/ClickHouse/ch-go"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/clickhouse/spool"
)

// ErrForgotten says that a spooled block may have landed so long ago that the table would not recognise it.
var ErrForgotten = errors.New("block may be in the table already, and the table no longer remembers its name: compare by hand, then replay with force, or drop it")

// Replay inserts a spooled block under the name it was first sent with, into the shard and, where only one replica knows that name,
// the replica it was meant for. Replaying twice, or what had landed, changes nothing while the deduplication window holds; when it
// does not, the error is ErrForgotten unless force is set. A damaged file is a *spool.CorruptError. The file is kept.
func Replay(ctx context.Context, c *cluster.Cluster, path string, force bool) (spool.Header, error) {
	h, input, err := spool.Read(path)
	if err != nil {
		return h, err
	}
	layout, err := c.Resolve(h.Layout)
	if err != nil {
		return h, fmt.Errorf("replaying %q: %w", path, err)
	}
	if h.Shard >= len(layout.Shards) {
		return h, &spool.CorruptError{Path: path, Reason: fmt.Sprintf("it is for shard %d of %d", h.Shard+1, len(layout.Shards))}
	}
	if !force {
		if err := remembered(ctx, c, layout, h); err != nil {
			return h, fmt.Errorf("replaying %q: %w", path, err)
		}
	}
	conn, err := replayTo(ctx, c, layout, h)
	if err != nil {
		return h, fmt.Errorf("replaying %q: %w", path, err)
	}
	settings := append(baseSettings(nil), ch.Setting{Key: "insert_deduplication_token", Value: h.Name, Important: true})
	err = conn.Do(ctx, ch.Query{Body: statement(layout.Target(h.Shard), input), Input: input, Settings: settings})
	conn.Release(err)
	if err != nil {
		return h, fmt.Errorf("replaying %q into shard %d: %w", path, h.Shard+1, err)
	}
	return h, nil
}

// remembered tells whether the table would still recognise the block, if it has it.
func remembered(ctx context.Context, c *cluster.Cluster, layout *cluster.Layout, h spool.Header) error {
	if !h.Sent {
		return nil
	}
	d, err := c.CheckDeduplication(ctx, layout)
	var check *cluster.CheckError
	if errors.As(err, &check) {
		return fmt.Errorf("%w (%w)", ErrForgotten, err)
	}
	if err != nil {
		return err
	}
	if d.Window > 0 && time.Since(h.Written) > d.Window-windowMargin {
		return fmt.Errorf("%w (first sent at %s, remembered for %s)", ErrForgotten, h.Written.Format(time.RFC3339), d.Window)
	}
	return nil
}

// replayTo takes a connection to where the block has to go.
func replayTo(ctx context.Context, c *cluster.Cluster, layout *cluster.Layout, h spool.Header) (*cluster.Conn, error) {
	if h.Replica == "" {
		return c.Acquire(ctx, layout, h.Shard)
	}
	for _, r := range layout.Shards[h.Shard].Replicas {
		if r.ID() == h.Replica {
			return c.AcquireReplica(ctx, r)
		}
	}
	return nil, fmt.Errorf("replica %s, the only one that may have the block, is no longer in shard %d", h.Replica, h.Shard+1)
}
