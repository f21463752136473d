package insert

import (
	"errors"
	"fmt"
	"strings"

	ch "github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
)

var (
	// ErrRejected says that a batch holds records that can never be inserted, and there is nowhere to send them. Nothing of the
	// batch has been inserted when reading found them.
	ErrRejected = errors.New("record cannot be inserted, and there is no dead_letter to send it to")
	// ErrNoLease says that exactly-once delivery was asked for, but the batch did not come from an input that can give it.
	ErrNoLease = errors.New("delivery is exactly_once, but the batch carries no range: use the kafka_exactly_once input, or set delivery to auto or at_least_once")
	// ErrTooLarge says that a range is larger than one block may be; under exactly-once a block cannot be cut.
	ErrTooLarge = errors.New("range is larger than one block may be: lower range.count or range.byte_size of the input")
	// ErrHorizon says that a range was recovered whose inserts ClickHouse may have forgotten the names of.
	ErrHorizon = errors.New("range is older than the table's deduplication window")
	// ErrCutChanged says that a range was recovered whose rows would not go to the same shards as before.
	ErrCutChanged = errors.New("range would not be cut into the same blocks as when it was first inserted")
	// ErrRestarted says that a server was started again while it had a block that it had not acknowledged.
	ErrRestarted = errors.New("server was restarted under an insert")
	// ErrClosed says that the Writer was closed.
	ErrClosed = errors.New("writer is closed")
)

// RejectedError is ErrRejected with the records at fault that were found: one at least. Those that a server refuses are not looked for in the
// blocks of all shards.
type RejectedError struct {
	Records []Rejection
}

func (e *RejectedError) Error() string {
	first, where := e.Records[0], ""
	if first.Column != "" {
		where = fmt.Sprintf(" in column %q (%s)", first.Column, first.Type)
	}
	return fmt.Sprintf("%d of the batch's records cannot be inserted and there is no dead_letter to send them to; record %d%s: %s",
		len(e.Records), first.Index, where, first.Reason)
}

func (e *RejectedError) Unwrap() error { return ErrRejected }

// PermanentError is an error that no retry can cure: somebody has to change the configuration, a privilege or the table.
type PermanentError struct {
	Err    error
	Advice string // what to do
}

func (e *PermanentError) Error() string {
	if e.Advice == "" {
		return e.Err.Error()
	}
	return e.Err.Error() + ": " + e.Advice
}

func (e *PermanentError) Unwrap() error { return e.Err }

// ShardError is why one shard did not acknowledge.
type ShardError struct {
	Shard    int    // from 0, in layout order
	Replica  string // host:port last tried, "" when none could be reached
	Attempts int
	Err      error
}

func (e *ShardError) Error() string {
	at := ""
	if e.Replica != "" {
		at = " at " + e.Replica
	}
	return fmt.Sprintf("inserting into shard %d%s, attempt %d: %v", e.Shard+1, at, e.Attempts, e.Err)
}

func (e *ShardError) Unwrap() error { return e.Err }

// UnavailableError says that shards could not be reached at all: nothing is wrong with the batch, and trying it again once they
// are back is all that there is to do.
type UnavailableError struct {
	Shards []error
}

func (e *UnavailableError) Error() string {
	lines := make([]string, len(e.Shards))
	for i, err := range e.Shards {
		lines[i] = err.Error()
	}
	return "waiting for ClickHouse: " + strings.Join(lines, "; ")
}

func (e *UnavailableError) Unwrap() []error { return e.Shards }

// Action is what an error calls for.
type Action uint8

const (
	// Retry sends the block again, to the same replica.
	Retry Action = iota
	// Elsewhere sends the block again, to another replica of the shard if the block cannot have landed or its name is known there.
	Elsewhere
	// SlowDown waits much longer before the next attempt: the server has more than it can merge.
	SlowDown
	// RefreshTopology looks at the cluster again before the next attempt.
	RefreshTopology
	// RefreshSchema looks at the table's columns again, and cuts the rows that are not in yet anew.
	RefreshSchema
	// Split halves the block. Under exactly-once it is sent again whole, because another cut is another name.
	Split
	// IsolateRow looks for the rows at fault on a temporary table.
	IsolateRow
	// Stop gives up at once: somebody has to change something.
	Stop
)

