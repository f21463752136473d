package dimensionjoin

import (
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/source"
)

// Name under which the processor is registered.
const Name = "dimension_join"

const (
	djFieldDSN              = "dsn"
	djFieldMaxConnections   = "max_connections"
	djFieldMaxKeysPerQuery  = "max_keys_per_query"
	djFieldQueryTimeout     = "query_timeout"
	djFieldOnConflict       = "on_conflict"
	djFieldBackoff          = "backoff"
	djFieldBackoffInitial   = "initial_interval"
	djFieldBackoffMax       = "max_interval"
	djFieldCacheLabel       = "cache_label"
	djFieldSnapshot         = "snapshot"
	djFieldInspectAddress   = "inspect_address"
	djFieldDimensions       = "dimensions"
	djFieldDimName          = "name"
	djFieldDimTable         = "table"
	djFieldDimQuery         = "query"
	djFieldDimKey           = "key"
	djFieldDimColumns       = "columns"
	djFieldDimRename        = "rename"
	djFieldDimTypes         = "types"
	djFieldDimTarget        = "target"
	djFieldDimPrefix        = "prefix"
	djFieldDimTimeZone      = "time_zone"
	djFieldDimOnMissing     = "on_missing"
	djFieldDimDefaults      = "defaults"
	djFieldDimRetry         = "retry_missing"
	djFieldDimRetryAttempts = "attempts"
	djFieldDimRetryDelay    = "delay"
	djFieldDimAsOf          = "as_of"
	djFieldDimAsOfTime      = "time"
	djFieldDimAsOfFrom      = "valid_from"
	djFieldDimAsOfTo        = "valid_to"
	djFieldDimAsOfUnit      = "unit"
	djFieldDimLoad          = "load"
	djFieldDimRefresh       = "refresh"
	djFieldDimRefreshEvery  = "interval"
	djFieldDimRefreshColumn = "updated_at"
	djFieldDimRefreshPoll   = "poll_interval"
	djFieldDimWatch         = "watch"
	djFieldCache            = "cache"
	djFieldCacheMaxRows     = "max_rows"
	djFieldCacheMaxBytes    = "max_bytes"
	djFieldCacheTTL         = "ttl"
	djFieldCacheRefresh     = "refresh_after"
	djFieldCacheMissingTTL  = "missing_ttl"
	djFieldCacheMaxStale    = "max_stale"
	djFieldCacheJitter      = "jitter"
	djFieldInvalidation     = "invalidation"
	djFieldBinlog           = "binlog"
	djFieldBinlogEnabled    = "enabled"
	djFieldBinlogServerID   = "server_id"
)

