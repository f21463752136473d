package delivery

import "errors"

var (
	// ErrClaimed says that another write holds the lease: a processor split the range's batch in two.
	ErrClaimed = errors.New("range is being written by another batch: a processor between input and output splits batches, which exactly-once delivery cannot allow; remove it")
	// ErrAlreadyWritten says that this sink has written the range: a second batch of it would be dropped as a repetition.
	ErrAlreadyWritten = errors.New("range has already been written: a processor between input and output splits batches, which exactly-once delivery cannot allow; remove it")
	// ErrLost says that the partition now belongs, or may belong, to another consumer.
	ErrLost = errors.New("partition lost: its ranges may be inserted by another consumer now")
	// ErrRecords says that a message's bytes no longer fit the record boundaries kept beside them.
	ErrRecords = errors.New("message of several records was changed by a processor that does not know records_per_message: set it to 1, or remove that processor")
)
