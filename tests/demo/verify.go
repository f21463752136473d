package demo

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/benthos-clickhouse/connect/tests/clickstream"
	"github.com/benthos-clickhouse/connect/tests/services"
)

// verify compares what landed with the ledger and with the dimensions, and fills the report.
func verify(ctx context.Context, s *Stack, gen clickstream.Options, ledger *clickstream.Ledger, r *Report) error {
	shardOf, err := s.shardOf(ctx, ledger)
	if err != nil {
		return err
	}
	for i, want := range ledger.PerShard(Shards, shardOf) {
		node := s.nodes()[i]
		got, err := totals(ctx, node)
		if err != nil {
			return err
		}
		r.PerShard = append(r.PerShard, got.Events)
		r.compare(fmt.Sprintf("shard %d", i+1), want, got)
		if err := r.checkNode(ctx, i, node, gen); err != nil {
			return err
		}
	}
	if err := r.checkTopics(ctx, s.KafkaAddr, ledger); err != nil {
		return err
	}
	return r.views(ctx, s.nodes()[0], ledger)
}

// shardOf asks the server which shard its own sharding expression gives each user.
func (s *Stack) shardOf(ctx context.Context, ledger *clickstream.Ledger) (func(uint64) int, error) {
	rows, err := s.nodes()[0].QueryContext(ctx, fmt.Sprintf(
		"SELECT cityHash64(toUInt64(number + %d)) %% %d FROM numbers(%d)", clickstream.FirstUser, Shards, ledger.Users()))
	if err != nil {
		return nil, fmt.Errorf("asking for the shards of the users: %w", err)
	}
	shards := make([]int, len(rows))
	for i, row := range rows {
		shards[i], _ = strconv.Atoi(row[0])
	}
	return func(user uint64) int { return shards[user-clickstream.FirstUser] }, nil
}

func totals(ctx context.Context, node *services.Node) (t clickstream.Totals, err error) {
	err = scan(ctx, node, `SELECT count(), countIf(event_type = 'purchase'), toInt64(sum(price) * 100), sum(quantity), sum(duration_ms)
		FROM dw.events_local`, &t.Events, &t.Purchases, &t.PriceCents, &t.Quantity, &t.DurationMs)
	return t, err
}

// checkNode looks at every row of one shard: its place, its identity, and each joined column against the dimensions.
func (r *Report) checkNode(ctx context.Context, shard int, node *services.Node, gen clickstream.Options) error {
	if err := loadTruth(ctx, node, gen); err != nil {
		return fmt.Errorf("loading the dimensions for comparison: %w", err)
	}
	checks := []struct{ what, query string }{
		{"rows on the wrong shard", fmt.Sprintf("SELECT countIf(cityHash64(user_id) %% %d != %d) FROM dw.events_local", Shards, shard)},
		{"rows more than once", "SELECT count() - uniqExact(event_id) FROM dw.events_local"},
		{"records more than once", "SELECT count() - uniqExact(kafka_topic, kafka_partition, kafka_offset) FROM dw.events_local"},
		{"rows with a wrong product", wrongJoin("sku", "sku", "product", "name", "category", "brand")},
		{"rows with a wrong geography", wrongJoin("geo_id", "geo_id", "geo", "country", "city")},
		{"rows with a wrong channel", wrongJoin("channel_code", "code", "channel", "name", "medium")},
	}
	for _, c := range checks {
		var n int64
		if err := scan(ctx, node, c.query, &n); err != nil {
			return fmt.Errorf("counting %s: %w", c.what, err)
		}
		if n != 0 {
			r.differ("shard %d: %d %s", shard+1, n, c.what)
		}
		r.Checks++
	}
	return nil
}

// wrongJoin counts the rows whose joined columns are not those of the dimension's row, NULL where it has none.
func wrongJoin(field, key, dimension string, columns ...string) string {
	var cond []string
	for _, c := range columns {
		cond = append(cond, fmt.Sprintf("e.%s_%s IS DISTINCT FROM t.%s", dimension, c, c))
	}
	return fmt.Sprintf(`SELECT countIf(%s) FROM dw.events_local AS e LEFT ANY JOIN truth.%s AS t ON e.%s = t.%s SETTINGS join_use_nulls = 1`,
		strings.Join(cond, " OR "), dimension, field, key)
}

