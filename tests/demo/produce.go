package demo

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync/atomic"

	"github.com/schollz/progressbar/v3"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/benthos-clickhouse/connect/tests/clickstream"
)

// The topics of the demo: those that config/clickstream.yaml names by default.
const (
	topicEvents     = "clicks"
	topicDWD        = "clicks.dwd"
	topicDeadLetter = "clicks.dead_letter"
	group           = "clicks-to-clickhouse"
)

// produce writes rows events to Kafka, keyed by user, and returns what has to come of them.
func produce(ctx context.Context, addr string, gen clickstream.Options, rows int, out io.Writer) (*clickstream.Ledger, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(addr),
		kgo.DefaultProduceTopic(topicEvents),
		kgo.AllowAutoTopicCreation(),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()),
		kgo.MaxBufferedRecords(50_000),
	)
	if err != nil {
		return nil, fmt.Errorf("connecting to Kafka: %w", err)
	}
	defer client.Close()

	bar := newBar(out, rows, "producing")
	g, ledger := clickstream.New(gen), clickstream.NewLedger(gen)
	var failed atomic.Pointer[error]
	for range rows {
		doc, ev := g.Next(make([]byte, 0, 640))
		ledger.Add(ev)
		client.Produce(ctx, &kgo.Record{Key: strconv.AppendUint(nil, ev.UserID, 10), Value: doc}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.CompareAndSwap(nil, &err)
			}
			_ = bar.Add(1)
		})
	}
	if err := client.Flush(ctx); err != nil {
		return nil, fmt.Errorf("producing events: %w", err)
	}
	if err := failed.Load(); err != nil {
		return nil, fmt.Errorf("producing events: %w", *err)
	}
	_ = bar.Finish()
	return ledger, nil
}

// newBar draws on a terminal; elsewhere it stays quiet until it is done.
func newBar(out io.Writer, total int, what string) *progressbar.ProgressBar {
	visible := false
	if f, ok := out.(*os.File); ok {
		info, err := f.Stat()
		visible = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	if out == nil {
		out = io.Discard
	}
	return progressbar.NewOptions(total,
		progressbar.OptionSetWriter(out),
		progressbar.OptionSetDescription(fmt.Sprintf("%-10s", what)),
		progressbar.OptionSetVisibility(visible),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetItsString("events"),
		progressbar.OptionThrottle(100_000_000),
		progressbar.OptionOnCompletion(func() { fmt.Fprintln(out) }),
	)
}
