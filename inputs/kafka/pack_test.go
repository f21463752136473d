package kafka

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/benthos-clickhouse/connect/delivery"
)

func manyRecords(n int) []*kgo.Record {
	records := make([]*kgo.Record, n)
	value := bytes.Repeat([]byte("v"), 490)
	for i := range records {
		records[i] = &kgo.Record{
			Topic: "clicks", Partition: 3, Offset: int64(i), Key: fmt.Appendf(nil, "user-%d", i), Value: value, Timestamp: time.UnixMilli(1_700_000_000_123),
		}
	}
	return records
}

func packConfig(perMessage int) *config {
	return &config{recordsPerMessage: perMessage, count: 100_000, byteSize: 1 << 30, fields: fields{topic: true, offset: true, key: true, timestampMs: true, headers: true}}
}

func TestPackedRecordsAreCopies(t *testing.T) {
	for _, perMessage := range []int{1, 2} {
		c := packConfig(perMessage)
		records := sampleRecords()
		a := sampleAttempt(c, records)
		before := fmt.Sprint(contents(t, c, a))
		for _, r := range records { // what the client does once they are recycled
			clear(r.Key)
			clear(r.Value)
			for _, h := range r.Headers {
				clear(h.Value)
			}
			*r = kgo.Record{Value: []byte("next"), Topic: "other"}
		}
		require.Equal(t, before, fmt.Sprint(contents(t, c, a)), "delivered again")
	}
}

func contents(t *testing.T, c *config, a attempt) (out []string) {
	t.Helper()
	for _, m := range c.messages(a) {
		content, err := m.AsBytes()
		require.NoError(t, err)
		meta := metadata(t, m)
		if rs, ok := meta[delivery.MetaRecords].(*delivery.Records); ok {
			meta[delivery.MetaRecords] = fmt.Sprintf("%+v", *rs)
		}
		out = append(out, fmt.Sprintf("%q %v", content, meta))
	}
	return out
}

func TestChunksFillUpWithoutGrowing(t *testing.T) {
	c := packConfig(1000)
	c.count = 2500
	var k packed
	fill := func() {
		k = k.next()
		for _, r := range manyRecords(2500) {
			k.push(c, r)
		}
	}
	fill()
	require.Len(t, k.chunks, 3)
	require.Equal(t, int64(2499), k.last)
	require.Equal(t, 500, k.chunks[2].records.Len())
	fill()
	for i, t2 := range k.chunks {
		n := t2.records.Len()
		require.Equal(t, n, cap(t2.records.Ends), i)
		require.Less(t, cap(t2.content), len(t2.content)*9/8, i)
		require.NoError(t, t2.records.Check(t2.content))
	}
}

func TestARecoveredRangeMayBeLargerThanRangesAreNow(t *testing.T) {
	for _, perMessage := range []int{1, 20} {
		s := testSession(func(c *config) { c.count, c.byteSize, c.recordsPerMessage = 50, 100, perMessage })
		p := newPartition(s, "clicks", [16]byte{1}, 0)
		p.restore(0, intentLog{ranges: []loggedRange{{from: 0, to: 9000, intents: []loggedIntent{{sink: "db.t"}}}}})
		s.parts[topicPart{"clicks", 0}] = p
		feed(p, 0, 9001)
		require.Equal(t, []string{"0-9000"}, ranges(p))
		require.Equal(t, 9000, s.testPop(t).records.n)
	}
}

func TestRangesAreSmallAfterAnAssignment(t *testing.T) {
	s := testSession(func(c *config) { c.count, c.inFlight = 32_000, 9 })
	p := s.testPartition(0)
	feed(p, 0, 50_000)
	require.Equal(t, []string{"0-2000", "2000-10000", "10000-42000"}, ranges(p))
}

func TestMemoryIsBounded(t *testing.T) {
	s := testSession(func(c *config) { c.count, c.maxBuffered = 1000, 50*(recordOverhead+messageOverhead+2) })
	p := s.testPartition(0)
	fetch(s, p, 0, 40)
	require.False(t, s.pressed)
	require.Empty(t, p.leases)
	fetch(s, p, 40, 60)
	require.True(t, s.pressed, "above the limit")
	require.Equal(t, []string{"0-60"}, ranges(p), "what is there goes out without waiting for its period")
	require.False(t, p.paused, "what the client has fetched stays in it")
	a := s.testPop(t)
	require.True(t, s.pressed)
	s.settle(a, nil)
	require.False(t, s.pressed)
	require.Zero(t, s.buffered)
}

