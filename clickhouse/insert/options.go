package insert

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/clickhouse/spool"
)

// Delivery is what a Writer promises.
type Delivery string

// The names are those of the configuration.
const (
	DeliveryAuto        Delivery = "auto"          // exactly-once when the batch has a lease, at-least-once otherwise
	DeliveryAtLeastOnce Delivery = "at_least_once" // a lease is not looked at
	DeliveryExactlyOnce Delivery = "exactly_once"  // a batch without a lease is refused
)

// Strategy is how rows are given to shards.
type Strategy string

// The names are those of the configuration.
const (
	StrategyTable          Strategy = "table"
	StrategyHash           Strategy = "hash"
	StrategyConsistentHash Strategy = "consistent_hash"
	StrategyRoundRobin     Strategy = "round_robin"
	StrategyRandom         Strategy = "random"
	StrategyFreeSpace      Strategy = "free_space"
)

// Strategies lists every Strategy.
var Strategies = []Strategy{StrategyTable, StrategyHash, StrategyConsistentHash, StrategyRoundRobin, StrategyRandom, StrategyFreeSpace}

// Column says where a column's values come from when it is not the member called as the column, or that it is not inserted.
type Column struct {
	Name   string
	Source column.Source
	Skip   bool // left to its DEFAULT
}

// Retries bounds what a Write does about one shard's failures.
type Retries struct {
	MaxAttempts     int           // 8
	InitialInterval time.Duration // 200 ms; doubles with each attempt, and half of it is random
	MaxInterval     time.Duration // 30 s
}

// Observer is told what happens, for metrics. Shards count from 1. Methods are called concurrently.
type Observer interface {
	// Inserted: a shard acknowledged a block; bytes are those before compression.
	Inserted(shard, rows, bytes int, took time.Duration)
	// Retried: an attempt at a block failed, and this is what is done about it.
	Retried(shard int, action Action)
	// Rejected: so many rows cannot be inserted.
	Rejected(rows int)
	// Spooled: a block was put aside on disk.
	Spooled(shard, rows int, path string, reason error)
}

type nobody struct{}

func (nobody) Inserted(int, int, int, time.Duration) {}
func (nobody) Retried(int, Action)                   {}
func (nobody) Rejected(int)                          {}
func (nobody) Spooled(int, int, string, error)       {}

// Options say what a Writer does. Zero values take the defaults stated.
type Options struct {
	Cluster *cluster.Cluster // required; the Writer does not close it

	// Columns that differ from the rule, which is that every insertable column comes from the member called as it.
	Columns       []Column
	UnknownFields column.UnknownFields
	// AddColumns, with column.Report, turns unknown members into columns.
	AddColumns *AddColumns
	// RejectDuplicates refuses rows that name a wanted member twice; otherwise the last one counts.
	RejectDuplicates bool

	// Changes takes the records for changes of rows, nil for rows.
	Changes *Changes

	Strategy Strategy // StrategyTable
	Key      []string // columns, for StrategyHash and StrategyConsistentHash

	Delivery Delivery // DeliveryAuto
	// Sink tells this output from another one on the same table in the intents of an exactly-once input. Default: the table's name.
	Sink string
	// Settings go with each INSERT; those that the Writer owns are refused by validate.
	Settings map[string]string
	Retries  Retries

	// MaxBlockRows and MaxBlockBytes bound one block. Under exactly-once a larger range is refused with ErrTooLarge.
	MaxBlockRows  int // 1,048,576
	MaxBlockBytes int // 256 MiB, before compression
	// InsertTimeout bounds one attempt at one block. 300 s
	InsertTimeout time.Duration

	// Writes is how many Writes run at the same time. Blocks for as many are kept to be filled again. 4
	Writes int

	// KeepRejected returns records that can never be inserted in the Result. Without it they fail the Write with a *RejectedError.
	KeepRejected bool
	// Spool takes the blocks whose attempts are used up. Without it the Write fails.
	Spool *spool.Spool

	Observer Observer
	Logger   *slog.Logger
}

