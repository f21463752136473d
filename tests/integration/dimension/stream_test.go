package dimension

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/tests/proxy"
)

// stream runs a pipeline of the processor alone, on as many threads as there are CPUs.
func stream(t *testing.T, yaml string) (send service.MessageBatchHandlerFunc, sent func() []string, stop func(time.Duration) error) {
	t.Helper()
	b := service.NewStreamBuilder()
	require.NoError(t, b.SetLoggerYAML(`level: none`))
	require.NoError(t, b.AddProcessorYAML(yaml))
	send, err := b.AddBatchProducerFunc()
	require.NoError(t, err)
	var mu sync.Mutex
	var out []string
	require.NoError(t, b.AddBatchConsumerFunc(func(_ context.Context, batch service.MessageBatch) error {
		mu.Lock()
		defer mu.Unlock()
		for _, msg := range batch {
			content, err := msg.AsBytes()
			if err != nil {
				return err
			}
			out = append(out, fmt.Sprintf("%s %v", content, msg.GetError()))
		}
		return nil
	}))
	s, err := b.Build()
	require.NoError(t, err)
	go func() { _ = s.Run(context.Background()) }() // ends with stop
	sent = func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), out...)
	}
	return send, sent, func(d time.Duration) error { return s.StopWithin(d) }
}

// A pipeline that is stopped while its batch waits for the server gives the batch back to the input: nothing reaches the
// output unjoined.
func TestNothingPassesUnjoined(t *testing.T) {
	server.Exec(t, `CREATE OR REPLACE TABLE pass (k INT PRIMARY KEY, v INT); INSERT INTO pass VALUES (1, 10)`)
	closed := proxy.Run(t, server.Addr())
	closed.Set(proxy.Refuse)
	yaml := fmt.Sprintf(`
dimension_join:
  dsn: %q
  dimensions: [ { name: pass, table: pass, key: { k: this.k } } ]
`, through(t, server, closed.Addr()))
	batch := func() service.MessageBatch { return service.MessageBatch{service.NewMessage([]byte(`{"k":1}`))} }

	t.Run("stopped", func(t *testing.T) {
		send, sent, stop := stream(t, yaml)
		result := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { result <- send(ctx, batch()) }()
		require.Eventually(t, func() bool { return closed.Accepted() > 0 }, 20*time.Second, 5*time.Millisecond, "the processor has tried")
		_ = stop(300 * time.Millisecond)
		cancel() // a stopped engine does not always answer
		require.Error(t, <-result, "the input has to send the batch again")
		require.Empty(t, sent())
	})
	t.Run("server back", func(t *testing.T) {
		send, sent, stop := stream(t, yaml)
		result := make(chan error, 1)
		before := closed.Accepted()
		go func() { result <- send(context.Background(), batch()) }()
		require.Eventually(t, func() bool { return closed.Accepted() > before }, 20*time.Second, 5*time.Millisecond)
		require.Empty(t, sent())
		closed.Set(proxy.Pass)
		require.NoError(t, <-result)
		require.Equal(t, []string{`{"k":1,"v":10} <nil>`}, sent())
		require.NoError(t, stop(10*time.Second))
	})
}

// The engine's way through a pipeline: failed events go where the YAML sends them, dropped ones are acknowledged.
func TestPipeline(t *testing.T) {
	server.Exec(t, `CREATE OR REPLACE TABLE pipe (k INT PRIMARY KEY, v INT); INSERT INTO pipe VALUES (1, 10)`)
	send, sent, stop := stream(t, fmt.Sprintf(`
try:
  - dimension_join:
      dsn: %q
      dimensions: [ { name: pipe, table: pipe, key: { k: this.k }, on_missing: drop } ]
  - mapping: 'root = this.assign({"next": true})'
`, server.DSN()))
	for _, docs := range [][]string{{`{"k":1}`, `broken`, `{"k":2}`, `{"k":1,"n":2}`}, {`{"k":3}`}} {
		var batch service.MessageBatch
		for _, d := range docs {
			batch = append(batch, service.NewMessage([]byte(d)))
		}
		require.NoError(t, send(t.Context(), batch))
	}
	got := sent()
	require.Len(t, got, 3)
	require.Equal(t, `{"k":1,"next":true,"v":10} <nil>`, got[0])
	require.Contains(t, got[1], "joining dimensions")
	require.Equal(t, `{"k":1,"n":2,"next":true,"v":10} <nil>`, got[2])
	require.NoError(t, stop(10*time.Second))
}
