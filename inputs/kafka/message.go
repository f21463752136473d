package kafka

import (
	"context"
	"fmt"
	"unsafe"

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
func (c *config) messages(a attempt) service.MessageBatch {
	ctx := delivery.NewContext(context.Background(), a)
	d := c.describer(a)
	if c.recordsPerMessage > 1 {
		return a.records.messages(ctx, d)
	}
	blank := service.NewMessageWithContext(ctx, nil) // a copy is made of less than a new one
	batch := make(service.MessageBatch, 0, a.records.n)
	for _, t := range a.records.chunks {
		for i := range t.records.Len() {
			msg := blank.Copy()
			msg.SetBytes(t.value(i))
			if t.headers != nil {
				addHeaders(msg, t.headers[i]) // first, so that a header cannot shadow a key of ours
			}
			d.describe(msg, t, i)
			batch = append(batch, msg)
		}
	}
	return batch
}

// messages puts a chunk into each message. What differs between records (offset, key, time) is in its delivery.Records;
// the message's own offset, key and time are the first record's.
func (k *packed) messages(ctx context.Context, d *describer) service.MessageBatch {
	batch := make(service.MessageBatch, len(k.chunks))
	for i, t := range k.chunks {
		msg := service.NewMessageWithContext(ctx, t.content[:len(t.content):len(t.content)])
		d.describe(msg, t, 0)
		msg.MetaSetMut(delivery.MetaRecords, &t.records)
		batch[i] = msg
	}
	return batch
}

// describer sets the metadata of one batch. What records share is boxed once.
type describer struct {
	fields           *fields
	topic, partition any
	ms               int64
	msBoxed          any
	highWater        int64
}

func (c *config) describer(a attempt) *describer {
	return &describer{
		fields: &c.fields, highWater: a.highWater, msBoxed: int64(0),
		topic: a.rng.Topic, partition: int(a.rng.Partition),
	}
}

// describe sets the metadata of record i of the chunk.
func (d *describer) describe(msg *service.Message, t *chunk, i int) {
	f, rs := d.fields, &t.records
	if f.topic {
		msg.MetaSetMut("kafka_topic", d.topic)
	}
	if f.partition {
		msg.MetaSetMut("kafka_partition", d.partition)
	}
	if f.offset {
		msg.MetaSetMut("kafka_offset", int(rs.Offsets[i]))
	}
	if f.key {
		key := rs.Keys[i]
		// A key's bytes are a copy that nothing writes to once it is made (packed), as a string's have to be.
		msg.MetaSetMut("kafka_key", unsafe.String(unsafe.SliceData(key), len(key)))
	}
	if f.timestampMs {
		if ms := rs.Timestamps[i]; ms != d.ms {
			d.ms, d.msBoxed = ms, ms
		}
		msg.MetaSetMut("kafka_timestamp_ms", d.msBoxed)
	}
	if f.timestampUnix {
		msg.MetaSetMut("kafka_timestamp_unix", floorDiv(rs.Timestamps[i], 1000))
	}
	if f.tombstone {
		msg.MetaSetMut("kafka_tombstone_message", t.value(i) == nil)
	}
	if f.lag {
		msg.MetaSetMut("kafka_lag", max(d.highWater-rs.Offsets[i]-1, 0))
	}
}

// floorDiv rounds down, as seconds since 1970 do before it.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func addHeaders(msg *service.Message, headers []kgo.RecordHeader) {
	for _, h := range headers {
		msg.MetaSetMut(h.Key, string(h.Value))
	}
}