func (o *Options) setDefaults() {
	if o.Strategy == "" {
		o.Strategy = StrategyTable
	}
	if o.Delivery == "" {
		o.Delivery = DeliveryAuto
	}
	if o.Writes == 0 {
		o.Writes = 4
	}
	if o.Retries.MaxAttempts <= 0 {
		o.Retries.MaxAttempts = 8
	}
	if o.Retries.InitialInterval <= 0 {
		o.Retries.InitialInterval = 200 * time.Millisecond
	}
	if o.Retries.MaxInterval <= 0 {
		o.Retries.MaxInterval = 30 * time.Second
	}
	if o.MaxBlockRows <= 0 {
		o.MaxBlockRows = 1 << 20
	}
	if o.MaxBlockBytes <= 0 {
		o.MaxBlockBytes = 256 << 20
	}
	if o.InsertTimeout <= 0 {
		o.InsertTimeout = 300 * time.Second
	}
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// Validate reports what cannot work whatever the servers say, as a *cluster.ConfigError that names the field.
func (o *Options) Validate() error {
	if !slices.Contains(Strategies, o.Strategy) && o.Strategy != "" {
		return &cluster.ConfigError{Field: "routing.strategy", Reason: fmt.Sprintf("unknown strategy %q: one of %v", o.Strategy, Strategies)}
	}
	keyed := o.Strategy == StrategyHash || o.Strategy == StrategyConsistentHash
	if keyed && len(o.Key) == 0 {
		return &cluster.ConfigError{Field: "routing.key", Reason: fmt.Sprintf("strategy %s needs at least one column", o.Strategy)}
	}
	if slices.Contains(o.Key, "") {
		return &cluster.ConfigError{Field: "routing.key", Reason: "a column has no name"}
	}
	if !keyed && len(o.Key) > 0 {
		return &cluster.ConfigError{Field: "routing.key", Reason: "is only used by the strategies hash and consistent_hash"}
	}
	if o.Changes != nil {
		if err := o.Changes.validate(); err != nil {
			return err
		}
	}
	switch o.Delivery {
	case "", DeliveryAuto, DeliveryAtLeastOnce, DeliveryExactlyOnce:
	default:
		return &cluster.ConfigError{Field: "delivery", Reason: fmt.Sprintf("unknown delivery %q: one of auto, at_least_once, exactly_once", o.Delivery)}
	}
	return ValidateSettings(o.Settings)
}

// owned are the settings that a user may not give, each with the reason.
var owned = map[string]string{
	"insert_deduplication_token":                         "it is the block's name, which deduplication rests on",
	"insert_deduplicate":                                 "repeated blocks must be recognised",
	"deduplicate_insert":                                 "repeated blocks must be recognised",
	"deduplicate_blocks_in_dependent_materialized_views": "views must drop what the table drops",
	"async_insert":                                       "an acknowledged insert must be in the table",
	"wait_for_async_insert":                              "inserts are synchronous",
	"async_insert_deduplicate":                           "inserts are synchronous",
	"max_insert_block_size":                              "a block must arrive as it was named",
	"max_insert_block_size_rows":                         "a block must arrive as it was named",
	"max_insert_block_size_bytes":                        "a block must arrive as it was named",
	"min_insert_block_size_rows":                         "a block must arrive as it was named",
	"min_insert_block_size_bytes":                        "a block must arrive as it was named",
	"use_strict_insert_block_limits":                     "a block must arrive as it was named",
	"max_partitions_per_insert_block":                    "a block that fails for its partitions would fail for ever",
	"throw_on_max_partitions_per_insert_block":           "a block that fails for its partitions would fail for ever",
	"timeout_overflow_mode":                              "an insert that takes too long must fail, not end without its rows",
	"session_timezone":                                   "times without a zone are read in the server's: name one in the columns, as in DateTime('UTC')",
	"insert_distributed_sync":                            "rows go to the local tables",
	"distributed_foreground_insert":                      "rows go to the local tables",
}

// OwnedSettings lists the settings that ValidateSettings refuses.
func OwnedSettings() []string { return slices.Sorted(maps.Keys(owned)) }

// ValidateSettings refuses the settings that the Writer sets itself.
func ValidateSettings(settings map[string]string) error {
	names := make([]string, 0, len(settings))
	for name := range settings {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if reason, ok := owned[strings.ToLower(name)]; ok {
			return &cluster.ConfigError{Field: "settings." + name, Reason: "is set by this output: " + reason}
		}
		if name == "" {
			return &cluster.ConfigError{Field: "settings", Reason: "a setting has no name"}
		}
	}
	return nil
}