// Spec describes the processor's configuration.
func Spec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Beta().
		Categories("Integration").
		Version("0.1.0").
		Summary("Enriches events with rows of MySQL or MariaDB dimension tables, through a cache that the server's binlog can keep fresh.").
		Description(description).
		Fields(
			service.NewStringField(djFieldDSN).LintRule(lintDSN).
				Description("The server, in the notation of go-sql-driver/mysql: `user:password@tcp(host:3306)/database`. The connection's character set and time zone are the processor's own business.").
				Example("reader:${MYSQL_PASSWORD}@tcp(mysql:3306)/shop").
				Secret(),
			service.NewObjectListField(djFieldDimensions, dimensionFields()...).LintRule(lintDimensions).
				Description("The dimensions to join. One whose key is a column of another is joined after it."),
			rules.Choice(djFieldOnConflict, conflicts...).
				Description("What happens to a member that an event has already: the dimension's value takes its place, or the event's value stays.").
				Default("overwrite").Advanced(),
			cacheField(),
			service.NewObjectField(djFieldInvalidation,
				service.NewObjectField(djFieldBinlog,
					service.NewBoolField(djFieldBinlogEnabled).
						Description("Follow the server's row events. It needs `log_bin`, `binlog_format=ROW`, on a replica `log_replica_updates` (MariaDB: `log_slave_updates`), and the privileges REPLICATION SLAVE and REPLICATION CLIENT (MariaDB: REPLICATION SLAVE and BINLOG MONITOR).").
						Default(false),
					service.NewIntField(djFieldBinlogServerID).LintRule(lintServerID).
						Description("The replica id to register with, which no other replica of the server may have. 0 picks one at random.").
						Default(0),
				).Description("Read rows again within a second of their change, instead of when their `ttl` is over."),
			).Description("How changes in the database reach the cache."),
			rules.Integer(djFieldMaxConnections, 1).
				Description("Connections to the server, at most.").Default(8).Advanced(),
			rules.Integer(djFieldMaxKeysPerQuery, 1).
				Description("Keys in one `IN` list, at most; more are split over several queries.").Default(1000).Advanced(),
			rules.Duration(djFieldQueryTimeout).
				Description("The deadline of a query for missing keys.").Default("5s").Advanced(),
			service.NewObjectField(djFieldBackoff,
				rules.Duration(djFieldBackoff+"."+djFieldBackoffInitial).Description("The first pause.").Default("200ms"),
				rules.Duration(djFieldBackoff+"."+djFieldBackoffMax).Description("The longest pause.").Default("10s"),
			).Description("The pauses between attempts while a batch waits for the server.").Advanced(),
			service.NewStringField(djFieldCacheLabel).
				Description("Processors of one process with the same label share one cache, and the rows of dimensions that they configure alike and read alike: as the same user, from the same server and database, with the same session variables in `dsn`. Their `cache` settings have to be the same.").
				Default("").Advanced(),
			service.NewStringField(djFieldSnapshot).
				Description("A file that the cache is saved to when the processor stops, and loaded from when it starts. Rows of a dimension whose schema has changed meanwhile, or that another user read, are left out. With `binlog` enabled, loaded rows are read again when they are wanted, and served only if the server does not answer.").
				Default("").Advanced(),
			service.NewStringField(djFieldInspectAddress).
				Description("Where `connect dimension inspect` reaches the running processor, such as `127.0.0.1:4196`. Anyone who can connect there can read cached rows. Empty is nowhere.").
				Default("").Advanced(),
		).
		Example("Products and countries", "Two dimensions, flat and with a prefix each, joined to JSON events.", `
pipeline:
  processors:
    - dimension_join:
        dsn: "${MYSQL_DSN}"
        dimensions:
          - name: product
            table: dim_product
            key: { sku: this.sku }
            columns: [ name, category, brand ]
            prefix: product_
          - name: geography
            table: dim_geography
            key: { geo_id: this.geo_id }
            columns: [ country, city ]
            prefix: geo_
            on_missing: default
            defaults: { country: "??" }
`)
}