var actionNames = [...]string{"retry", "elsewhere", "slow_down", "refresh_topology", "refresh_schema", "split", "isolate_row", "stop"}

func (a Action) String() string { return actionNames[a] }

// cure is what the table says of one ClickHouse code.
type cure struct {
	action Action
	// before is set when the server raises the code before it writes the first part of a block, so that the block cannot
	// have landed even in one of its partitions.
	before bool
	reason string
	advice string // for Stop: what somebody has to do
}

// cures is the one place that says what a ClickHouse error code means to an insert. Codes as in src/Common/ErrorCodes.cpp of
// ClickHouse 26.7. A code that is not here is retried, and spooled (or handed back) when the attempts are used up.
var cures = map[proto.Error]cure{
	// The replica, not the block, is what is wrong.
	proto.ErrTooManySimultaneousQueries:   {action: Elsewhere, before: true, reason: "this replica has all the queries it may run"},
	proto.ErrNoFreeConnection:             {action: Elsewhere, before: true, reason: "this replica has all the connections it may have"},
	proto.ErrServerOverloaded:             {action: Elsewhere, before: true, reason: "the server sheds load"},
	proto.ErrReceivedErrorTooManyRequests: {action: Elsewhere, reason: "a proxy or object store sheds load"},
	proto.ErrSocketTimeout:                {action: Elsewhere, reason: "the replica lost a peer that it needs"},
	proto.ErrNetworkError:                 {action: Elsewhere, reason: "the replica lost a peer that it needs"},
	proto.ErrNoZookeeper:                  {action: Elsewhere, reason: "the replica has no Keeper session; another one may"},
	proto.ErrKeeperException:              {action: Elsewhere, reason: "Keeper failed under the insert, which may have been committed"},
	proto.ErrTableIsReadOnly:              {action: Elsewhere, reason: "the replica is read-only until it has a Keeper session; parts of the block may be in from before it lost it"},
	proto.ErrNotEnoughSpace:               {action: Elsewhere, reason: "this replica's disk is full"},
	proto.ErrAborted:                      {action: Elsewhere, reason: "the server is shutting down"},
	proto.ErrReplicaIsNotInQuorum:         {action: Elsewhere, before: true, reason: "this replica lacks parts that the quorum has"},
	proto.ErrCannotScheduleTask:           {action: Elsewhere, reason: "this replica has no thread left"},
	proto.ErrS3Error:                      {action: Elsewhere, reason: "object storage failed under the insert"},
	proto.ErrAzureBlobStorageError:        {action: Elsewhere, reason: "object storage failed under the insert"},
	proto.ErrAsyncLoadWaitFailed:          {action: Elsewhere, before: true, reason: "the replica is still loading its tables"},

	// The same again, after a while, is the cure.
	proto.ErrTimeoutExceeded:                   {action: Retry, reason: "the insert ran into max_execution_time; parts of it may be in"},
	proto.ErrTooSlow:                           {action: Retry, reason: "the insert was judged too slow; parts of it may be in"},
	proto.ErrQuotaExceeded:                     {action: SlowDown, before: true, reason: "the user's quota is used up for this interval"},
	proto.ErrUserSessionLimitExceeded:          {action: SlowDown, before: true, reason: "the user has all the sessions it may have"},
	proto.ErrUnknownStatusOfInsert:             {action: Retry, reason: "Keeper lost the answer: the block may be in, and its name tells"},
	proto.ErrTooFewLiveReplicas:                {action: Retry, before: true, reason: "the insert quorum is not there now"},
	proto.ErrUnsatisfiedQuorumForPreviousWrite: {action: Retry, reason: "the block before, or a partition of this one, has not reached its quorum yet"},
	proto.ErrPartIsTemporarilyLocked:           {action: Retry, reason: "another operation holds the part"},
	proto.ErrPartIsLocked:                      {action: Retry, reason: "another operation holds the part"},
	proto.ErrDeadlockAvoided:                   {action: Retry, reason: "the table is locked by an ALTER"},
	proto.ErrTableIsBeingRestarted:             {action: Retry, before: true, reason: "SYSTEM RESTART REPLICA is running"},
	proto.ErrCannotAllocateMemory:              {action: Retry, reason: "the operating system had no memory to give"},
	proto.ErrQueryWasCancelled:                 {action: Retry, reason: "somebody killed the query; parts of it may be in"},
	proto.ErrQueryWasCancelledByClient:         {action: Retry, reason: "the connection broke under the query; parts of it may be in"},
	proto.ErrThreadWasCanceled:                 {action: Retry, reason: "the server cancelled the query's threads"},
	proto.ErrQueryWithSameIDIsAlreadyRunning:   {action: Retry, before: true, reason: "the attempt before is still running"},
	proto.ErrInsertWasDeduplicated:             {action: Retry, reason: "the block is in already"},

	// The bytes were damaged on the way, or the server lost step: a new connection.
	proto.ErrChecksumDoesntMatch:        {action: Retry, before: true, reason: "the block was damaged on the way"},
	proto.ErrCannotDecompress:           {action: Retry, before: true, reason: "the block was damaged on the way"},
	proto.ErrTooLargeSizeCompressed:     {action: Split, before: true, reason: "one compressed frame is larger than the server takes"},
	proto.ErrUnexpectedPacketFromClient: {action: Retry, reason: "the connection lost step"},
	proto.ErrUnknownPacketFromClient:    {action: Retry, reason: "the connection lost step"},
	proto.ErrAttemptToReadAfterEOF:      {action: Retry, reason: "the connection was cut under the block"},
	proto.ErrCannotReadAllData:          {action: Retry, reason: "the connection was cut under the block"},
	proto.ErrUnexpectedEndOfFile:        {action: Retry, reason: "the connection was cut under the block"},

	// Too much at once.
	proto.ErrTooManyParts:        {action: SlowDown, before: true, reason: "merges do not keep up with the inserts"},
	proto.ErrTooManyMutations:    {action: SlowDown, before: true, reason: "mutations do not keep up"},
	proto.ErrMemoryLimitExceeded: {action: Split, reason: "the block, with the views behind it, needs more memory than the query may have"},
	proto.ErrTooManyRowsOrBytes:  {action: Split, reason: "the block is larger than a limit of the user's profile"},
	proto.ErrTooManyRows:         {action: Split, reason: "the block is larger than a limit of the user's profile"},
	proto.ErrTooManyBytes:        {action: Split, reason: "the block is larger than a limit of the user's profile"},

	// The cluster is not what it was.
	proto.ErrUnknownTable:                  {action: RefreshTopology, before: true, reason: "the local table is not there (any more)"},
	proto.ErrUnknownDatabase:               {action: RefreshTopology, before: true, reason: "the local database is not there (any more)"},
	proto.ErrTableIsDropped:                {action: RefreshTopology, before: true, reason: "the local table was dropped under the insert"},
	proto.ErrTableUUIDMismatch:             {action: RefreshTopology, before: true, reason: "the local table was exchanged under the insert"},
	proto.ErrDNSError:                      {action: RefreshTopology, reason: "a host's name no longer resolves"},
	proto.ErrAllConnectionTriesFailed:      {action: RefreshTopology, reason: "a replica that the server needs is gone"},
	proto.ErrClientHasConnectedToWrongPort: {action: RefreshTopology, before: true, reason: "something else listens there now"},

	// The columns are not what they were.
	proto.ErrNoSuchColumnInTable:        {action: RefreshSchema, before: true, reason: "a column was dropped or renamed"},
	proto.ErrNotFoundColumnInBlock:      {action: RefreshSchema, before: true, reason: "a column was added that has to be given"},
	proto.ErrThereIsNoColumn:            {action: RefreshSchema, before: true, reason: "a column was dropped or renamed"},
	proto.ErrUnknownIdentifier:          {action: RefreshSchema, before: true, reason: "a default or a view refers to a column that is gone"},
	proto.ErrNumberOfColumnsDoesntMatch: {action: RefreshSchema, before: true, reason: "columns were added or dropped"},
	proto.ErrTypeMismatch:               {action: RefreshSchema, before: true, reason: "a column's type was changed"},
	proto.ErrCannotConvertType:          {action: RefreshSchema, before: true, reason: "a column's type was changed to one that the block does not convert to"},
	proto.ErrUnknownType:                {action: RefreshSchema, before: true, reason: "a column has a type that this server does not know"},
	proto.ErrIllegalColumn:              {action: RefreshSchema, before: true, reason: "a column became MATERIALIZED or ALIAS"},
	proto.ErrDuplicateColumn:            {action: RefreshSchema, before: true, reason: "columns were renamed"},

	// One row, or a few, are at fault.
	proto.ErrViolatedConstraint:                  {action: IsolateRow, reason: "a row breaks a CONSTRAINT of the table"},
	proto.ErrCannotInsertNullInOrdinaryColumn:    {action: IsolateRow, reason: "a row has a NULL where the column takes none"},
	proto.ErrValueIsOutOfRangeOfDataType:         {action: IsolateRow, reason: "a value is outside of its type's range"},
	proto.ErrArgumentOutOfBound:                  {action: IsolateRow, reason: "a default, view or codec cannot take a value"},
	proto.ErrDecimalOverflow:                     {action: IsolateRow, reason: "a value has more digits than its column"},
	proto.ErrUnknownElementOfEnum:                {action: IsolateRow, reason: "a value is not in its Enum"},
	proto.ErrFunctionThrowIfValueIsNonZero:       {action: IsolateRow, reason: "throwIf() in a default or a view refuses a row"},
	proto.ErrIllegalDivision:                     {action: IsolateRow, reason: "a default or a view divides by a row's zero"},
	proto.ErrIncorrectData:                       {action: IsolateRow, reason: "a value's text is not of its type"},
	proto.ErrCannotParseText:                     {action: IsolateRow, reason: "a default or a view cannot parse a value"},
	proto.ErrCannotParseInputAssertionFailed:     {action: IsolateRow, reason: "a default or a view cannot parse a value"},
	proto.ErrCannotParseNumber:                   {action: IsolateRow, reason: "a default or a view cannot parse a value"},
	proto.ErrCannotParseDate:                     {action: IsolateRow, reason: "a default or a view cannot parse a value"},
	proto.ErrCannotParseDatetime:                 {action: IsolateRow, reason: "a default or a view cannot parse a value"},
	proto.ErrCannotParseUUID:                     {action: IsolateRow, reason: "a default or a view cannot parse a value"},
	proto.ErrCannotParseBool:                     {action: IsolateRow, reason: "a default or a view cannot parse a value"},
	proto.ErrCannotParseIpv4:                     {action: IsolateRow, reason: "a default or a view cannot parse a value"},
	proto.ErrCannotParseIpv6:                     {action: IsolateRow, reason: "a default or a view cannot parse a value"},
	proto.ErrCannotParseDomainValueFromString:    {action: IsolateRow, reason: "a default or a view cannot parse a value"},
	proto.ErrCannotReadArrayFromText:             {action: IsolateRow, reason: "a default or a view cannot parse a value"},
	proto.ErrCannotReadMapFromText:               {action: IsolateRow, reason: "a default or a view cannot parse a value"},
	proto.ErrUnexpectedDataAfterParsedValue:      {action: IsolateRow, reason: "a default or a view cannot parse a value"},
	proto.ErrTooDeepRecursion:                    {action: IsolateRow, reason: "a value nests deeper than the server takes, as arrays in a JSON column may"},
	proto.ErrTooDeepAst:                          {action: IsolateRow, reason: "a value nests deeper than the server takes, as arrays in a JSON column may"},
	proto.ErrTooLargeStringSize:                  {action: IsolateRow, reason: "a value is longer than the server takes"},
	proto.ErrTooLargeArraySize:                   {action: IsolateRow, reason: "a value is longer than the server takes"},
	proto.ErrSizesOfArraysDontMatch:              {action: IsolateRow, reason: "a row's Nested arrays differ in length"},
	proto.ErrSizesOfNestedColumnsAreInconsistent: {action: IsolateRow, reason: "a row's Nested arrays differ in length"},
	proto.ErrInvalidPartitionValue:               {action: IsolateRow, reason: "a row's partition key cannot be written as a partition"},

	// Somebody has to act.
	proto.ErrUnknownUser:                {action: Stop, before: true, reason: "the user does not exist", advice: "check username and password"},
	proto.ErrWrongPassword:              {action: Stop, before: true, reason: "the password is wrong", advice: "check username and password"},
	proto.ErrRequiredPassword:           {action: Stop, before: true, reason: "the user needs a password", advice: "check username and password"},
	proto.ErrAuthenticationFailed:       {action: Stop, before: true, reason: "the server does not accept the user", advice: "check username and password"},
	proto.ErrUserExpired:                {action: Stop, before: true, reason: "the user's VALID UNTIL has passed", advice: "check username and password"},
	proto.ErrIPAddressNotAllowed:        {action: Stop, before: true, reason: "the user may not come from this address", advice: "widen the user's HOST clause"},
	proto.ErrAccessDenied:               {action: Stop, before: true, reason: "the user lacks a privilege", advice: "GRANT what the message names"},
	proto.ErrDatabaseAccessDenied:       {action: Stop, before: true, reason: "the user may not use the database", advice: "GRANT what the message names"},
	proto.ErrReadonly:                   {action: Stop, before: true, reason: "the user's profile is read-only", advice: "use a profile with readonly = 0"},
	proto.ErrUnknownSetting:             {action: Stop, before: true, reason: "the server does not know a setting", advice: "remove it from settings"},
	proto.ErrSettingConstraintViolation: {action: Stop, before: true, reason: "the profile forbids the value of a setting", advice: "change settings or the user's profile"},
	proto.ErrInvalidSettingValue:        {action: Stop, before: true, reason: "the server does not take the value of a setting", advice: "change settings"},
	proto.ErrReadonlySetting:            {action: Stop, before: true, reason: "a setting cannot be changed", advice: "remove it from settings"},
	proto.ErrOpensslError:               {action: Stop, before: true, reason: "TLS failed", advice: "check tls"},
	proto.ErrNotImplemented:             {action: Stop, before: true, reason: "the table's engine takes no inserts", advice: "insert into a table that does"},
}

// tooManyPartitions begins the text of code 252 when one block has rows of more partitions than
// max_partitions_per_insert_block (src/Storages/MergeTree/MergeTreeDataWriter.cpp): waiting would not help.
const tooManyPartitions = "Too many partitions"

// diagnose says what to do about the error of an insert. Anything that is not an exception of the server is a broken
// connection: the block may have landed, and another replica may be better.
func diagnose(err error) cure {
	var changed *column.TypeChangedError
	if errors.As(err, &changed) {
		return cure{action: RefreshSchema, before: true, reason: "a column's type was changed"}
	}
	ex, ok := ch.AsException(err)
	if !ok {
		return cure{action: Elsewhere, reason: "the connection broke"}
	}
	if ex.Code == proto.ErrTooManyParts && strings.Contains(ex.Message, tooManyPartitions) {
		return cure{action: Split, before: true, reason: "the block has rows of more partitions than max_partitions_per_insert_block"}
	}
	if c, ok := cures[ex.Code]; ok {
		return c
	}
	return cure{action: Retry, reason: "not an error known to be anything but passing"}
}
