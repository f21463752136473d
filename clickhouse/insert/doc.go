// Package insert turns batches of records into column blocks, one for each shard, and makes sure that ClickHouse has them.
//
// It owns the way of a batch: reading each record into columns, routing it, naming the blocks, sending the shards in
// parallel, telling what an error means and what cures it, finding the rows at fault, and the output's half of exactly-once
// delivery. A Write succeeds only when every shard has acknowledged every block of it.
//
// It must never send a block under a name that another block has had, never write a shard again that has acknowledged, and
// never drop a row without naming it in the Result. It knows nothing of Benthos or Kafka.
package insert
