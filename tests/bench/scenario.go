package bench

import (
	"fmt"
	"strings"
	"time"
)

// Scenario is one line of the table: one thing changed from the base.
type Scenario struct {
	Name              string
	Shape             Shape
	Join              bool
	RecordsPerMessage int
	ExactlyOnce       bool
	Compression       string
	Partitions        int
	Shards            int
	Engine            string        // Null or MergeTree
	Period            time.Duration // of range; the input's default when zero
	Topic             string        // one of its own, when set
	Input             string        // further fields of the input, as YAML lines
	AddressMap        string        // of the output, as YAML
}

// base is the standard case: 21 fields, LZ4, 2 shards, three dimensions, many records a message.
func base() Scenario {
	return Scenario{Name: "standard", Shape: Standard, Join: true, RecordsPerMessage: 10_000, Compression: "lz4", Partitions: 4, Shards: 2, Engine: "Null"}
}

// Scenarios returns all of them; the first is the base.
func Scenarios() []Scenario {
	with := func(name string, change func(*Scenario)) Scenario {
		s := base()
		s.Name = name
		change(&s)
		return s
	}
	return []Scenario{
		base(),
		with("one record a message", func(s *Scenario) { s.RecordsPerMessage = 1 }),
		with("no join", func(s *Scenario) { s.Join = false }),
		with("no join, one record a message", func(s *Scenario) { s.Join = false; s.RecordsPerMessage = 1 }),
		with("MergeTree, at least once", func(s *Scenario) { s.Engine = "MergeTree" }),
		with("MergeTree, exactly once", func(s *Scenario) { s.Engine = "MergeTree"; s.ExactlyOnce = true }),
		with("zstd", func(s *Scenario) { s.Compression = "zstd" }),
		with("no compression", func(s *Scenario) { s.Compression = "none" }),
		with("1 partition", func(s *Scenario) { s.Partitions = 1 }),
		with("16 partitions", func(s *Scenario) { s.Partitions = 16 }),
		with("1 shard", func(s *Scenario) { s.Shards = 1 }),
		with("8 shards", func(s *Scenario) { s.Shards = 8 }),
		with("5 columns", func(s *Scenario) { s.Shape = Narrow; s.Join = false }),
		with("200 columns", func(s *Scenario) { s.Shape = Wide }),
		with("shuffled keys", func(s *Scenario) { s.Shape = Shuffled }),
		with("escapes and non-ASCII", func(s *Scenario) { s.Shape = Escaped }),
		with("nested documents", func(s *Scenario) { s.Shape = Nested }),
	}
}

func (s Scenario) topic() string {
	if s.Topic != "" {
		return s.Topic
	}
	return fmt.Sprintf("bench-%s-%d", s.Shape, s.Partitions)
}

func (s Scenario) cluster() string { return fmt.Sprintf("bench%d", s.Shards) }

// shardDatabase is the database of one shard's local table.
func (s Scenario) shardDatabase(i int) string { return fmt.Sprintf("%s_%d", s.database(), i) }

// database holds the tables of one shape, engine and number of shards; shard i of it is in database()_i.
func (s Scenario) database() string {
	if s.Period != 0 {
		return "bench_latency"
	}
	return strings.ToLower(fmt.Sprintf("bench_%s_%s_%d", s.Shape, s.Engine, s.Shards))
}

const standardColumns = `event_id UUID, ts DateTime64(3, 'UTC'), event_type LowCardinality(String), user_id UInt64, session_id String,
  device_id String, platform LowCardinality(String), app_version LowCardinality(String), url String, referrer String, sku String,
  geo_id UInt32, channel_code LowCardinality(String), price Decimal(12, 2), quantity UInt16, currency LowCardinality(String),
  duration_ms UInt32, is_new_user Bool, experiments Array(LowCardinality(String)), attributes Map(LowCardinality(String), String), ip IPv4`

const joinedColumns = `, product_name LowCardinality(Nullable(String)), product_category LowCardinality(Nullable(String)), product_brand LowCardinality(Nullable(String)),
  geo_country LowCardinality(Nullable(String)), geo_city LowCardinality(Nullable(String)), channel_name LowCardinality(Nullable(String)), channel_medium LowCardinality(Nullable(String))`

