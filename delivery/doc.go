// Package delivery is the contract between an exactly-once input and an exactly-once output.
//
// It owns the words both sides use: a Range of offsets, the Lease on it, the Intent recorded before its first insert, and
// the Records packed into one message. It must never import Benthos, Kafka or ClickHouse packages: each side implements its
// half behind these types.
//
// # The protocol
//
// A range is in one of these states. What is in Kafka (the committed offset and its metadata) is the only thing that a crash leaves behind.
//
//	         Lease.Prepare             a block is sent          every shard answered     watermark passes
//	  cut ─────────────────► prepared ────────────────► inserting ─────────────► inserted ─────────────► committed
//	   │                        │                          │  ▲                     │
//	   │                        │                          └──┘ lost answer, error: │
//	   │                        │                          the same blocks again    │
//	   │ crash, rebalance       └──────────────┬───────────────┴────────────────────┘
//	   ▼                                       │ crash, rebalance: the lease is lost
//	nothing: it is cut again,                  ▼
//	perhaps elsewhere                 recovered (by the next owner, with the same boundaries and layout) ──► inserting
//
//	cut        The input has read the records. Kafka knows nothing, so the boundaries may still be others next time.
//	prepared   Kafka holds boundaries, layout and digest, fenced by the group's generation. From here on every attempt, by whoever
//	           owns the partition, sends the same blocks to the same shards under the same names.
//	inserting  Some of the blocks may have landed. A repeated one is dropped by its name.
//	inserted   Every shard has acknowledged its block. The range is remembered as done until the watermark passes it.
//	committed  The committed offset is past the range.
//	lost       The partition went, or may have gone, to another consumer: Alive and Prepare fail with ErrLost, nothing is sent any more.
//	recovered  As inserting: the next owner found the intent, Prepared.Recovered is set.
//
// The rules that this rests on, each of which TestEachRuleIsNeeded takes away to show what breaks:
//
//  1. Blocks are named, by range, table and shard and not by content; the name holds the topic's id.
//  2. The intent is durable before the first block is sent.
//  3. Commits are fenced by the group's generation, and only ever move the low watermark. After a commit whose answer was lost, the
//     group is joined again before another one is sent: it could still arrive, and take back what the later one said.
//  4. Layout, and on tables that are not replicated the replica, are those of the intent.
//  5. A range goes to a shard as one block. Rows at fault are found on another table, and a lease is claimed by one write at a time.
//  6. The digest of an attempt has to be that of the intent, and the intent has to be younger than the deduplication window. Otherwise rows
//     are looked up by topic, partition and offset, after it was recorded that from now on they are (a later attempt might find
//     the old digest again, and use names that the look-up has passed by), and after earlier owners have fallen silent (Lease.LookUp).
//  7. The lease is alive before each block is sent, and a block that was sent cannot arrive later than the deduplication window.
//  8. Where a server that is killed can remember a name without having the part, the rows of a block that was dropped as repeated are looked up.
//  9. A block that an output puts aside, to be sent some day by somebody else, may be sent by the range's next owner too, until Kafka holds that the
//     range is done (Witness). Before that its sender looks for its rows or goes by its name; and it notes that it sends before it does.
package delivery
