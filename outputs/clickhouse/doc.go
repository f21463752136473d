// Package clickhouse registers the batch output clickhouse_native.
//
// It owns what is Benthos about it: the configuration, the taking apart of messages into records, the child outputs, metrics,
// and the answer that WriteBatch may give. It must never talk to ClickHouse itself: the engine is in clickhouse/insert and below.
package clickhouse
