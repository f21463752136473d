package kafka

import (
	"errors"
	"fmt"
)

var (
	// ErrForeignMetadata says that a committed offset's metadata is not an intent log of this input: another client committed it, or
	// somebody moved the offset by hand. Reading starts at the offset, and no range above it counts as prepared.
	ErrForeignMetadata = errors.New("committed offset carries metadata of another client")
	// ErrMetadataTooLarge says that the intent of a single range does not fit the metadata of a committed offset.
	ErrMetadataTooLarge = errors.New("intent does not fit the metadata of a committed offset: raise offset.metadata.max.bytes on the brokers and max_metadata_bytes here")
	// ErrMemberReplaced says that the group took this consumer in as a new member: another one may have owned its partitions meanwhile.
	ErrMemberReplaced = errors.New("consumer group expelled this member and took it in again")
	// ErrHeartbeatsMissed says that the group heard nothing of this consumer for longer than the session timeout: another one may have owned its
	// partitions meanwhile.
	ErrHeartbeatsMissed = errors.New("consumer group heard no heartbeat for longer than session_timeout")
	// ErrCommitAmbiguous says that a commit's answer was lost, so that the commit may still arrive, after later ones. The group is joined
	// again as a new member: what the old one sent is refused from then on.
	ErrCommitAmbiguous = errors.New("answer to an offset commit was lost")
	// ErrTopicChanged says that a topic was deleted, created again, or lost the records that were being read.
	ErrTopicChanged = errors.New("topic changed underneath the consumer")
)

// ConnectError says which broker could not be reached or did not let this client in, and what to do.
type ConnectError struct {
	Broker string // host:port; all of them where none was reached
	Err    error
	Advice string // "" where trying again is all that there is
}

func (e *ConnectError) Error() string {
	text := fmt.Sprintf("connecting to Kafka broker %s: %v", e.Broker, e.Err)
	if e.Advice != "" {
		text += "; " + e.Advice
	}
	return text
}

func (e *ConnectError) Unwrap() error { return e.Err }

// MetadataError is an intent log that carries our mark and cannot be read. The partition is not consumed: ranges that were prepared may have
// landed under names that only the log knew.
type MetadataError struct {
	Topic     string
	Partition int32
	Reason    string
}

func (e *MetadataError) Error() string {
	return fmt.Sprintf("metadata of the committed offset of %s/%d is damaged (%s): partition is not consumed until the group's offset is set by hand, which accepts that its last ranges may be inserted twice",
		e.Topic, e.Partition, e.Reason)
}

// TruncatedError is a committed offset, or a prepared range, past the end of its partition: the log lost records, or the offset was set by hand.
type TruncatedError struct {
	Topic     string
	Partition int32
	Read      int64 // the committed offset, or the end of the last range that was prepared above it
	End       int64
}

func (e *TruncatedError) Error() string {
	return fmt.Sprintf("%s/%d was read up to offset %d by what the group has committed, which lies past the end of the log, %d: "+
		"other records may come to stand there, so the partition is not consumed until the group's offset is set by hand",
		e.Topic, e.Partition, e.Read, e.End)
}

// NoOffsetError is a partition without a committed offset under `start_offset: committed`.
type NoOffsetError struct {
	Topic     string
	Partition int32
}

func (e *NoOffsetError) Error() string {
	return fmt.Sprintf("group has no committed offset for %s/%d and start_offset is committed: partition is not consumed until one is set", e.Topic, e.Partition)
}
