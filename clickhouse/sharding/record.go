package sharding

import "github.com/cespare/xxhash/v2"

// Record says which record a row came from. It is what `rand()` and the strategies without a key draw from, so that a
// row that is delivered again goes to the shard it went to before. Rows without Kafka provenance take a running
// number as Offset.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
}

// stream is a hash of everything but the offset: it makes the partitions' sequences start at different shards.
func (r Record) stream() uint64 {
	return mix64(xxhash.Sum64String(r.Topic) + uint64(uint32(r.Partition))*0x9e3779b97f4a7c15)
}

// draw is an evenly distributed 64-bit number that is fixed for the record.
func (r Record) draw() uint64 {
	return mix64(r.stream() ^ mix64(uint64(r.Offset)+0x9e3779b97f4a7c15))
}

// mix64 is the finalizer of MurmurHash3: a bijection in which every input bit changes every output bit with even odds.
func mix64(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	x ^= x >> 33
	return x
}