func (s Scenario) columns() string {
	if s.Shape == Narrow {
		return "event_id UUID, ts DateTime64(3, 'UTC'), event_type LowCardinality(String), user_id UInt64, price Decimal(12, 2)"
	}
	cols := standardColumns + joinedColumns
	if s.Shape == Wide {
		var b strings.Builder
		for i := range columnsWide {
			typ := "UInt32"
			if i%2 == 1 {
				typ = "String"
			}
			fmt.Fprintf(&b, ", f%03d %s", i, typ)
		}
		cols += b.String()
	}
	if s.Period != 0 {
		cols += ", produced DateTime64(3)"
	}
	return cols
}

// tables are the statements for one node: the shards' local tables that stand on it, and the Distributed table.
func (s Scenario) tables(shardsHere []int) []string {
	engine := "Null"
	if s.Engine == "MergeTree" {
		engine = "MergeTree ORDER BY (event_type, user_id) SETTINGS non_replicated_deduplication_window = 10000"
	}
	var stmts []string
	for _, i := range shardsHere {
		db := s.shardDatabase(i)
		stmts = append(stmts, "CREATE DATABASE IF NOT EXISTS "+db,
			fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s.events_local (%s) ENGINE = %s", db, s.columns(), engine))
	}
	return append(stmts, "CREATE DATABASE IF NOT EXISTS "+s.database(),
		fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s.events (%s) ENGINE = Distributed('%s_%s', '', 'events_local', cityHash64(user_id))",
			s.database(), s.columns(), s.cluster(), s.database()))
}

// ends are the addresses that a pipeline stands between.
type ends struct {
	http, kafka, dsn, clickhouse string
}

// config is the pipeline's YAML.
func (s Scenario) config(at ends, group string, debug bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, `http: { address: %q, debug_endpoints: %t }
input:
  kafka_exactly_once:
    seed_brokers: [ %q ]
    topics: [ %s ]
    consumer_group: %s
    records_per_message: %d
`, at.http, debug, at.kafka, s.topic(), group, s.RecordsPerMessage)
	b.WriteString(s.Input)
	if s.Period != 0 {
		fmt.Fprintf(&b, "    range: { period: %s }\n", s.Period)
	}
	if s.Join {
		fmt.Fprintf(&b, `pipeline:
  processors:
    - dimension_join:
        dsn: %q
        dimensions:
          - { name: product, table: dim_product, key: { sku: this.sku }, columns: [ name, category, brand ], prefix: product_ }
          - { name: geography, table: dim_geography, key: { geo_id: this.geo_id }, columns: [ country, city ], prefix: geo_ }
          - { name: channel, table: dim_channel, key: { code: this.channel_code }, columns: [ name, medium ], prefix: channel_ }
`, at.dsn)
	}
	delivery := "at_least_once"
	if s.ExactlyOnce {
		delivery = "exactly_once"
	}
	fmt.Fprintf(&b, `output:
  clickhouse_native:
    addresses: [ %q ]
    database: %s
    table: events
    compression: %s
    delivery: %s
`, at.clickhouse, s.database(), s.Compression, delivery)
	if s.Shape == Nested {
		b.WriteString("    columns:\n")
		for _, name := range []string{"session_id", "device_id", "platform", "app_version", "url", "referrer", "price", "quantity", "currency"} {
			fmt.Fprintf(&b, "      - { name: %s, from: %s }\n", name, nested[name])
		}
	}
	if s.AddressMap != "" {
		fmt.Fprintf(&b, "    address_map: %s\n", s.AddressMap)
	}
	if s.Period != 0 {
		b.WriteString("    columns: [ { name: produced, from: '@kafka_timestamp_ms' } ]\n")
	}
	level := "WARN"
	if debug {
		level = "DEBUG"
	}
	fmt.Fprintf(&b, "metrics:\n  prometheus: { add_go_metrics: true }\nlogger: { level: %s, add_timestamp: true }\n", level)
	return b.String()
}
