package clickhouse

import (
	"strings"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/benthos-clickhouse/connect/clickhouse/insert"
	"github.com/benthos-clickhouse/connect/internal/lint"
)

const (
	choFieldAddresses       = "addresses"
	choFieldDSN             = "dsn"
	choFieldDatabase        = "database"
	choFieldTable           = "table"
	choFieldCluster         = "cluster"
	choFieldShards          = "shards"
	choFieldAddressMap      = "address_map"
	choFieldUsername        = "username"
	choFieldPassword        = "password"
	choFieldTLS             = "tls"
	choFieldCompression     = "compression"
	choFieldSettings        = "settings"
	choFieldColumns         = "columns"
	choFieldColumnName      = "name"
	choFieldColumnFrom      = "from"
	choFieldColumnMapping   = "mapping"
	choFieldColumnSkip      = "skip"
	choFieldUnknownFields   = "unknown_fields"
	choFieldDuplicates      = "duplicate_fields"
	choFieldAddColumn       = "add_column"
	choFieldInclude         = "include"
	choFieldExclude         = "exclude"
	choFieldMax             = "max"
	choFieldInterval        = "interval"
	choFieldWriteMode       = "write_mode"
	choFieldChanges         = "changes"
	choFieldFormat          = "format"
	choFieldOperation       = "operation"
	choFieldVersion         = "version"
	choFieldVersionColumn   = "column"
	choFieldIsDeleted       = "is_deleted"
	choFieldSign            = "sign"
	choFieldTombstones      = "tombstones"
	choFieldTruncations     = "truncations"
	choFieldRouting         = "routing"
	choFieldStrategy        = "strategy"
	choFieldKey             = "key"
	choFieldReplicas        = "replicas"
	choFieldPolicy          = "policy"
	choFieldMaxDelay        = "max_delay"
	choFieldDelivery        = "delivery"
	choFieldSink            = "sink"
	choFieldRetries         = "retries"
	choFieldMaxAttempts     = "max_attempts"
	choFieldInitialInterval = "initial_interval"
	choFieldMaxInterval     = "max_interval"
	choFieldOnExhausted     = "on_exhausted"
	choFieldSpool           = "spool"
	choFieldPath            = "path"
	choFieldMaxBytes        = "max_bytes"
	choFieldDeadLetter      = "dead_letter"
	choFieldAlert           = "alert"
	choFieldRefresh         = "topology_refresh"
	choFieldDialTimeout     = "dial_timeout"
	choFieldStallTimeout    = "stall_timeout"
	choFieldInsertTimeout   = "insert_timeout"
	choFieldMaxBlockRows    = "max_block_rows"
	choFieldMaxBlockBytes   = "max_block_bytes"
	choFieldBatching        = "batching"
	choFieldMaxInFlight     = "max_in_flight"
)

func spec() *service.ConfigSpec {
	s := service.NewConfigSpec().
		Beta().
		Categories("Services").
		Version("0.1.0").
		Summary("Inserts into the local tables of a sharded ClickHouse cluster over the native protocol, each row into the shard where the Distributed table would have put it.").
		Description(description + service.OutputPerformanceDocs(true, true))
	for _, fields := range [][]*service.ConfigField{serverFields(), rowFields(), changeFields(), deliveryFields(), tuningFields()} {
		s = s.Fields(fields...)
	}
	for _, e := range examples {
		s = s.Example(e.title, e.summary, e.yaml)
	}
	return s.LintRule(lintWhole)
}

