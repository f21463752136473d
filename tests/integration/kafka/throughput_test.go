package kafka_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// BenchmarkInput reads records into nothing, in a process of its own whose CPU time is what is reported: fetching, cutting, messages, commits.
func BenchmarkInput(b *testing.B) {
	const records = 500_000
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, "bench"))
	require.NoError(b, err)
	defer c.Close()
	addr := c.ListenAddrs()[0]
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.MaxBufferedRecords(50_000))
	require.NoError(b, err)
	defer client.Close()
	for i := range records {
		value := fmt.Sprintf(`{"id":%d,"text":%q}`, i, strings.Repeat(fmt.Sprint(i%977, " words of padding "), 40))
		client.Produce(b.Context(), &kgo.Record{Topic: "bench", Key: fmt.Appendf(nil, "user-%d", i%1000), Value: []byte(value[:490])}, nil)
	}
	require.NoError(b, client.Flush(b.Context()))
	br := newBroker(b, addr)
	run := 0
	for _, n := range []int{1, 10_000} {
		b.Run(fmt.Sprintf("records_per_message=%d", n), func(b *testing.B) {
			var cpu time.Duration
			for range b.N {
				run++
				group := fmt.Sprint("bench-", run)
				child := startChild(b, fmt.Sprintf(`
logger: { level: NONE }
input:
  kafka_exactly_once:
    seed_brokers: [ %q ]
    topics: [ bench ]
    consumer_group: %s
    records_per_message: %d
output:
  drop: {}
`, addr, group, n))
				br.requireCommitted(b, group, "bench")
				child.kill()
				cpu += child.cmd.ProcessState.UserTime() + child.cmd.ProcessState.SystemTime()
			}
			b.ReportMetric(float64(cpu.Nanoseconds())/float64(b.N*records), "cpu-ns/record")
		})
	}
}