func loadTruth(ctx context.Context, node *services.Node, gen clickstream.Options) error {
	stmts := []string{
		"CREATE DATABASE IF NOT EXISTS truth",
		"CREATE OR REPLACE TABLE truth.product (sku String, name String, category String, brand String) ENGINE = Memory",
		"CREATE OR REPLACE TABLE truth.geo (geo_id UInt32, country String, city String) ENGINE = Memory",
		"CREATE OR REPLACE TABLE truth.channel (code String, name String, medium String) ENGINE = Memory",
	}
	tables := strings.NewReplacer("INTO dim_product ", "INTO truth.product ", "INTO dim_geography ", "INTO truth.geo ", "INTO dim_channel ", "INTO truth.channel ")
	for _, insert := range gen.MySQLInserts() {
		stmts = append(stmts, tables.Replace(insert))
	}
	for _, stmt := range stmts {
		if err := node.ExecContext(ctx, stmt); err != nil {
			return err
		}
	}
	return nil
}

// checkTopics compares the dead letters by reason, and the joined events in the DWD topic, with the ledger.
func (r *Report) checkTopics(ctx context.Context, addr string, ledger *clickstream.Ledger) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics(topicDeadLetter), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return fmt.Errorf("connecting to Kafka: %w", err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	dwd, err := topicSize(ctx, admin, topicDWD)
	if err != nil {
		return err
	}
	r.DWD = dwd
	dead, err := topicSize(ctx, admin, topicDeadLetter)
	if err != nil {
		return err
	}
	offsets := map[string]bool{}
	for read := int64(0); read < dead; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("reading the dead letters: %w", err)
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			read++
			h := map[string]string{}
			for _, kv := range rec.Headers {
				h[kv.Key] = string(kv.Value)
			}
			offsets[h["kafka_partition"]+"/"+h["kafka_offset"]] = true
			r.deadLetter(h)
		})
	}
	// Dead letters may repeat after a crash; each malformed record has to be there.
	if want := ledger.MalformedTotal(); int64(len(offsets)) != want {
		r.differ("dead letters: %d distinct records, want %d", len(offsets), want)
	}
	r.Checks++
	if good := ledger.Total().Events; dwd < good {
		r.differ("topic %s: %d events, want at least %d", topicDWD, dwd, good)
	}
	r.Checks++
	return nil
}

func topicSize(ctx context.Context, admin *kadm.Client, topic string) (n int64, err error) {
	ends, err := admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return 0, fmt.Errorf("reading the end of topic %s: %w", topic, err)
	}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Err == nil {
			n += o.Offset
		}
	})
	return n, nil
}

// views reads the top rows of the DWS layer, and checks that its sums are those of the events.
func (r *Report) views(ctx context.Context, node *services.Node, ledger *clickstream.Ledger) error {
	var purchases, minutes, views int64
	if err := scan(ctx, node, "SELECT sum(purchases) FROM dw.funnel_by_category", &purchases); err != nil {
		return err
	}
	if err := scan(ctx, node, "SELECT sum(views) FROM dw.page_views_per_minute", &minutes); err != nil {
		return err
	}
	if err := scan(ctx, node, "SELECT countIf(event_type = 'page_view') FROM dw.events", &views); err != nil {
		return err
	}
	if want := ledger.Total().Purchases; purchases != want {
		r.differ("dw.funnel_by_category: %d purchases, want %d", purchases, want)
	}
	if minutes != views {
		r.differ("dw.page_views_per_minute: %d views, want %d", minutes, views)
	}
	r.Checks += 2
	for _, v := range []View{
		{
			Title: "Page views per minute (dw.page_views_per_minute)", Head: []string{"minute", "views"},
			query: "SELECT minute, sum(views) AS v FROM dw.page_views_per_minute GROUP BY minute ORDER BY v DESC, minute LIMIT 3",
		},
		{
			Title: "Funnel by category (dw.funnel_by_category)", Head: []string{"category", "views", "carts", "purchases", "revenue"},
			query: "SELECT product_category, sum(views), sum(carts), sum(purchases) AS p, sum(revenue) FROM dw.funnel_by_category GROUP BY product_category ORDER BY p DESC LIMIT 4",
		},
		{
			Title: "Unique users (dw.unique_users)", Head: []string{"country", "users"},
			query: "SELECT geo_country, uniqMerge(users) AS u FROM dw.unique_users GROUP BY geo_country ORDER BY u DESC LIMIT 3",
		},
	} {
		rows, err := node.QueryContext(ctx, v.query)
		if err != nil {
			return fmt.Errorf("reading %s: %w", v.Title, err)
		}
		v.Rows = rows
		r.Views = append(r.Views, v)
	}
	return nil
}

func scan(ctx context.Context, node *services.Node, query string, into ...*int64) error {
	rows, err := node.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	if len(rows) != 1 || len(rows[0]) != len(into) {
		return fmt.Errorf("%q returned %v", query, rows)
	}
	for i, p := range into {
		if *p, err = strconv.ParseInt(rows[0][i], 10, 64); err != nil {
			return fmt.Errorf("reading the result of %q: %w", query, err)
		}
	}
	return nil
}