const description = `
The cluster behind a Distributed table is discovered: its shards, their weights and replicas, and the sharding key. Each batch is taken apart into one column block per shard, and the blocks are inserted in parallel into
the **local** tables. A batch succeeds when every shard has acknowledged.

### Rows

A message is a JSON object, and each column takes the top-level member that is called as it; ` + "`columns`" + ` says otherwise. A message that comes from ` + "`kafka_exactly_once`" + ` with ` + "`records_per_message`" + ` above 1 is many rows.
A missing member, or a null in a column that is not Nullable, takes the column's DEFAULT. Messages that an earlier processor has flagged as failed are treated as rows that cannot be inserted, with the processor's error as the reason.

A row that cannot be inserted goes to ` + "`dead_letter`" + `, as it came, with the metadata ` + "`clickhouse_native_error`" + `, ` + "`clickhouse_native_column`" + `, ` + "`clickhouse_native_type`" + `, ` + "`clickhouse_native_code`" + ` and, where known, ` + "`kafka_topic`" + `,
` + "`kafka_partition`" + `, ` + "`kafka_offset`" + `. The batch is acknowledged only when that output has acknowledged. Without a ` + "`dead_letter`" + ` the batch fails with the first such row's reason, again and again, and nothing is dropped.

With ` + "`write_mode`" + ` ` + "`replacing`" + ` or ` + "`collapsing`" + ` a record is a change of a row in a source table, as Debezium, Canal, Maxwell or Flink write it, and ` + "`columns`" + ` speak of the row within it; ` + "`from: '@envelope.source.lsn'`" + ` reaches beside the row. See docs/changes.md.

### Delivery

With ` + "`kafka_exactly_once`" + ` each block carries a name made of its range of offsets, and ClickHouse drops a block whose name it has had: every event is in the table once, whatever crashes. The tables need a Replicated engine or
` + "`non_replicated_deduplication_window`" + `; the output checks that when it starts. With any other input delivery is at least once.

### Errors

A shard that fails is retried inside the output, with jitter; the shards that have acknowledged are not written again. Errors of single rows are narrowed down on a temporary table (which takes the privilege ` + "`CREATE TEMPORARY TABLE`" + `).
What only a person can mend (a wrong password, a missing privilege, an unsupported column type) is refused when the pipeline starts. When it happens later, every batch fails, the log says what to do each
` + "`retries.max_interval`" + `, and nothing is lost.

### Memory

Each of the ` + "`max_in_flight`" + ` batches holds its messages, and one block per shard of about the rows' size in ClickHouse's native format, up to a quarter more for growth. Blocks are sent in compressed frames of 256 KiB straight from
there, for which each shard being written takes another megabyte; afterwards they are kept to be filled again. In all about ` + "`max_in_flight × (batch in JSON + 1.25 × batch in native format + shards × 1 MiB)`" + `, times what the
Go runtime lets garbage grow (` + "`GOGC`, `GOMEMLIMIT`" + `).
Without a ` + "`batching`" + ` policy up to 1,024 batches are held here, to be put together. Where an input makes large batches of its own and does not bound how many are under way, give a policy: with ` + "`count: 1`" + ` each is inserted by itself, and ` + "`max_in_flight`" + `
is all that there are.

### Metrics

` + "`clickhouse_native_rows_total`, `_bytes_total`, `_blocks_total`, `_insert_latency_ns`" + ` and ` + "`_spooled_rows_total`" + ` per shard; ` + "`_retries_total`" + ` per shard and action; ` + "`_rejected_rows_total`" + `.

Shards are numbered as ` + "`shard_num`" + ` of ` + "`system.clusters`" + ` numbers them, from 1: in metrics, messages, alerts, and what ` + "`connect clickhouse spool`" + ` shows.
`

