package kafka

import (
	"math"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/benthos-clickhouse/connect/internal/lint"
)

func spec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Beta().
		Categories("Services").
		Version("0.1.0").
		Summary("Reads Kafka in offset ranges that survive a crash, so that an output which can drop a repeated range ends up with every record exactly once.").
		Description(description).
		Fields(connectionFields()...).
		Fields(rangeFields()...).
		Fields(groupFields()...).
		Fields(fetchFields()...).
		LintRule(lintWhole).
		Example("Kafka to ClickHouse, exactly once", "Every range is inserted under a name made of its offsets, so that what a crash makes us insert again is dropped.", `
input:
  kafka_exactly_once:
    seed_brokers: [ "localhost:9092" ]
    topics: [ clicks ]
    consumer_group: clicks-to-clickhouse
    range: { count: 100000, byte_size: 8MiB, period: 1s }
`)
}

const description = `
Each partition is cut into ranges [from, to) of offsets, and a batch is exactly one range. An output that takes part in the protocol (` + "`clickhouse_native`" + `) asks, before the first insert
of a range, that the range and the shard layout in use be recorded in the metadata of the consumer group's committed offset. After a crash or a rebalance the next owner of the partition finds them there, reads the
same ranges again, and hands them over with the layout that they were prepared with: what had landed is dropped by its name. Kafka refuses such a commit from a consumer that has lost the partition.

With any other output nothing is recorded, and delivery is at least once.

### Batches

A batch that fails is delivered again with the same records, after a backoff (` + "`redelivery`" + `), for as long as the partition is owned. It holds back the commit of its partition, and once ` + "`ranges_in_flight`" + `
ranges are under way the partition is paused. Do not split, merge or re-batch between this input and an exactly-once output: the output refuses such batches. A processor may drop messages.

` + "`records_per_message`" + ` above 1 puts several records into one message, newline-delimited, which saves most of the engine's cost per message. Only processors that know the metadata key ` + "`kafka_records`" + ` can work
on such messages record by record (` + "`dimension_join`" + `), and so does the output ` + "`clickhouse_native`" + `. A record without a value becomes an empty line, and headers are left out.

### Metadata

` + "`kafka_topic`" + `, ` + "`kafka_partition`" + `, ` + "`kafka_offset`" + `, ` + "`kafka_key`" + `, ` + "`kafka_timestamp_ms`" + `, as chosen in ` + "`metadata`" + `, and optionally ` + "`kafka_timestamp_unix`" + `, ` + "`kafka_lag`" + `, ` + "`kafka_tombstone_message`" + ` and
the record's headers under their own names. A header never replaces one of these keys. Eight keys or fewer are cheap; more cost a larger map for every message.

### Memory

A record is copied once, into its range, and kept there until the range is committed. ` + "`max_buffered_bytes`" + ` limits these copies, counted with their keys, headers, 48 bytes for each record and, with one record a message,
1,000 more for the message. When it is reached nothing more is polled. Brokers may have answered already: the client has up to two answers of each broker in hand, compressed and decompressed.
Room for records is made ahead of them, at most as much again. So the input holds at most

    2 × max_buffered_bytes + 3 × brokers × fetch_max_bytes × (1 + compression ratio)

Processors and outputs have copies of their own of what is under way: ` + "`dimension_join`" + ` the joined events, ` + "`clickhouse_native`" + ` their columns. Go's garbage collector lets the sum grow to about twice its size.

Full memory ends open ranges early, the largest first, until half of it is under way. At full load a range of one of P partitions is therefore about ` + "`max_buffered_bytes / P`" + ` large, or ` + "`range.byte_size`" + ` if that is less:
with many partitions, raise ` + "`max_buffered_bytes`" + ` for larger blocks; with few, ` + "`range.byte_size`" + `, which it follows. The first two ranges of a partition after an assignment are a sixteenth and a quarter of a full one, so that rows of a backlog are visible soon.

### When something changes underneath

- **Offsets reset by hand** (` + "`kafka-consumer-groups --reset-offsets`" + `, with the group stopped) drop the metadata, and with it every prepared range: reading starts at the new offset and cuts new ranges, so rows below the old
  offset are inserted again under new names.
- **The topic is deleted and created again**: its id differs from the one in the metadata, so the old offsets are ignored and reading starts at ` + "`start_offset`" + `. Block names hold the topic id and never clash with the old topic's. Where brokers
  tell no ids, names hold the topic's name, and it is not noticed; ranges that are prepared while an upgrade makes them tell it keep their names.
- **Records expire before they are read**: reading goes on at the first record left, with an error in the log and ` + "`records_expired_total`" + `. A prepared range that expired as a whole is given up; one that expired in part keeps its
  boundaries, and the output compares its digest before it inserts anything.
- **Compacted topics** (` + "`cleanup.policy=compact`" + `) may lose records of a prepared range between two attempts; its digest tells, as above. Topics that are only deleted by retention are not affected.
- **The committed offset, or a prepared range above it, lies past the end of the log** (unclean leader election, a restored broker): the partition is not consumed and the log says why, until the group's offset is set by hand.
- **The metadata is full** (` + "`offset.metadata.max.bytes`" + ` on the brokers, 4,096 by default, and ` + "`max_metadata_bytes`" + ` here): preparing further ranges waits until one ends. A broker with a lower limit than configured is noticed, and its limit obeyed.
- **An offset commit's answer is lost**: the commit might still arrive, after later ones. The group is joined again as a new member, from which moment Kafka refuses what the old one sent.
- **No heartbeat is answered for** ` + "`session_timeout`" + ` (a suspended machine, a coordinator that was away): another consumer may have had the partitions. Nothing more is sent, and the group is joined again as a new member.

### Metrics

` + "`kafka_exactly_once_lag`" + `, ` + "`_ranges_prepared`" + ` and ` + "`_ranges_in_flight`" + ` per topic and partition; ` + "`_buffered_bytes`" + `; counters ` + "`_ranges_recovered_total`" + `, ` + "`_ranges_redelivered_total`" + `, ` + "`_commit_failures_total`" + `,
` + "`_metadata_full_total`" + `, ` + "`_records_expired_total`" + ` and ` + "`_partitions_refused_total`" + `.
`

