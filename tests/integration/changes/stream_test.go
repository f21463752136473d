package changes

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/delivery"
)

// pipeline starts a stream from the test to clickhouse_native; config stands below it, indented by two.
func pipeline(t *testing.T, db, config string, processors ...string) service.MessageBatchHandlerFunc {
	t.Helper()
	return stream(t, fmt.Sprintf("clickhouse_native:\n  addresses: [ %s ]\n  database: %s\n  table: orders\n%s", strings.Join(servers.Addrs(), ", "), db, config), processors...)
}

// stream starts one from the test to an output.
func stream(t *testing.T, output string, processors ...string) service.MessageBatchHandlerFunc {
	t.Helper()
	b := service.NewStreamBuilder()
	require.NoError(t, b.SetLoggerYAML("level: ERROR"))
	send, err := b.AddBatchProducerFunc()
	require.NoError(t, err)
	for _, p := range processors {
		require.NoError(t, b.AddProcessorYAML(p))
	}
	require.NoError(t, b.AddOutputYAML(output))
	built, err := b.Build()
	require.NoError(t, err)
	go func() { _ = built.Run(context.WithoutCancel(t.Context())) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, built.Stop(ctx))
	})
	return send
}

// messages are records as an input hands them over, one each.
func messages(r records) service.MessageBatch {
	out := make(service.MessageBatch, r.Len())
	for i, v := range r.values {
		out[i] = service.NewMessage([]byte(v))
		out[i].MetaSetMut("kafka_topic", "orders")
		out[i].MetaSetMut("kafka_partition", 0)
		out[i].MetaSetMut("kafka_offset", int(r.from)+i)
		if r.keys != nil {
			out[i].MetaSetMut("kafka_key", r.keys[i])
		}
	}
	return out
}

// packed is the same in one message.
func packed(r records) service.MessageBatch {
	all := &delivery.Records{Topic: "orders"}
	var content []byte
	for i, v := range r.values {
		content = append(content, v...)
		all.Ends = append(all.Ends, len(content))
		all.Offsets = append(all.Offsets, r.from+int64(i))
		if r.keys != nil {
			all.Keys = append(all.Keys, []byte(r.keys[i]))
		}
		content = append(content, '\n')
	}
	m := service.NewMessage(content)
	m.MetaSetMut(delivery.MetaRecords, all)
	return service.MessageBatch{m}
}

func TestStreamOfDebezium(t *testing.T) {
	for name, batch := range map[string]func(records) service.MessageBatch{"messages": messages, "packed": packed} {
		t.Run(name, func(t *testing.T) {
			db := tables(t, replacing, ordered, sharding)
			send := pipeline(t, db, "  write_mode: replacing\n")
			events, left := history(11, 2000)
			require.NoError(t, send(t.Context(), batch(tell(events, "debezium with schemas and tombstones"))))
			require.Equal(t, left, final(t, db))
		})
	}
}

func TestStreamThatIsStructuredAlready(t *testing.T) {
	db := tables(t, versioned, ordered, sharding)
	send := pipeline(t, db, "  write_mode: collapsing\n  changes: { format: canal }\n", `mapping: 'root = this.assign({"seen": true})'`)
	events, left := history(12, 1000)
	require.NoError(t, send(t.Context(), messages(tell(events, "canal"))))
	require.Equal(t, left, final(t, db))
}

func TestStreamThatAMappingReads(t *testing.T) {
	events := records{keys: make([]string, 6), values: []string{
		`{"tenant":1,"id":1,"name":"a","amount":1}`, `{"tenant":2,"id":2,"name":"b","amount":2}`, `{"tenant":3,"id":3,"name":"c","amount":3}`,
		`{"tenant":1,"id":1,"name":"a","amount":1,"__deleted":"true"}`, ``, `{"tenant":3,"id":3,"name":"c","amount":3,"skip":true}`,
	}}
	events.keys[4] = `{"tenant":2,"id":2}`
	for name, batch := range map[string]func(records) service.MessageBatch{"messages": messages, "packed": packed} {
		t.Run(name, func(t *testing.T) {
			db := tables(t, replacing, ordered, sharding)
			send := pipeline(t, db, `
  write_mode: replacing
  changes:
    format: mapping
    operation: 'root = if this.skip == true { deleted() } else if this.__deleted == "true" { "delete" } else { "upsert" }'
    tombstones: delete
`)
			require.NoError(t, send(t.Context(), batch(events)))
			require.Equal(t, []string{"3|3|c|3|NULL"}, final(t, db))
		})
	}
}

func TestStreamWhoseImagesAMappingMakes(t *testing.T) {
	db := tables(t, versioned, ordered, sharding)
	send := pipeline(t, db, `
  write_mode: collapsing
  changes:
    format: mapping
    operation: 'root = {"op": this.kind, "before": this.was.or(null), "after": this.is.or(null)}'
  columns:
    - { name: note, from: '@envelope.who' }
`)
	require.NoError(t, send(t.Context(), messages(records{values: []string{
		`{"kind":"insert","is":{"tenant":1,"id":1,"name":"a","amount":1,"row_version":1},"who":"me"}`,
		`{"kind":"update","was":{"tenant":1,"id":1,"name":"a","amount":1,"row_version":1},"is":{"tenant":5,"id":1,"name":"b","amount":2,"row_version":2},"who":"you"}`,
	}})))
	require.Equal(t, []string{"5|1|b|2|you"}, final(t, db))
}