func serverFields() []*service.ConfigField {
	return []*service.ConfigField{
		service.NewStringListField(choFieldAddresses).
			Description("Any nodes of the cluster, as `host:port` of the native protocol. They are asked for the topology, one after the other; the rest is discovered.").
			Example([]string{"ch-1:9000", "ch-2:9000"}).
			Default([]any{}).
			LintRule(lintAddresses),
		service.NewStringField(choFieldDSN).
			Description("Instead of `addresses`, `database`, `username` and `password`: `clickhouse://user:password@host:9000,host:9000/database`. Parameters: `secure=true`, `skip_verify=true`, `compress=lz4|zstd|none`, `dial_timeout=5s`.").
			Default("").Secret().Advanced().LintRule(lintDSN),
		service.NewStringField(choFieldDatabase).Description("Database of the table.").Default("default").
			LintRule(required(choFieldDatabase)),
		service.NewStringField(choFieldTable).
			Description("A Distributed table, or a local table together with `cluster` or `shards`.").
			Example("events").
			LintRule(required(choFieldTable)),
		service.NewStringField(choFieldCluster).
			Description("Name in `system.clusters`, when `table` is itself the local table. `{macros}` are resolved by the server.").
			Default("").Advanced(),
		service.NewStringListOfListsField(choFieldShards).
			Description("The replicas of each shard, in shard order, for networks where discovery cannot work. `table` is then the local table or the Distributed one.").
			Example([][]string{{"a1:9000", "a2:9000"}, {"b1:9000"}}).
			Default([]any{}).Advanced().LintRule(lintShards),
		service.NewStringMapField(choFieldAddressMap).
			Description("Reachable `host:port` for a discovered `host:port`, behind address translation, in Kubernetes, or through a port-forward. IPv6 addresses stand in brackets.").
			Example(map[string]any{"ch-1.internal:9000": "localhost:19000"}).
			Default(map[string]any{}).Advanced().LintRule(lintAddressMap),
		service.NewStringField(choFieldUsername).Description("User to log in as.").Default("default"),
		service.NewStringField(choFieldPassword).Description("The user's password.").Default("").Secret(),
		service.NewTLSToggledField(choFieldTLS),
		service.NewStringEnumField(choFieldCompression, "none", "lz4", "zstd").LintRule(rules.Check(choFieldCompression, lint.OneOf("none", "lz4", "zstd"))).
			Description("Codec of the blocks. `lz4` costs the least CPU for what it saves; `zstd` halves the bytes again for two to four times the CPU.").
			Default("lz4"),
		service.NewStringMapField(choFieldSettings).
			Description("Further ClickHouse settings of each INSERT, such as `insert_quorum: auto`. Those that deduplication rests on are set by this output and refused here, and so is `session_timezone`: times without a zone are read in the servers'.").
			Default(map[string]any{}).Advanced().LintRule(lintSettings),
	}
}

func rowFields() []*service.ConfigField {
	strategies := map[string]string{
		"table":           "The Distributed table's own sharding key, so that rows land where an INSERT into it would have put them. Proved equal to the server at start.",
		"hash":            "`cityHash64` of `key`, by weight.",
		"consistent_hash": "Rendezvous hashing of `key`, by weight: a shard added takes its share, and no key moves between the others.",
		"round_robin":     "One after the other, by weight.",
		"random":          "Evenly, by weight.",
		"free_space":      "In proportion to the free disk space of the shards.",
	}
	return []*service.ConfigField{
		service.NewObjectListField(choFieldColumns,
			service.NewStringField(choFieldColumnName).Description("Name of the column."),
			service.NewStringField(choFieldColumnFrom).
				Description("Where the value stands in the document, `a.b[0].c`, or `@name` for a metadata value such as `@kafka_offset`.").
				Examples("page.url", "@kafka_offset").Default(""),
			service.NewBloblangField(choFieldColumnMapping).Optional().
				Description("A mapping whose result is the value. It makes the message be parsed as a whole, which costs several times what the rest of the output does.").
				Example(`root = this.url.parse_url().host`).Advanced(),
			service.NewBoolField(choFieldColumnSkip).Description("Leave the column to its DEFAULT.").Default(false).Advanced(),
		).Description("Columns that do not simply take the member of their own name. All other insertable columns do.").
			Example([]any{map[string]any{"name": "kafka_offset", "from": "@kafka_offset"}}).
			Default([]any{}).
			LintRule(lintColumns),
		choiceField(choFieldUnknownFields, map[string]string{
			"ignore":     "They are passed over.",
			"reject":     "The row cannot be inserted.",
			"add_column": "A Nullable column of a type that holds the value (a String for objects, and for arrays within eight others) is added to the local tables and to the Distributed one, within the bounds of `add_column`. A name that the server does not take is logged once and ignored from then on. It takes the privilege ALTER ADD COLUMN.",
		}).Description("What to do with members that no column takes.").Default("ignore"),
		service.NewObjectField(choFieldAddColumn,
			patternsField(choFieldAddColumn+"."+choFieldInclude).Description("Regular expressions for the names of members that may become columns. Empty: all may.").Default([]any{}),
			patternsField(choFieldAddColumn+"."+choFieldExclude).Description("Regular expressions for names that may not.").Default([]any{}),
			service.NewIntField(choFieldMax).Description("Columns that the table may have in all.").Default(200).
				LintRule(rules.Check("add_column.max", lint.AtLeast(1))),
			service.NewDurationField(choFieldInterval).LintRule(rules.Check("add_column.interval", lint.DurationOrZero)).Description("Least time between two changes of the table.").Default("10s"),
		).Description("Bounds for `unknown_fields: add_column`.").Advanced(),
		choiceField(choFieldDuplicates, map[string]string{
			"last":   "The last one counts.",
			"reject": "The row cannot be inserted.",
		}).Description("What to do with a member that stands twice in a document.").Default("last").Advanced(),
		service.NewObjectField(choFieldRouting,
			choiceField(choFieldRouting+"."+choFieldStrategy, strategies).Description("How rows are given to shards.").Default(string(insert.StrategyTable)),
			service.NewStringListField(choFieldKey).Description("Columns to hash, for `hash` and `consistent_hash`.").Default([]any{}),
		).Description("Which shard a row goes to.").LintRule(lintRouting),
		service.NewObjectField(choFieldReplicas,
			service.NewStringEnumField(choFieldPolicy, "random", "in_order", "round_robin", "nearest").LintRule(rules.Check("replicas.policy", lint.OneOf("random", "in_order", "round_robin", "nearest"))).
				Description("Which replica of a shard is written: as ClickHouse's `load_balancing`, where `nearest` is called `nearest_hostname`.").Default("random"),
			rules.Duration(choFieldReplicas+"."+choFieldMaxDelay).
				Description("A replica that lags further behind is passed over while there is another one.").Default("300s").Advanced(),
		).Description("Which replica of a shard takes a block."),
	}
}

