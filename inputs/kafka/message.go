package kafka

import (
	"context"
	"fmt"
	"strings"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/benthos-clickhouse/connect/delivery"
)

// fields says which metadata a message gets. The keys and the Go types of their values are those of Redpanda Connect's inputs.
type fields struct {
	topic, partition, offset, key, timestampMs, timestampUnix, headers, lag, tombstone bool
}

func parseFields(names []string) (f fields, err error) {
	for _, name := range names {
		switch name {
		case "topic":
			f.topic = true
		case "partition":
			f.partition = true
		case "offset":
			f.offset = true
		case "key":
			f.key = true
		case "timestamp_ms":
			f.timestampMs = true
		case "timestamp_unix":
			f.timestampUnix = true
		case "headers":
			f.headers = true
		case "lag":
			f.lag = true
		case "tombstone_message":
			f.tombstone = true
		default:
			return f, fmt.Errorf("unknown metadata %q: use topic, partition, offset, key, timestamp_ms, timestamp_unix, headers, lag or tombstone_message", name)
		}
	}
	return f, nil
}

// messages makes the batch of one delivery. Every message carries the lease, since a processor may drop any of them.
func (c *config) messages(a attempt, records []*kgo.Record, highWater int64) service.MessageBatch {
	ctx := delivery.NewContext(context.Background(), a)
	if c.recordsPerMessage > 1 {
		return c.packed(ctx, records, highWater)
	}
	batch := make(service.MessageBatch, len(records))
	d := c.describer(records, highWater)
	for i, r := range records {
		msg := service.NewMessageWithContext(ctx, r.Value)
		if c.fields.headers {
			addHeaders(msg, r) // first, so that a header cannot shadow a key of ours
		}
		d.describe(msg, r)
		batch[i] = msg
	}
	return batch
}

// describer sets the metadata of one batch. What records share is boxed once, and all keys are copied in one piece.
type describer struct {
	fields           *fields
	topic, partition any
	keys             string
	ms               int64
	msBoxed          any
	highWater        int64
}

func (c *config) describer(records []*kgo.Record, highWater int64) *describer {
	d := &describer{
		fields: &c.fields, highWater: highWater, msBoxed: int64(0),
		topic: records[0].Topic, partition: int(records[0].Partition),
	}
	if c.fields.key {
		size := 0
		for _, r := range records {
			size += len(r.Key)
		}
		var keys strings.Builder
		keys.Grow(size)
		for _, r := range records {
			keys.Write(r.Key)
		}
		d.keys = keys.String()
	}
	return d
}

// describe is called for the records in their order.
func (d *describer) describe(msg *service.Message, r *kgo.Record) {
	f := d.fields
	if f.topic {
		msg.MetaSetMut("kafka_topic", d.topic)
	}
	if f.partition {
		msg.MetaSetMut("kafka_partition", d.partition)
	}
	if f.offset {
		msg.MetaSetMut("kafka_offset", int(r.Offset))
	}
	if f.key {
		msg.MetaSetMut("kafka_key", d.keys[:len(r.Key)])
		d.keys = d.keys[len(r.Key):]
	}
	if f.timestampMs {
		if ms := r.Timestamp.UnixMilli(); ms != d.ms {
			d.ms, d.msBoxed = ms, ms
		}
		msg.MetaSetMut("kafka_timestamp_ms", d.msBoxed)
	}
	if f.timestampUnix {
		msg.MetaSetMut("kafka_timestamp_unix", r.Timestamp.Unix())
	}
	if f.tombstone {
		msg.MetaSetMut("kafka_tombstone_message", r.Value == nil)
	}
	if f.lag {
		msg.MetaSetMut("kafka_lag", max(d.highWater-r.Offset-1, 0))
	}
}

func addHeaders(msg *service.Message, r *kgo.Record) {
	for _, h := range r.Headers {
		msg.MetaSetMut(h.Key, string(h.Value))
	}
}

// packed puts up to records_per_message values into each message. What differs between records (offset, key, time) is in its delivery.Records;
// the message's own offset, key and time are the first record's.
func (c *config) packed(ctx context.Context, records []*kgo.Record, highWater int64) service.MessageBatch {
	n := c.recordsPerMessage
	batch := make(service.MessageBatch, 0, (len(records)+n-1)/n)
	for len(records) > 0 {
		chunk := records[:min(n, len(records))]
		records = records[len(chunk):]
		content, rs := c.pack(chunk)
		msg := service.NewMessageWithContext(ctx, content)
		c.describer(chunk[:1], highWater).describe(msg, chunk[0])
		msg.MetaSetMut(delivery.MetaRecords, rs)
		batch = append(batch, msg)
	}
	return batch
}

func (c *config) pack(chunk []*kgo.Record) ([]byte, *delivery.Records) {
	size := len(chunk)
	for _, r := range chunk {
		size += len(r.Value)
	}
	rs := &delivery.Records{
		Topic: chunk[0].Topic, Partition: chunk[0].Partition,
		Ends: make([]int, len(chunk)), Offsets: make([]int64, len(chunk)),
	}
	if c.fields.timestampMs || c.fields.timestampUnix {
		rs.Timestamps = make([]int64, len(chunk))
	}
	if c.fields.key {
		rs.Keys = make([][]byte, len(chunk))
	}
	content := make([]byte, 0, size)
	for i, r := range chunk {
		content = append(content, r.Value...)
		rs.Ends[i], rs.Offsets[i] = len(content), r.Offset
		content = append(content, '\n')
		if rs.Timestamps != nil {
			rs.Timestamps[i] = r.Timestamp.UnixMilli()
		}
		if rs.Keys != nil {
			rs.Keys[i] = r.Key
		}
	}
	return content, rs
}
