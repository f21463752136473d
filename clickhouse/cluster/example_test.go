package cluster_test

import (
	"context"
	"fmt"
	"log"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
)

// Each shard of the table gets one row, through whichever of its replicas is well.
func Example() {
	ctx := context.Background()
	c, err := cluster.Open(ctx, cluster.Config{
		Addresses: []string{"ch-1:9000", "ch-2:9000"},
		Database:  "dw",
		Table:     "events", // a Distributed table
	})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	layout := c.Layout() // what one batch goes by, however the topology changes meanwhile
	for shard := range layout.Shards {
		conn, err := c.Acquire(ctx, layout, shard)
		if err != nil {
			log.Fatal(err)
		}
		id := proto.ColUInt64{uint64(shard)}
		err = conn.Do(ctx, ch.Query{
			Body:  fmt.Sprintf("INSERT INTO %s (id) VALUES", layout.Target(shard)),
			Input: proto.Input{{Name: "id", Data: &id}},
		})
		conn.Release(err)
		if err != nil {
			log.Fatal(err)
		}
	}
}