func deliveryFields() []*service.ConfigField {
	return []*service.ConfigField{
		choiceField(choFieldDelivery, map[string]string{
			"auto":          "Exactly once when the batch comes from an input that can give it (`kafka_exactly_once`), at least once otherwise.",
			"at_least_once": "At least once with any input.",
			"exactly_once":  "Refuses an input that cannot give it, and tables that do not drop repeated blocks.",
		}).Description("What is promised.").Default("auto"),
		service.NewStringField(choFieldSink).
			Description("Tells this output from another one that writes the same ranges into the same table. Part of the names of blocks: do not change it while ranges are under way. Default: database and name of the local table.").
			Default("").Advanced(),
		service.NewObjectField(choFieldRetries,
			service.NewIntField(choFieldMaxAttempts).Description("Attempts at one shard's block before `on_exhausted` applies.").Default(8).
				LintRule(rules.Check("retries.max_attempts", lint.AtLeast(1))),
			rules.Duration(choFieldRetries+"."+choFieldInitialInterval).Description("Wait after the first attempt. It doubles, and half of it is random.").Default("200ms"),
			rules.Duration(choFieldRetries+"."+choFieldMaxInterval).Description("Longest wait between two attempts.").Default("30s"),
		).Description("How a shard that fails is tried again, within the write of the batch."),
		choiceField(choFieldOnExhausted, map[string]string{
			"retry": "The batch is handed back and delivered again: its partition waits.",
			"spool": "The block is put on disk, an alert goes out, and the stream goes on; `connect clickhouse spool replay` inserts it later. A full disk falls back to `retry`.",
		}).Description("What happens to a block whose attempts are used up.").Default("retry"),
		service.NewObjectField(choFieldSpool,
			service.NewStringField(choFieldPath).Description("Directory for the blocks.").Default(""),
			rules.Size(choFieldSpool+"."+choFieldMaxBytes, maxSize).Description("Most bytes that the directory may take.").Default("10GiB").Advanced(),
		).Description("Where blocks go with `on_exhausted: spool`."),
		service.NewOutputField(choFieldDeadLetter).Optional().
			Description("An output for rows that can never be inserted, as they came and with the reason as metadata. See the description."),
		service.NewOutputField(choFieldAlert).Optional().Advanced().
			Description("An output that is told, as one JSON object each, of every block put on disk and of bursts of dead letters (at most one a minute). It is never waited for."),
	}
}