// Many partitions, each with a backlog that came in large ranges, then with a record now and then.
func TestRoomAheadOfRecordsIsBounded(t *testing.T) {
	const limit = 1 << 20
	s := testSession(func(c *config) {
		c.count, c.byteSize, c.maxBuffered, c.recordsPerMessage = 10_000, limit/3, limit, 10_000
	})
	records := manyRecords(10_000)
	var parts []*partition
	for num := range int32(100) {
		p := newPartition(s, "clicks", [16]byte{1}, num)
		p.restore(0, intentLog{})
		p.ramp = 0
		s.parts[topicPart{"clicks", num}] = p
		parts = append(parts, p)
		p.add(records, time.Unix(100, 0))
		p.cutNow()
		for a, ok := s.pop(); ok; a, ok = s.pop() {
			s.settle(a, nil)
		}
	}
	require.Zero(t, s.buffered)
	room := 0
	for _, p := range parts {
		feed(p, 10_000, 10_001)
		for _, c := range p.open.chunks {
			room += cap(c.content)
		}
	}
	require.Less(t, room, limit*9/8)
	require.Greater(t, room, limit/2, "what there is is made use of")
}

func fetch(s *session, p *partition, from, to int64) {
	var records []*kgo.Record
	for o := from; o < to; o++ {
		records = append(records, &kgo.Record{Topic: p.topic, Partition: p.num, Offset: o, Value: []byte("vv")})
	}
	s.take(kgo.Fetches{{Topics: []kgo.FetchTopic{{Topic: p.topic, Partitions: []kgo.FetchPartition{{Partition: p.num, Records: records, HighWatermark: 900}}}}}}, time.Now())
}

func TestFullMemoryIsRelievedByTheLargestRanges(t *testing.T) {
	s := testSession(func(c *config) { c.count, c.maxBuffered = 1000, 100*(recordOverhead+messageOverhead+2) })
	var parts []*partition
	for num := range int32(4) {
		p := newPartition(s, "clicks", [16]byte{1}, num)
		p.restore(0, intentLog{})
		s.parts[topicPart{"clicks", num}] = p
		parts = append(parts, p)
	}
	for i, n := range []int64{10, 40, 20, 30} {
		fetch(s, parts[i], 0, n)
	}
	require.True(t, s.pressed)
	require.Equal(t, []string{"0-40"}, ranges(parts[1]))
	require.Equal(t, []string{"0-30"}, ranges(parts[3]))
	require.Empty(t, ranges(parts[0]), "half of the memory is on its way")
	require.Empty(t, ranges(parts[2]))
	s.settle(s.testPop(t), nil)
	require.False(t, s.pressed)
}

func TestARangeWithAFixedEndIsReadOnWhenMemoryIsFull(t *testing.T) {
	s := testSession(func(c *config) { c.count, c.maxBuffered = 1000, 10*(recordOverhead+messageOverhead+2) })
	p := newPartition(s, "clicks", [16]byte{1}, 1)
	p.restore(0, intentLog{ranges: []loggedRange{{from: 0, to: 50, intents: []loggedIntent{{sink: "db.t"}}}}})
	s.parts[topicPart{"clicks", 1}] = p
	other := s.testPartition(0)
	fetch(s, p, 0, 20)
	require.True(t, s.pressed)
	require.True(t, s.awaitRoom(), "its end has to be reached")
	require.True(t, other.paused)
	require.False(t, p.paused)
	fetch(s, p, 20, 50)
	require.Equal(t, []string{"0-50"}, ranges(p))
	require.False(t, other.paused)
	read := make(chan bool)
	go func() { read <- s.awaitRoom() }()
	s.settle(s.testPop(t), nil)
	require.True(t, <-read)
}

func BenchmarkPack(b *testing.B) {
	records := manyRecords(10_000)
	c := packConfig(10_000)
	var k packed
	b.ReportAllocs()
	for range b.N {
		k = k.next()
		for _, r := range records {
			k.push(c, r)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(records)), "ns/record")
}

func BenchmarkCut(b *testing.B) {
	records := make([]*kgo.Record, 10_000)
	for i := range records {
		records[i] = &kgo.Record{Topic: "clicks", Offset: int64(i), Value: []byte("v")}
	}
	for range b.N {
		s := testSession(func(c *config) { c.count = 5000 })
		s.testPartition(0).add(records, time.Unix(1, 0))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(records)), "ns/record")
}
