package kafka

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"
)

// pools are what the client decompresses and decodes into. Records are copied out of it as soon as they are polled (packed), and then it is used again.
// What is never given back (the client drops fetched records when partitions go) is collected, and so is what lies idle.
type pools struct {
	bytes   classes[byte]
	records classes[kgo.Record]
	ratio   atomic.Int64 // decompressed bytes per 16 compressed ones, of late: falling slowly, since small batches compress badly
}

var (
	_ kgo.PoolDecompressBytes = (*pools)(nil)
	_ kgo.PoolRecords         = (*pools)(nil)
	_ kgo.HookFetchBatchRead  = (*pools)(nil)
)

// readAhead is what decompressing needs beyond the data, not to grow its buffer at the end (bytes.MinRead).
const readAhead = 512

// usualRatio is what is taken for the ratio before the first batch.
const usualRatio = 4 * 16

// GetDecompressBytes implements kgo.PoolDecompressBytes. The result is large enough for a batch that compresses a little better than the last ones did.
func (p *pools) GetDecompressBytes(compressed []byte, _ kgo.CompressionCodecType) []byte {
	n, ratio := int64(len(compressed)), p.ratio.Load()
	if ratio == 0 {
		ratio = usualRatio
	}
	return p.bytes.get(int(n*ratio/16 + n/2 + readAhead))
}

// PutDecompressBytes implements kgo.PoolDecompressBytes.
func (p *pools) PutDecompressBytes(b []byte) { p.bytes.put(b) }

// GetRecords implements kgo.PoolRecords.
func (p *pools) GetRecords(n int) []kgo.Record { return p.records.get(n) }

// PutRecords implements kgo.PoolRecords.
func (p *pools) PutRecords(r []kgo.Record) { p.records.put(r) }

// OnFetchBatchRead implements kgo.HookFetchBatchRead.
func (p *pools) OnFetchBatchRead(_ kgo.BrokerMetadata, _ string, _ int32, m kgo.FetchBatchMetrics) {
	if m.CompressionType == 0 || m.CompressedBytes == 0 {
		return
	}
	ratio := int64(m.UncompressedBytes) * 16 / int64(m.CompressedBytes)
	if last := p.ratio.Load(); ratio < last {
		ratio = last - (last-ratio)/8
	}
	p.ratio.Store(ratio)
}

// classes keep slices by capacity, in steps of a quarter of each power of two: the client clears a slice over all of its capacity, so that a large one
// must not be used for a small batch.
type classes[T any] [4 * bits.UintSize]sync.Pool

// class is the highest class whose size is at most n.
func class(n int) int {
	if n < 4 {
		return 0
	}
	exp := bits.Len(uint(n)) - 3
	return 4*exp + n>>exp&3
}

func classSize(class int) int { return (4 + class&3) << (class >> 2) }

func (c *classes[T]) get(n int) []T {
	k := class(n)
	if classSize(k) < n {
		k++
	}
	if s, ok := c[k].Get().(*[]T); ok {
		return *s
	}
	return make([]T, 0, classSize(k))
}

func (c *classes[T]) put(s []T) {
	if cap(s) >= classSize(0) {
		c[class(cap(s))].Put(&s)
	}
}

// recycle gives back what the client has put fetched records into. They must not be used any more.
func recycle(fetches kgo.Fetches) {
	fetches.EachRecord((*kgo.Record).Recycle)
}
