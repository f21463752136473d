// Package change reads records of change streams: what happened to which row of a source table, and which rows of a
// ReplacingMergeTree or CollapsingMergeTree say so. It owns the envelopes (Debezium, Canal and Maxwell, Flink), the operations and
// the images of a row before and after, all as bytes of the record.
//
// It must never look at a column's type, decide which shard a row goes to, or keep anything from one record to the next: the rows
// of a record are a function of that record alone.
package change
