// Package sharding proves clickhouse/sharding against a real server: the values of every function on every type it takes,
// and the shard on which an INSERT into a real Distributed table puts every row.
package sharding

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/tests/services"
)

var (
	seed   = flag.Uint64("seed", 1, "seed of the random rows; 0 draws one, and the run names it")
	rows   = flag.Int("rows", 100_000, "random rows for each function and type")
	update = flag.Bool("update", false, "write clickhouse/sharding/testdata/vectors.tsv from the server's answers")
)

var server *services.Node

// weightSets are the clusters that rows are inserted through: w0, w1, …
var weightSets = [][]int{{1, 2, 0, 3}, {1, 1}, {3, 0, 2}, {1, 2, 3, 1, 2}, {0, 5, 250}}

// database holds the tables of one shard; all shards share the node, which is quicker and makes no difference to routing.
func database(shard int) string { return fmt.Sprintf("shard_%d", shard) }

func clusterName(set int) string { return fmt.Sprintf("w%d", set) }

func maxShards() int {
	return len(slices.MaxFunc(weightSets, func(a, b []int) int { return len(a) - len(b) }))
}

func TestMain(m *testing.M) {
	flag.Parse()
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	clusters := map[string][]services.Shard{}
	for set, weights := range weightSets {
		var shards []services.Shard
		for i, w := range weights {
			shards = append(shards, services.Shard{Weight: w, Replicas: []services.Replica{{Database: database(i)}}})
		}
		clusters[clusterName(set)] = shards
	}
	c, err := services.Start(context.Background(), services.Options{ClickHouse: true, Clusters: clusters})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer c.Stop()
	server = c.Servers[0]
	databases := []string{"rows", "keyed", "placed"}
	for i := range maxShards() {
		databases = append(databases, database(i))
	}
	for _, name := range databases {
		if err := server.ExecContext(context.Background(), "CREATE DATABASE "+name+" ENGINE = Memory"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	fmt.Fprintf(os.Stdout, "random rows of seed %d: run again with -seed=%d\n", *seed, *seed)
	return m.Run()
}

// quote spells a string literal.
func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// refused runs a statement that has to fail, and returns the server's words.
func refused(t *testing.T, statement string) string {
	t.Helper()
	err := server.ExecContext(t.Context(), statement)
	require.Error(t, err, statement)
	return err.Error()
}