func dimensionFields() []*service.ConfigField {
	return []*service.ConfigField{
		service.NewStringField(djFieldDimName).LintRule(lintName).
			Description("Names the dimension in errors, logs and metrics."),
		service.NewStringField(djFieldDimTable).
			Description("The table, as `table` or `database.table`.").Default(""),
		service.NewStringField(djFieldDimQuery).
			Description("Instead of a table, a query with the placeholder `{keys}` where the list of keys goes. Its result has to have the key columns under their names. Several key columns are compared in the order of the alphabet: `WHERE (country, sku) IN {keys}`.").
			Example("SELECT p.sku, p.name, b.name AS brand FROM product p JOIN brand b USING (brand_id) WHERE p.sku IN {keys}").
			Default(""),
		service.NewStringMapField(djFieldDimKey).LintRule(lintKey).
			Description("The key columns, and the field of the event that each is compared with. A path such as `this.user.id` is read from the raw bytes; any other Bloblang expression works too, but has the event parsed, and does not see what other dimensions add. Keys compare exactly, whatever the column's collation."),
		service.NewStringListField(djFieldDimColumns).
			Description("The columns to join. None is all but the key.").Default([]any{}),
		service.NewStringMapField(djFieldDimRename).
			Description("Names of columns in the event, in place of the prefix and their own.").Default(map[string]any{}).Advanced(),
		service.NewStringMapField(djFieldDimTypes).LintRule(lintTypes).
			Description("How columns are written as JSON where their type does not say it: `string`, `number`, `bool`, `json`, `base64`, `hex` or `uuid` (of 16 bytes).").
			Default(map[string]any{}).Advanced(),
		service.NewStringField(djFieldDimTarget).
			Description("A member of the event that holds the columns as an object. Empty merges them into the event itself.").Default(""),
		service.NewStringField(djFieldDimPrefix).
			Description("Put before the columns' names.").Default(""),
		service.NewStringField(djFieldDimTimeZone).LintRule(lintZone).
			Description("The zone that DATETIME values are in. They are written as RFC 3339 with its offset; TIMESTAMP is always written in UTC.").
			Default("UTC").Advanced(),
		rules.Choice(inDimension(djFieldDimOnMissing), "null", "default", "drop", "error").
			Description("What an event is joined to whose key is missing, null, or has no row: nulls, `defaults`, nothing because the event is dropped, or nothing because it is marked as failed.").
			Default("null"),
		service.NewAnyMapField(djFieldDimDefaults).
			Description("Values by column, for `on_missing: default`. Columns without one are null.").Default(map[string]any{}),
		service.NewObjectField(djFieldDimRetry,
			rules.Integer(inDimension(djFieldDimRetry+"."+djFieldDimRetryAttempts), 0).Description("How often to look again.").Default(0),
			rules.DurationOrZero(inDimension(djFieldDimRetry+"."+djFieldDimRetryDelay)).Description("The pause before each time.").Default("1s"),
		).Description("Look again for rows that may arrive after the events that need them. A batch waits `attempts` × `delay` at most, and for a key only once per `missing_ttl`.").Advanced(),
		service.NewObjectField(djFieldDimAsOf,
			service.NewStringField(djFieldDimAsOfTime).LintRule(lintTime).
				Description("The event's own time: a field as in `key`, holding RFC 3339, MySQL's notation in `time_zone`, or a number of `unit`s since 1970."),
			service.NewStringField(djFieldDimAsOfFrom).
				Description("The column from which on a version is valid, that instant included. NULL is since ever."),
			service.NewStringField(djFieldDimAsOfTo).
				Description("The column until which a version is valid, that instant excluded. NULL is for ever. Without a column, a version ends where the next one begins.").Default(""),
			rules.Choice(inDimension(djFieldDimAsOf+"."+djFieldDimAsOfUnit), unitNames...).
				Description("Of numbers, in events and in integer columns.").Default("ms"),
		).Description("Joins the version of the row that was valid at the event's own time (slowly changing dimension, type 2). Of overlapping versions the one that began last is joined; between versions there is none.").Optional().Advanced(),
		rules.Choice(inDimension(djFieldDimLoad), loads...).
			Description("Read rows as they are wanted, or the whole table before the first event, and then again (see `refresh`).").Default("lazy"),
		service.NewObjectField(djFieldDimRefresh,
			rules.DurationOrZero(inDimension(djFieldDimRefresh+"."+djFieldDimRefreshEvery)).
				Description("The time between two readings of the whole table. 0 takes half of the cache's `ttl`, so that rows never expire while the server answers.").Default("0s"),
			service.NewStringField(djFieldDimRefreshColumn).
				Description("A column that grows with every change of a row. Changed rows are then noticed every `poll_interval`; deleted ones, and those whose column goes back, with the next reading of the whole table.").Default(""),
			rules.Duration(inDimension(djFieldDimRefresh+"."+djFieldDimRefreshPoll)).
				Description("The time between two questions for changed rows.").Default("5s"),
		).Description("How a dimension with `load: full` is kept fresh, besides the binlog.").Advanced(),
		service.NewStringListField(djFieldDimWatch).
			Description("Tables that a `query` reads, or a view that `table` names. With `binlog` enabled, a change in one of them makes all rows of the dimension be read again when they are wanted.").
			Default([]any{}).Advanced(),
	}
}

