// Package column turns events into ClickHouse columns: raw JSON bytes, or the Go values an earlier processor left behind,
// to the blocks that ch-go sends.
//
// It owns the parser of ClickHouse's type names, the plan of a table's columns (where each value comes from, what stands in
// for a missing one), the conversion of every storable type, and the blocks that hold the result in ClickHouse's own wire form.
// A row either lands in every column of a block or in none.
//
// It must never know a connection, a shard or a Benthos type, and it must never write a value as something it is not: a
// type that cannot be carried is refused when the plan is made (UnsupportedTypeError), a value that does not fit is refused
// when its row comes by (RowError).
package column