func connectionFields() []*service.ConfigField {
	return []*service.ConfigField{
		service.NewStringListField(kefSeedBrokers).LintRule(lintBrokers).
			Description("Brokers to find the rest of the cluster by. An item with commas is taken as several.").
			Example([]string{"localhost:9092"}),
		service.NewStringListField(kefTopics).LintRule(lintTopics).
			Description("Topics to read. An item with commas is taken as several, unless it is a regular expression (`regexp_topics`).").
			Example([]string{"clicks"}),
		service.NewBoolField(kefRegexpTopics).
			Description("Whether `topics` are regular expressions, which match anywhere in a name: `clicks` also reads `clicks.dead_letter`, `^clicks$` does not. Topics that match later are found when metadata is refreshed (`metadata_max_age`).").
			Default(false).Advanced(),
		service.NewStringField(kefConsumerGroup).LintRule(rules.Check(kefConsumerGroup, lint.Required)).
			Description("Consumer group whose committed offsets hold progress and intents. Block names contain it: two groups that read the same topic into the same table insert its rows twice."),
		service.NewStringField(kefStartOffset).LintRule(lintStart).
			Description("Where a partition starts that the group has no offset for: `earliest`, `latest`, `committed` (do not read it) or an RFC 3339 time. The place is committed before anything is delivered. It also goes for partitions that a topic gets later: with `latest`, what was written to them before they were found is not read.").
			Default("earliest").Example("2026-01-02T15:04:05Z"),
		service.NewStringField(kefClientID).Description("Identifies this client to the brokers.").Default("connect").Advanced(),
		service.NewTLSToggledField(kefTLS),
		service.NewObjectListField(kefSASL,
			rules.Choice(kefSASL+"."+kefSASLMechanism, "none", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER").
				Description("SASL mechanism."),
			service.NewStringField(kefSASLUsername).Description("User name, for PLAIN and SCRAM.").Default(""),
			service.NewStringField(kefSASLPassword).Description("Password, for PLAIN and SCRAM.").Default("").Secret(),
			service.NewStringField(kefSASLToken).Description("Token, for OAUTHBEARER.").Default("").Secret(),
			service.NewStringMapField(kefSASLExtensions).Description("Extensions, for OAUTHBEARER.").Default(map[string]any{}),
		).Description("Ways to authenticate, in order of preference.").Optional().Advanced(),
		rules.DurationOrZero(kefMetadataMaxAge).Description("How often topics and partitions are looked up again.").Default("1m").Advanced(),
		rules.DurationOrZero(kefRequestOverhead).Description("Time granted to a request on top of its own timeout.").Default("10s").Advanced(),
		rules.DurationOrZero(kefConnIdleTimeout).Description("Roughly how long a connection may idle before it is closed.").Default("20s").Advanced(),
	}
}

func rangeFields() []*service.ConfigField {
	return []*service.ConfigField{
		service.NewObjectField(kefRange,
			rules.Integer(kefRange+"."+kefRangeCount, 1).Description("Records that end a range. An exactly-once output inserts a range as one block per shard, so this bounds the block.").Default(100000),
			rules.Size(kefRange+"."+kefRangeByteSize, maxRangeBytes).Description("Bytes of keys, values and headers that end a range.").Default("8MiB"),
			rules.Duration(kefRange+"."+kefRangePeriod).Description("Time after a range's first record that ends it, unless `ranges_in_flight` are under way: then it grows.").Default("1s"),
		).Description("Where a partition is cut, whichever comes first."),
		rules.Integer(kefRecordsPerMessage, 1).Description("Records in one message. See the description.").Default(1),
		rules.Integer(kefRangesInFlight, 1).Description("Ranges of one partition that may be under way at a time. The pipeline also needs threads for them.").Default(4).Advanced(),
		rules.Size(kefMaxBufferedBytes, maxBufferedBytes).
			Description("Bytes held, of records in open ranges and in ranges under way, above which nothing more is read; three times `range.byte_size` by default. See the section on memory. A recovered range is read whole, even if it is larger.").
			Optional().Example("128MiB"),
		rules.Integer(kefMaxMetadataBytes, minMetadata).
			Description("Length of the metadata that intents may take, at most the brokers' `offset.metadata.max.bytes`.").
			Default(4096).Advanced(),
		service.NewStringListField(kefMetadata).LintRule(rules.Check(kefMetadata, lint.OneOf(metadataNames...))).
			Description("Metadata to set: `topic`, `partition`, `offset`, `key`, `timestamp_ms`, `timestamp_unix`, `headers`, `lag`, `tombstone_message`.").
			Default([]any{"topic", "partition", "offset", "key", "timestamp_ms"}),
		service.NewStringAnnotatedEnumField(kefIsolationLevel, map[string]string{
			"read_committed":   "Records of open and aborted transactions are not read.",
			"read_uncommitted": "All records are read.",
		}).LintRule(rules.Check(kefIsolationLevel, lint.OneOf("read_committed", "read_uncommitted"))).Description("Which records of transactions are read.").Default("read_committed").Advanced(),
		service.NewObjectField(kefRedelivery,
			rules.Duration(kefRedelivery+"."+kefRedeliveryInitial).Description("Wait after a range's first failure; it doubles with each further one.").Default("200ms"),
			rules.Duration(kefRedelivery+"."+kefRedeliveryMax).Description("Longest wait.").Default("30s"),
		).Description("Backoff between deliveries of a range that failed.").Advanced(),
	}
}

func groupFields() []*service.ConfigField {
	return []*service.ConfigField{
		service.NewStringField(kefInstanceID).
			Description("Static group membership: a restart within `session_timeout` gets its partitions back without a rebalance. Must be unique within the group.").
			Default("").Advanced(),
		service.NewStringField(kefRackID).Description("Where this client stands, to fetch from the closest replica.").Default("").Advanced(),
		service.NewStringListField(kefGroupBalancers).LintRule(lintBalancers).
			Description("Ways to assign partitions, in order of preference: `cooperative_sticky`, `sticky`, `range`, `round_robin`. All members of a group need one in common.").
			Default([]any{"cooperative_sticky"}).Advanced(),
		rules.Duration(kefSessionTimeout).
			Description("How long the group waits for a heartbeat of this member. A lease whose last answered heartbeat is older is not used any more.").
			Default("45s").Advanced(),
		rules.Duration(kefRebalanceTimeout).
			Description("How long a rebalance waits for this member. Ranges under way are drained within it, less a heartbeat and a fifth.").
			Default("45s").Advanced(),
		rules.Duration(kefHeartbeatInterval).Description("Time between heartbeats, at most a third of `session_timeout`; by default a third of it, and at most 3s.").Optional().Advanced(),
	}
}

func fetchFields() []*service.ConfigField {
	return []*service.ConfigField{
		rules.Size(kefFetchMaxBytes, math.MaxInt32).Description("Most bytes (compressed) in one answer of a broker. Raise it where brokers are far away: an answer at a time is read from each.").Default("1MiB").Advanced(),
		rules.Size(kefFetchMaxPartition, math.MaxInt32).Description("Most bytes (compressed) of one partition in an answer.").Default("512KiB").Advanced(),
		rules.Size(kefFetchMinBytes, math.MaxInt32).Description("Bytes that a broker waits for, as long as `fetch_max_wait`.").Default("1B").Advanced(),
		rules.Duration(kefFetchMaxWait).Description("How long a broker waits for `fetch_min_bytes`.").Default("1s").Advanced(),
	}
}
