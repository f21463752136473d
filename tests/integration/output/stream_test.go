package output

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/tests/proxy"
)

// stream is a pipeline from the test to clickhouse_native.
type stream struct {
	sendAll service.MessageBatchHandlerFunc
	ended   chan error
	built   *service.Stream
	stopped sync.Once
}

// stop ends the pipeline, once: as it should at first, and with the time running out, by force.
func (s *stream) stop(within time.Duration) (err error) {
	s.stopped.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		err = s.built.Stop(ctx)
	})
	return err
}

// pipeline starts one; config stands below clickhouse_native, indented by four.
func pipeline(t *testing.T, config string, processors ...string) *stream {
	t.Helper()
	b := service.NewStreamBuilder()
	require.NoError(t, b.SetLoggerYAML("level: ERROR"))
	s := &stream{ended: make(chan error, 1)}
	var err error
	s.sendAll, err = b.AddBatchProducerFunc()
	require.NoError(t, err)
	for _, p := range processors {
		require.NoError(t, b.AddProcessorYAML(p))
	}
	require.NoError(t, b.AddOutputYAML("clickhouse_native:\n"+config))
	built, err := b.Build()
	require.NoError(t, err)
	s.built = built
	go func() { s.ended <- built.Run(context.WithoutCancel(t.Context())) }()
	t.Cleanup(func() { require.NoError(t, s.stop(10*time.Second)) })
	return s
}

// common is the configuration that every test needs.
func common(db string, addresses ...string) string {
	if len(addresses) == 0 {
		addresses = servers.Addrs()
	}
	return fmt.Sprintf(`
  addresses: [ %s ]
  database: %s
  table: events
  dial_timeout: 1s
  stall_timeout: 500ms
  retries: { max_attempts: 3, initial_interval: 50ms, max_interval: 200ms }
`, strings.Join(addresses, ", "), db)
}

func batch(docs []string) service.MessageBatch {
	out := make(service.MessageBatch, len(docs))
	for i, d := range docs {
		out[i] = service.NewMessage([]byte(d))
	}
	return out
}

func TestStreamInsertsRawAndStructuredMessages(t *testing.T) {
	for name, processors := range map[string][]string{
		"raw":        nil,
		"structured": {"mapping: root = this.without(\"unknown\")"},
	} {
		t.Run(name, func(t *testing.T) {
			db := tables(t)
			docs := events(0, 1000)
			insertThroughDistributed(t, db, docs)
			s := pipeline(t, common(db), processors...)
			require.NoError(t, s.sendAll(t.Context(), batch(docs)))
			const sum = "SELECT count(), sum(cityHash64(*)) FROM %s.%s"
			for _, n := range servers.Servers {
				require.Equal(t, n.Query(t, fmt.Sprintf(sum, db, "reference_local")), n.Query(t, fmt.Sprintf(sum, db, "events_local")))
			}
		})
	}
}

func TestStreamColumnsFromMetadataAndMappings(t *testing.T) {
	db := tables(t)
	s := pipeline(t, common(db)+`
  columns:
    - { name: offset, from: '@kafka_offset' }
    - { name: topic, from: '@kafka_topic' }
    - { name: name, from: 'user.names[1]' }
    - { name: note, mapping: 'root = this.user.names.join("+")' }
    - { name: origin, mapping: 'root = if this.id == 2 { deleted() } else { "mapped" }' }
`)
	m := batch([]string{`{"id":1,"user":{"names":["a","b"]}}`, `{"id":2,"user":{"names":["c","d"]}}`})
	for i, msg := range m {
		msg.MetaSetMut("kafka_offset", 7+i)
		msg.MetaSetMut("kafka_topic", "clicks")
		msg.MetaSetMut("kafka_partition", 0)
	}
	require.NoError(t, s.sendAll(t.Context(), m))
	require.Equal(t, [][]string{{"1", "7", "clicks", "b", "a+b", "mapped"}, {"2", "8", "clicks", "d", "c+d", "web"}},
		servers.Servers[0].Query(t, "SELECT id, offset, topic, name, note, origin FROM "+db+".events ORDER BY id"))
}

func TestStreamDeadLetters(t *testing.T) {
	db := tables(t)
	path := filepath.Join(t.TempDir(), "letters")
	s := pipeline(t, common(db)+fmt.Sprintf(`
  dead_letter:
    file: { path: %q, codec: lines }
    processors:
      - mapping: 'root = {"body": content().string(), "meta": @}'
`, path), `mapping: 'root = if content().contains("poison") { throw("cannot be mapped") }'`)
	docs := events(0, 50)
	docs[4] = `{"id":"four"}`
	docs[5] = `{"id":5,"user_id":5,"price":-1}`
	docs[6] = `poison`
	require.NoError(t, s.sendAll(t.Context(), batch(docs)))
	requireAll(t, db, 47)
	letters, err := os.ReadFile(path)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(letters)), "\n")
	require.Len(t, lines, 3)
	require.Contains(t, lines[0], `"body":"{\"id\":\"four\"}"`)
	require.Contains(t, lines[0], `"clickhouse_native_column":"id"`)
	require.Contains(t, lines[0], `"clickhouse_native_type":"UInt64"`)
	require.Contains(t, lines[1], `"clickhouse_native_code":"469"`)
	require.Contains(t, lines[2], `cannot be mapped`)
	require.Contains(t, lines[2], `"body":"poison"`)
}

