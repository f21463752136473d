package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/benthos-clickhouse/connect/tests/clickstream"
)

// Shape is a form of the same clickstream event.
type Shape string

// The shapes that scenarios are measured with.
const (
	Standard Shape = "standard" // 21 fields, about 490 bytes, an array and a map; the same key order each time
	Narrow   Shape = "narrow"   // 5 fields
	Wide     Shape = "wide"     // 200 fields
	Shuffled Shape = "shuffled" // the standard fields in another order each time
	Escaped  Shape = "escaped"  // the standard fields with escapes and non-ASCII text in the strings
	Nested   Shape = "nested"   // the standard fields inside of objects two levels deep
)

// shaper turns standard events into one shape.
type shaper struct {
	shape Shape
	rng   *rand.Rand
	wide  []byte
}

func newShaper(shape Shape) *shaper {
	s := &shaper{shape: shape, rng: rand.New(rand.NewPCG(4, 5))}
	if shape == Wide {
		s.wide = wideMembers()
	}
	return s
}

// columnsWide is the number of columns that the wide shape has beyond the standard ones.
const columnsWide = 179

func wideMembers() []byte {
	var b bytes.Buffer
	for i := range columnsWide {
		if i%2 == 0 {
			fmt.Fprintf(&b, `,"f%03d":%d`, i, i*7919)
		} else {
			fmt.Fprintf(&b, `,"f%03d":"value %d"`, i, i)
		}
	}
	b.WriteByte('}')
	return b.Bytes()
}

func (s *shaper) apply(doc []byte) []byte {
	switch s.shape {
	case Wide:
		return append(doc[:len(doc)-1], s.wide...)
	case Narrow:
		return pickMembers(members(doc), "event_id", "ts", "event_type", "user_id", "price")
	case Shuffled:
		m := members(doc)
		s.rng.Shuffle(len(m), func(i, j int) { m[i], m[j] = m[j], m[i] })
		return object(m)
	case Escaped:
		doc = bytes.Replace(doc, []byte(`https://a.example/`), []byte(`https:\/\/a.example\/caf\u00e9\/`), 1)
		return bytes.Replace(doc, []byte(`https://s.example/`), []byte(`https://s.example/größe?q=\"日本\"`), 1)
	case Nested:
		return nest(members(doc))
	default:
		return doc
	}
}

type member struct {
	name  string
	value json.RawMessage
}

func members(doc []byte) (out []member) {
	dec := json.NewDecoder(bytes.NewReader(doc))
	if _, err := dec.Token(); err != nil {
		panic(err) // the generator makes no malformed events here
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			panic(err)
		}
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			panic(err)
		}
		out = append(out, member{name.(string), v})
	}
	return out
}

func object(ms []member) []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range ms {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Quote(m.name))
		b.WriteByte(':')
		b.Write(m.value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

func pickMembers(ms []member, names ...string) []byte {
	var out []member
	for _, m := range ms {
		for _, n := range names {
			if m.name == n {
				out = append(out, m)
			}
		}
	}
	return object(out)
}

// nested says into which object, and object in that, a standard field goes.
var nested = map[string]string{
	"session_id": "session.id", "device_id": "session.device.id", "platform": "session.device.platform", "app_version": "session.device.version",
	"url": "page.url", "referrer": "page.referrer", "price": "item.price", "quantity": "item.quantity", "currency": "item.currency",
}

// nest keeps the joined keys (sku, geo_id, channel_code) and the rest at the top.
func nest(ms []member) []byte {
	groups := map[string][]member{}
	var top []member
	for _, m := range ms {
		path := strings.Split(nested[m.name], ".")
		switch len(path) {
		case 1:
			top = append(top, m)
		case 2:
			groups[path[0]] = append(groups[path[0]], member{path[1], m.value})
		case 3:
			key := path[0] + "." + path[1]
			groups[key] = append(groups[key], member{path[2], m.value})
		}
	}
	groups["session"] = append(groups["session"], member{"device", object(groups["session.device"])})
	top = append(top, member{"session", object(groups["session"])}, member{"page", object(groups["page"])}, member{"item", object(groups["item"])})
	return object(top)
}

// fill produces rows events of a shape to a new topic, and returns the mean size of one.
func fill(ctx context.Context, addr, topic string, partitions int32, shape Shape, rows int) (meanBytes float64, err error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(addr), kgo.DefaultProduceTopic(topic),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.MaxBufferedRecords(50_000),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
	)
	if err != nil {
		return 0, fmt.Errorf("connecting to Kafka: %w", err)
	}
	defer client.Close()
	if res, err := kadm.NewClient(client).CreateTopic(ctx, partitions, 1, nil, topic); err != nil || res.Err != nil {
		return 0, fmt.Errorf("creating topic %s: %w", topic, errors.Join(err, res.Err))
	}
	g, s := clickstream.New(clickstream.Options{Seed: 1, Malformed: -1}), newShaper(shape)
	var total int
	var failed atomic.Pointer[error]
	for range rows {
		doc, ev := g.Next(make([]byte, 0, 640))
		doc = s.apply(doc)
		total += len(doc)
		client.Produce(ctx, &kgo.Record{Key: strconv.AppendUint(nil, ev.UserID, 10), Value: doc}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.CompareAndSwap(nil, &err)
			}
		})
	}
	if err := client.Flush(ctx); err != nil {
		return 0, fmt.Errorf("producing to %s: %w", topic, err)
	}
	if err := failed.Load(); err != nil {
		return 0, fmt.Errorf("producing to %s: %w", topic, *err)
	}
	return float64(total) / float64(rows), nil
}
