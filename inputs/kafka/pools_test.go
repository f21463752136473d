package kafka

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestClassesOfSlices(t *testing.T) {
	for n := 4; n < 5000; n++ {
		k := class(n)
		require.LessOrEqual(t, classSize(k), n)
		require.Greater(t, classSize(k+1), n)
		require.LessOrEqual(t, classSize(k+1)-classSize(k), max(n/4, 1), "at most a quarter is left unused")
	}
	var c classes[byte]
	for _, n := range []int{0, 1, 4, 5, 1000, 1 << 20, 1<<20 + 1} {
		s := c.get(n)
		require.GreaterOrEqual(t, cap(s), n)
		c.put(s)
		require.GreaterOrEqual(t, cap(c.get(cap(s))), n, "what was put is large enough for its class")
	}
}

func TestBuffersFollowTheCompressionRatio(t *testing.T) {
	p := &pools{}
	p.OnFetchBatchRead(kgo.BrokerMetadata{}, "clicks", 0, kgo.FetchBatchMetrics{CompressionType: 3, CompressedBytes: 1000, UncompressedBytes: 6000})
	p.OnFetchBatchRead(kgo.BrokerMetadata{}, "clicks", 0, kgo.FetchBatchMetrics{CompressionType: 3, CompressedBytes: 80, UncompressedBytes: 80}) // one record
	p.OnFetchBatchRead(kgo.BrokerMetadata{}, "plain", 0, kgo.FetchBatchMetrics{CompressedBytes: 1000, UncompressedBytes: 1000})
	b := p.GetDecompressBytes(make([]byte, 100), kgo.CodecLz4)
	require.GreaterOrEqual(t, cap(b), 590+readAhead)
	require.Less(t, cap(b), 2*(600+readAhead))
	p.PutDecompressBytes(b)
}