func tuningFields() []*service.ConfigField {
	return []*service.ConfigField{
		rules.Duration(choFieldRefresh).Description("Time between two looks at the topology and the table's columns. A telling error makes it look at once.").Default("60s").Advanced(),
		rules.Duration(choFieldDialTimeout).Description("For a connection to be opened.").Default("5s").Advanced(),
		rules.Duration(choFieldStallTimeout).
			Description("A host that is silent for so long in the middle of an insert is probed over a second connection, and taken for frozen when it does not answer that one.").Default("10s").Advanced(),
		rules.Duration(choFieldInsertTimeout).Description("For one attempt at one block, views included.").Default("300s").Advanced(),
		service.NewIntField(choFieldMaxBlockRows).Description("Most rows in one block. A larger batch is sent as several blocks, but for exactly-once, where a larger range is refused.").Default(1 << 20).Advanced().LintRule(rules.Check(choFieldMaxBlockRows, lint.AtLeast(1))),
		rules.Size(choFieldMaxBlockBytes, maxSize).Description("Most bytes in one block, before compression.").Default("256MiB").Advanced(),
		service.NewBatchPolicyField(choFieldBatching).
			Description("Leave it out, and batches are put together by themselves: one that comes while nothing is being inserted is inserted at once, those that come meanwhile make up the next insert, " +
				"up to 100,000 messages or 16 MiB. So blocks grow with the load, and a batch waits for nothing when there is none. The ranges of `kafka_exactly_once` are blocks already and go as they are. " +
				"A policy that is given applies instead: `count: 1` inserts each batch by itself; a `period` makes fewer and larger inserts out of a thin stream, for as much latency."),
		service.NewIntField(choFieldMaxInFlight).Description("Inserts of batches that run at the same time. Each holds its blocks in memory. With 1, batches are inserted one after the other in the order they came, and `batching` puts none together by itself.").Default(4).
			LintRule(rules.Check(choFieldMaxInFlight, lint.AtLeast(1))),
	}
}

type example struct{ title, summary, yaml string }

var examples = []example{
	{"Exactly once from Kafka", "Every event of the topic is in the table once, each on the shard where the Distributed table `dw.events` would have put it.", `
input:
  kafka_exactly_once:
    seed_brokers: [ "localhost:9092" ]
    topics: [ clicks ]
    consumer_group: clicks-to-clickhouse

output:
  clickhouse_native:
    addresses: [ "ch-1:9000", "ch-2:9000" ]
    database: dw
    table: events
    password: "${CLICKHOUSE_PASSWORD}"
    columns:
      - { name: kafka_offset, from: '@kafka_offset' }
      - { name: kafka_partition, from: '@kafka_partition' }
      - { name: kafka_topic, from: '@kafka_topic' }
    dead_letter:
      redpanda:
        seed_brokers: [ "localhost:9092" ]
        topic: clicks.dead_letter
`},
	{"A table of a database, row by row", "What Debezium tells of a table in PostgreSQL, in a `ReplacingMergeTree(version, is_deleted)`: `SELECT … FINAL` is the source table. docs/changes.md says what the tables have to be.", `
input:
  kafka_exactly_once:
    seed_brokers: [ "localhost:9092" ]
    topics: [ shop.public.orders ]
    consumer_group: orders-to-clickhouse

output:
  clickhouse_native:
    addresses: [ "ch-1:9000", "ch-2:9000" ]
    database: ods
    table: orders
    password: "${CLICKHOUSE_PASSWORD}"
    write_mode: replacing
    changes:
      format: debezium
    columns:
      - { name: changed_at, from: '@envelope.source.ts_ms' }
`},
	{"A local table, routed by a hash", "Without a Distributed table the cluster is named, and the output routes by a hash of its own.", `
output:
  clickhouse_native:
    addresses: [ "ch-1:9000" ]
    database: dw
    table: events_local
    cluster: events_cluster
    routing:
      strategy: consistent_hash
      key: [ user_id ]
    on_exhausted: spool
    spool:
      path: /var/lib/connect/spool
`},
}

// trimmed keeps the examples' first line from being empty.
func init() {
	for i := range examples {
		examples[i].yaml = strings.TrimPrefix(examples[i].yaml, "\n")
	}
}
