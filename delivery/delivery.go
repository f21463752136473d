package delivery

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
)

// Range is the half-open interval [From, To) of offsets of one Kafka partition that travels, is inserted and is committed as a whole.
type Range struct {
	Group     string
	Topic     string
	TopicID   [16]byte // a topic that was deleted and created again has another id
	Partition int32
	From      int64 // first offset of the range
	To        int64 // one past its last offset
}

// Name is the part of a block's name that the range contributes: group/topic-id/partition/from-to. It is the same after
// any crash, which is what lets ClickHouse recognise a block that it has already got.
func (r Range) Name() string {
	id := r.Topic
	if r.TopicID != ([16]byte{}) {
		id = hex.EncodeToString(r.TopicID[:])
	}
	return r.Group + "/" + id + "/" + strconv.FormatInt(int64(r.Partition), 10) + "/" +
		strconv.FormatInt(r.From, 10) + "-" + strconv.FormatInt(r.To, 10)
}

// String names the range in messages, by its topic's name.
func (r Range) String() string {
	return fmt.Sprintf("%s/%d [%d, %d) of group %q", r.Topic, r.Partition, r.From, r.To, r.Group)
}

// Intent is what an output asks to be recorded before the first insert of a range.
type Intent struct {
	// Layout is the shard layout, in the output's own compact encoding, that every attempt at this range must use.
	Layout []byte
	// Digest condenses (offset → shard) of all records, so that a second attempt can tell whether it would cut the same blocks.
	Digest uint64
}

// Prepared is an Intent that Kafka holds.
type Prepared struct {
	Intent
	// At is when the intent was first recorded; compared with the deduplication window of the table.
	At time.Time
	// Recovered is set when an earlier owner (or an earlier life) of the partition recorded the intent: its inserts may have landed.
	Recovered bool
	// LookUp is set when an attempt could not rely on the names of the range's blocks, and so no later one can: see Lease.LookUp.
	LookUp bool
	// Landed is when a block of the range may first have landed; zero when none can have. Of what an earlier owner sent nobody knows more than At.
	Landed time.Time
}

// Lease is the right to insert one range, handed from the input to the output in the context of the range's messages.
// All methods are safe for concurrent use.
type Lease interface {
	// Range is the range leased.
	Range() Range
	// Claim takes the lease for one write by the named sink (database.table, plus whatever tells two outputs apart). It is
	// refused with ErrClaimed while another write holds it, and with ErrAlreadyWritten after a write by this sink has
	// succeeded: both mean that a processor split the range's batch. release must be called with the write's result. After a release with
	// ErrLost the output answers its engine with success, since no repetition could write the range; the input knows better.
	Claim(sink string) (release func(err error), err error)
	// Pinned answers with the intent recorded for the range and sink before, if any; routing must then use its layout.
	Pinned(sink string) (Prepared, bool)
	// Prepare records the intent in Kafka, fenced by the group's generation, and returns once it is durable. When one is
	// already pinned it returns that one unchanged. It waits while the metadata is full.
	Prepare(ctx context.Context, sink string, intent Intent) (Prepared, error)
	// LookUp is for when block names do not tell which rows are in: the records would be routed otherwise than the intent says, or the intent is
	// older than the deduplication window. It records that this range is finished by looking for its rows only, whatever a later attempt would
	// make of it, and then waits until no earlier owner of the partition can be sending any more: its session has timed out, and settle, the
	// longest that a block can be under way, has passed since. Rows found after that are all there will be. It fails as Prepare does.
	LookUp(ctx context.Context, sink string, settle time.Duration) (Prepared, error)
	// MayHaveLanded notes, for as long as the partition is owned, when a block of the prepared range may first have landed: Prepared.Landed of later
	// attempts, also of those after one that succeeded, because the rest of its batch may not have. The earliest note counts.
	MayHaveLanded(sink string, at time.Time)
	// OnCommitted has f called, once, after Kafka has acknowledged that the range is done: nobody will insert it any more. A range that is
	// delivered again first, or whose partition is lost first, calls nothing. f must not wait for the lease.
	OnCommitted(f func())
	// Alive is nil while the partition is known to be owned: the last heartbeat that was answered is younger than the
	// session timeout, by a clock that counts suspension. Otherwise it wraps ErrLost, and nothing more may be sent.
	Alive() error
}

type leaseKey struct{}

// NewContext returns a context that carries the lease.
func NewContext(ctx context.Context, l Lease) context.Context {
	return context.WithValue(ctx, leaseKey{}, l)
}

// FromContext returns the lease that the context carries, or nil.
func FromContext(ctx context.Context) Lease {
	l, _ := ctx.Value(leaseKey{}).(Lease)
	return l
}
