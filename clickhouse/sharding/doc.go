// Package sharding decides which shard a row belongs to.
//
// It owns the sharding expression of a Distributed table (parsing it, binding it to column types, evaluating it
// exactly as ClickHouse does), ClickHouse's rule from value to shard, and the routing strategies that stand beside it.
// Every strategy is a pure function of the row, its Record and the layout's weights: the same input gives the same
// shard in any process at any time, which exactly-once delivery rests on.
//
// It must never open a connection, read a clock, draw a random number or guess: an expression whose result is not
// known to equal the server's is refused when it is parsed or bound, with an *UnsupportedError that names what.
package sharding
