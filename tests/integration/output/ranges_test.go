package output

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/delivery"
	"github.com/benthos-clickhouse/connect/tests/leases"
)

// messages are a range as kafka_exactly_once hands it over, one record each.
func messages(t *testing.T, l *leases.Lease, docs documents) service.MessageBatch {
	t.Helper()
	ctx := delivery.NewContext(t.Context(), l)
	out := make(service.MessageBatch, len(docs))
	for i, d := range docs {
		out[i] = service.NewMessageWithContext(ctx, []byte(d))
		out[i].MetaSetMut("kafka_offset", int(l.Range().From)+i)
		out[i].MetaSetMut("kafka_topic", l.Range().Topic)
		out[i].MetaSetMut("kafka_partition", int(l.Range().Partition))
	}
	return out
}

// packed is the same range in messages of many records each.
func packed(t *testing.T, l *leases.Lease, docs documents, each int) service.MessageBatch {
	t.Helper()
	ctx := delivery.NewContext(t.Context(), l)
	var out service.MessageBatch
	for from := 0; from < len(docs); from += each {
		chunk := docs[from:min(from+each, len(docs))]
		r := &delivery.Records{Topic: l.Range().Topic, Partition: l.Range().Partition}
		var content []byte
		for i, d := range chunk {
			content = append(content, d...)
			r.Ends = append(r.Ends, len(content))
			r.Offsets = append(r.Offsets, l.Range().From+int64(from+i))
			content = append(content, '\n')
		}
		m := service.NewMessageWithContext(ctx, content)
		m.MetaSetMut(delivery.MetaRecords, r)
		out = append(out, m)
	}
	return out
}

const traced = `
  columns:
    - { name: offset, from: '@kafka_offset' }
    - { name: topic, from: '@kafka_topic' }
    - { name: partition, from: '@kafka_partition' }
`

func TestStreamRangesInOneBatch(t *testing.T) {
	db := tables(t)
	path := filepath.Join(t.TempDir(), "letters")
	s := pipeline(t, common(db)+traced+fmt.Sprintf("  dead_letter: { file: { path: %q, codec: lines } }\n", path))
	kafka := partition()
	a, b := kafka.Lease(0, 500), kafka.Lease(500, 1000)
	docs := events(500, 1000)
	docs[7] = `{"id":"seven"}`
	batch := append(messages(t, a, events(0, 500)), messages(t, b, docs)...)
	require.NoError(t, s.sendAll(t.Context(), batch))
	requireAll(t, db, 999)
	require.Len(t, kafka.Intents(), 2)

	// The same ranges after a crash, cut another way by the batching policy, and packed.
	batch = append(packed(t, b.Recover(), docs, 70), packed(t, a.Recover(), events(0, 500), 499)...)
	require.NoError(t, s.sendAll(t.Context(), batch))
	requireAll(t, db, 999)
	letters, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, []string{docs[7], docs[7]}, strings.Split(strings.TrimSpace(string(letters)), "\n"))
	require.Equal(t, [][]string{{"499", "clicks", "3"}},
		servers.Servers[0].Query(t, "SELECT offset, topic, partition FROM "+db+".events WHERE id = 499"))
}

// What the input can do for a range reaches the engine through the output's own lease.
func TestStreamRecordsThatRowsAreLookedFor(t *testing.T) {
	db := tables(t)
	s := pipeline(t, common(db)+traced)
	kafka := partition()
	l := kafka.Lease(0, 100)
	require.NoError(t, s.sendAll(t.Context(), messages(t, l, events(0, 100))))
	kafka.Change(func(p *delivery.Prepared) { p.Digest++ }) // as if the range were routed otherwise now
	require.NoError(t, s.sendAll(t.Context(), messages(t, l.Recover(), events(0, 100))))
	requireAll(t, db, 100)
	for _, p := range kafka.Intents() {
		require.True(t, p.LookUp)
	}
}

func TestStreamRefusesHalfARange(t *testing.T) {
	db := tables(t)
	s := pipeline(t, common(db)+traced)
	l := partition().Lease(0, 100)
	whole := messages(t, l, events(0, 100))
	require.NoError(t, s.sendAll(t.Context(), whole[:50]))
	require.ErrorContains(t, s.sendAll(t.Context(), whole[50:]), "a processor between input and output splits batches")
}

func TestStreamRefusesChangedRecords(t *testing.T) {
	db := tables(t)
	s := pipeline(t, common(db)+traced, `mapping: 'root = content().uppercase() + "x"'`)
	l := partition().Lease(0, 100)
	err := s.sendAll(t.Context(), packed(t, l, events(0, 100), 10))
	require.ErrorContains(t, err, "records_per_message")
	requireAll(t, db, 0)
}

func TestStreamSaysWhatSomebodyHasToDo(t *testing.T) {
	db := tables(t)
	s := pipeline(t, common(db)+"  settings: { no_such_setting: '1' }\n")
	err := s.sendAll(t.Context(), batch(events(10, 20)))
	require.ErrorContains(t, err, "no_such_setting")
	require.ErrorContains(t, err, "remove it from settings")
	require.NotContains(t, err.Error(), "\n")
	requireAll(t, db, 0)
}

func TestStreamAlerts(t *testing.T) {
	db := tables(t)
	dir := t.TempDir()
	s := pipeline(t, common(db)+fmt.Sprintf(`
  dead_letter: { drop: {} }
  alert: { file: { path: %q, codec: lines } }
`, filepath.Join(dir, "alerts")))
	for range 3 {
		require.NoError(t, s.sendAll(t.Context(), batch([]string{`{"id":"x"}`, `{"id":1}`})))
	}
	var alerts []byte
	require.Eventually(t, func() bool {
		var err error
		alerts, err = os.ReadFile(filepath.Join(dir, "alerts"))
		return err == nil && len(alerts) > 0
	}, 10*time.Second, 10*time.Millisecond)
	require.Contains(t, string(alerts), `"alert":"dead_letters"`)
	require.Equal(t, 1, strings.Count(string(alerts), "\n"), "one a minute")
}
