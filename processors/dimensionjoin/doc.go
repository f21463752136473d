// Package dimensionjoin registers dimension_join, the processor that enriches events from MySQL dimension tables.
//
// It owns the Benthos half only: the configuration, messages and their metadata, metrics and the inspect command. What a
// dimension row is, how it is read, kept and spliced into an event is in the subpackages source, cache, lookup and binlog,
// which never see a Benthos type.
package dimensionjoin
