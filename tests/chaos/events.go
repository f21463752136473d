package chaos

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	topic      = "events"
	deadTopic  = "events.dead_letter"
	copyTopic  = "events.copy"
	group      = "chaos"
	partitions = 4
	products   = 500
	// Two of so many events can never be inserted.
	deadEvery = 1009
)

// dead tells whether event number id can never be inserted.
func dead(id int) bool { return id%deadEvery == 13 || id%deadEvery == 14 }

// deadBelow counts the events below n that can never be inserted.
func deadBelow(n int) (count int64) {
	for id := range n {
		if dead(id) {
			count++
		}
	}
	return count
}

// event is event number id; its content follows from its number.
func event(id int) []byte {
	user := strconv.Itoa(id % 10_007)
	switch id % deadEvery {
	case 13:
		user = `"nobody"`
	case 14:
		return fmt.Appendf(nil, `{"id":%d,"user_id":%s,"ts":`, id, user)
	}
	return fmt.Appendf(nil, `{"id":%d,"user_id":%s,"ts":"2026-03-01T10:%02d:%02d.%03dZ","sku":"sku-%d","amount":%d,"tags":["t%d","x"]}`,
		id, user, id/60%60, id%60, id%1000, id%(products+10), id%997, id%7)
}

// idOf reads the number of an event.
func idOf(value []byte) (int, error) {
	text, _, _ := strings.Cut(strings.TrimPrefix(string(value), `{"id":`), ",")
	return strconv.Atoi(text)
}

// produce writes the events, each once, spread over the faults; when these are over it hurries.
func (w *world) produce(ctx context.Context) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(w.cluster.Kafka.Addr()), kgo.DefaultProduceTopic(topic),
		kgo.ProducerLinger(20*time.Millisecond), kgo.RecordDeliveryTimeout(0), kgo.MaxBufferedRecords(20_000),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	// The stream should last as long as the faults do.
	perTick := max(1, int(float64(w.opts.Events)/(float64(max(1, w.opts.Faults))*w.opts.Every.Seconds()*20)))
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var failed atomic.Pointer[error]
	for id := 0; id < w.opts.Events; {
		for n := 0; n < perTick && id < w.opts.Events; n++ {
			rec := &kgo.Record{Value: event(id), Key: []byte(strconv.Itoa(id % 10_007))}
			client.Produce(ctx, rec, func(_ *kgo.Record, err error) {
				if err != nil {
					failed.CompareAndSwap(nil, &err)
				}
				w.produced.Add(1)
			})
			id++
		}
		if w.fast.Load() {
			continue
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := client.Flush(ctx); err != nil {
		return err
	}
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (w *world) hurry() { w.fast.Store(true) }

// deadLetters reads the whole dead letter topic: how often each event is there.
func (w *world) deadLetters(ctx context.Context) (map[int]int, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(w.cluster.Kafka.Addr()), kgo.ConsumeTopics(deadTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, deadTopic)
	if err != nil {
		return nil, fmt.Errorf("reading dead letters: %w", err)
	}
	left := int64(0)
	ends.Each(func(o kadm.ListedOffset) { left += o.Offset })
	letters := map[int]int{}
	for left > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("reading dead letters: %w", err)
		}
		for rec := range fetches.RecordsAll() {
			left--
			id, err := idOf(rec.Value)
			if err != nil {
				return nil, fmt.Errorf("dead letter %q: %w", rec.Value, err)
			}
			letters[id]++
		}
	}
	return letters, nil
}