func cacheField() *service.ConfigField {
	return service.NewObjectField(djFieldCache,
		rules.Integer(inCache(djFieldCacheMaxRows), 0).
			Description("Rows of all dimensions together, known-missing keys included. 0 is no bound.").Default(1000000),
		rules.Integer(inCache(djFieldCacheMaxBytes), 0).
			Description("Memory of all dimensions together, approximately. 0 is no bound.").Default(0),
		rules.Duration(inCache(djFieldCacheTTL)).
			Description("The age from which a row is read again before it is joined.").Default("10m"),
		rules.DurationOrZero(inCache(djFieldCacheRefresh)).
			Description("The age from which a row that is asked for is read again in the background, while it still serves. 0 is never.").Default("5m"),
		rules.Duration(inCache(djFieldCacheMissingTTL)).
			Description("How long a key is known to have no row.").Default("30s"),
		rules.DurationOrZero(inCache(djFieldCacheMaxStale)).
			Description("How long past its `ttl` an entry still serves while the server does not answer. After that, batches wait for the server.").Default("1h"),
		service.NewFloatField(djFieldCacheJitter).LintRule(lintJitter).
			Description("The part of its lifetime by which an entry's is shortened at random, at most, so that rows read together do not expire together.").Default(0.1).Advanced(),
	).Description("One cache serves all dimensions, and every thread of the pipeline.")
}

// Values of fields that take one of some names.
var (
	encodings = source.Encodings
	conflicts = []string{"overwrite", "keep"}
	loads     = []string{"lazy", "full"}
	unitNames = []string{"s", "ms", "us", "ns"}
)

const description = `
The processor reads only the key fields out of an event's raw JSON, finds the rows in its cache, and splices their columns before the event's closing brace. Nothing else of the event is parsed or written anew. An event that an earlier processor has made structured gets the columns as fields.

A batch's distinct missing keys are read with one ` + "`IN`" + ` query per ` + "`max_keys_per_query`" + `; batches that miss the same key at the same time share one read. One batch in is one batch out, in the same order.

When the server does not answer, rows past their ` + "`ttl`" + ` serve for up to ` + "`max_stale`" + `. After that, and for keys that are not cached, the batch waits inside the processor and tries again with growing pauses: no event passes unjoined, and none is lost. (Benthos would let a batch whose processor returned an error go on to the output.)

## Values

Integers, DECIMAL and floating-point columns become JSON numbers with the digits that the server prints: all, but of FLOAT only six; CHAR, TEXT, ENUM, TIME and DATE become strings; DATETIME and TIMESTAMP become RFC 3339; BIT an unsigned number; SET an array of strings; JSON (MariaDB's too) is embedded as it is, but for line breaks; BINARY, BLOB and spatial values become base64; NULL and zero dates become null. ` + "`types`" + ` overrides that, which MariaDB's JSON needs in the result of a ` + "`query`" + `: there it looks like a text.

## Keys

Keys compare exactly: case, accents and trailing spaces count, whatever the column's collation says. A row that the server's collation found for another spelling is counted in ` + "`dimension_join_inexact_rows_total`" + `, and not joined. For integer columns 7, "7", 7.0 and "007" are the same key; a value that the column can never hold is an error of the event. UUID text finds BINARY(16), though not through a ` + "`query`" + `, whose result does not tell the length.

## Errors

An event that is not a JSON object, whose key cannot match its column's type, whose key several rows have, or that has no row under ` + "`on_missing: error`" + `, passes through unchanged and in its place, marked as failed. In a message of several records the record is marked.

## Metrics

Per dimension: dimension_join_hits_total, negative_hits_total, misses_total, unmatched_total, stale_served_total, loads_total, loaded_keys_total, load_errors_total, load_latency_ns, inexact_rows_total, invalidations_total, flushes_total, retried_keys_total, event_errors_total, entries, bytes, binlog_lag_ms.
`