func TestStreamWithoutADeadLetterFailsTheBatch(t *testing.T) {
	db := tables(t)
	s := pipeline(t, common(db))
	docs := events(0, 50)
	docs[4] = `{"id":"four"}`
	err := s.sendAll(t.Context(), batch(docs))
	require.ErrorContains(t, err, `record 4 in column "id" (UInt64)`)
	requireAll(t, db, 0)
}

// refusal is the error of a pipeline that must not start, or not even be built.
func refusal(t *testing.T, config string) string {
	t.Helper()
	b := service.NewStreamBuilder()
	require.NoError(t, b.SetLoggerYAML("level: NONE"))
	_, err := b.AddBatchProducerFunc()
	require.NoError(t, err)
	if err := b.AddOutputYAML("clickhouse_native:\n" + config); err != nil {
		return err.Error()
	}
	built, err := b.Build()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err = built.Run(ctx)
	require.Error(t, err)
	require.NoError(t, ctx.Err(), "it waits instead of refusing")
	require.NotContains(t, err.Error(), "\n", "one line")
	return err.Error()
}

func TestStreamRefusesAtStart(t *testing.T) {
	db := tables(t)
	servers.Exec(t, fmt.Sprintf(`
		CREATE TABLE %[1]s.odd_local (id UInt64, state AggregateFunction(sum, UInt64)) ENGINE = MergeTree ORDER BY id;
		CREATE TABLE %[1]s.odd AS %[1]s.odd_local ENGINE = Distributed('events_cluster', %[1]s, odd_local, id);
		CREATE TABLE %[1]s.volatile AS %[1]s.events_local ENGINE = Distributed('events_cluster', %[1]s, events_local, murmurHash3_64(hostName(), id));
		CREATE VIEW %[1]s.view AS SELECT 1`, db))
	base := common(db)
	for name, test := range map[string]struct {
		config string
		want   []string
	}{
		"no such table":  {strings.Replace(base, "table: events", "table: absent", 1), []string{"absent", "not found"}},
		"a local table":  {strings.Replace(base, "table: events", "table: events_local", 1), []string{"MergeTree, not Distributed", "cluster"}},
		"a view":         {strings.Replace(base, "table: events", "table: view", 1), []string{"is a View"}},
		"column type":    {strings.Replace(base, "table: events", "table: odd", 1), []string{`column "state"`, "AggregateFunction"}},
		"expression":     {strings.Replace(base, "table: events", "table: volatile", 1), []string{"hostName", "routing.strategy"}},
		"no such column": {base + "  columns: [ { name: absent, from: a } ]\n", []string{`column "absent"`, "no such column"}},
		"password":       {base + "  username: secured\n  password: wrong\n", []string{"secured", "password"}},
		"privilege":      {base + "  username: reader\n", []string{"reader", "GRANT INSERT"}},
		"owned setting":  {base + "  settings: { async_insert: '1' }\n", []string{"settings.async_insert"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := refusal(t, test.config)
			for _, want := range test.want {
				require.Contains(t, got, want)
			}
		})
	}
}

func TestStreamWaitsForServersThatAreAway(t *testing.T) {
	db := tables(t)
	var proxies []*proxy.Proxy
	config := common(db)
	mapped := "  address_map:\n"
	for _, n := range servers.Nodes {
		p := proxy.Run(t, n[0].Addr())
		p.Set(proxy.Refuse)
		proxies = append(proxies, p)
		mapped += fmt.Sprintf("    %q: %q\n", n[0].Addr(), p.Addr())
		config = strings.ReplaceAll(config, n[0].Addr(), p.Addr())
	}
	s := pipeline(t, config+mapped)
	sent := make(chan error, 1)
	go func() { sent <- s.sendAll(context.WithoutCancel(t.Context()), batch(events(0, 500))) }()
	require.Eventually(t, func() bool { return proxies[0].Accepted() > 2 }, 30*time.Second, 10*time.Millisecond)
	for _, p := range proxies {
		p.Set(proxy.Pass)
	}
	require.NoError(t, <-sent)
	requireAll(t, db, 500)
}

func TestStreamShardKilledAndStartedAgain(t *testing.T) {
	db := tables(t)
	s := pipeline(t, common(db))
	node := servers.Nodes[1][0]
	const batches = 20
	started := make(chan error, 1)
	for i := range batches {
		if i == 5 {
			require.NoError(t, node.Kill())
			go func() {
				time.Sleep(time.Second)
				started <- node.Start(context.Background())
			}()
		}
		require.NoError(t, s.sendAll(t.Context(), batch(events(i*500, i*500+500))))
	}
	require.NoError(t, <-started)
	_, distinct := count(t, db)
	require.Equal(t, fmt.Sprint(batches*500), distinct, "rows lost")
}
