package cluster

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
)

// ErrClosed says that the Cluster was closed.
var ErrClosed = errors.New("cluster is closed")

// ConfigError says which field of the configuration cannot work. Fatal.
type ConfigError struct {
	Field  string
	Reason string
}

func (e *ConfigError) Error() string { return fmt.Sprintf("field `%s`: %s", e.Field, e.Reason) }

// TableNotFoundError says that a server does not have the table, or does not show it to the user. Fatal at start.
type TableNotFoundError struct {
	Database, Table, Address, User string
}

func (e *TableNotFoundError) Error() string {
	name := quoteTable(e.Database, e.Table)
	return fmt.Sprintf("table %s not found on %s: create it, or let user %q see it with GRANT SHOW TABLES, SHOW COLUMNS, INSERT ON %s TO %s",
		name, e.Address, e.User, name, quoteIdentifier(e.User))
}

// NotDistributedError says that the table is a local one, so that nothing tells which shards there are. Fatal at start.
type NotDistributedError struct {
	Database, Table, Engine string
	Clusters                []string // what system.clusters offers
}

func (e *NotDistributedError) Error() string {
	known := "the server knows none"
	if len(e.Clusters) > 0 {
		known = "the server knows " + strings.Join(e.Clusters, ", ")
	}
	return fmt.Sprintf("table %s has engine %s, not Distributed: name the Distributed table, or set `cluster` to the cluster of this local table (%s)",
		quoteTable(e.Database, e.Table), e.Engine, known)
}

// NotATableError says that the name is that of a view, of a buffer, of a table function, or of another engine that does not keep the rows itself. Fatal at start.
type NotATableError struct {
	Database, Table, Engine string
}

func (e *NotATableError) Error() string {
	return fmt.Sprintf("%s is a %s (a view, a buffer, an alias, or a table function such as remote()): name the Distributed table, or the local one, that keeps the rows",
		quoteTable(e.Database, e.Table), e.Engine)
}

// EngineError says that the definition of a Distributed table cannot be followed. Fatal at start.
type EngineError struct {
	EngineFull string
	Reason     string
}

func (e *EngineError) Error() string {
	return fmt.Sprintf("following the definition %q: %s", e.EngineFull, e.Reason)
}

// MacroError says that a name holds a macro that the server does not define. Fatal at start.
type MacroError struct {
	Name, Macro, Address string
}

func (e *MacroError) Error() string {
	return fmt.Sprintf("resolving %q: server %s defines no macro {%s} in system.macros", e.Name, e.Address, e.Macro)
}

// ClusterNotFoundError says that the server does not know the cluster. Fatal at start.
type ClusterNotFoundError struct {
	Cluster, Address string
	Clusters         []string
}

func (e *ClusterNotFoundError) Error() string {
	known := "it knows none"
	if len(e.Clusters) > 0 {
		known = "it knows " + strings.Join(e.Clusters, ", ")
	}
	return fmt.Sprintf("cluster %q is not in system.clusters of %s: %s", e.Cluster, e.Address, known)
}

// Difference is one thing in which a local table is not what the others are.
type Difference struct {
	Shard  uint32 // shard_num, from 1
	Host   string
	Column string // empty when it is not about a column
	Want   string
	Got    string
}

func (d Difference) String() string {
	what := "the table"
	if d.Column != "" {
		what = "column " + quoteIdentifier(d.Column)
	}
	return fmt.Sprintf("shard %d, %s: %s is %s, elsewhere it is %s", d.Shard, d.Host, what, d.Got, d.Want)
}

// StructureError says that the local tables of the replicas are not the same: a row could not mean the same everywhere.
// While it lasts, a running Cluster keeps the layout that it had.
type StructureError struct {
	Database, Table string
	Differences     []Difference
}

func (e *StructureError) Error() string {
	lines := make([]string, len(e.Differences))
	for i, d := range e.Differences {
		lines[i] = d.String()
	}
	return fmt.Sprintf("local tables %s differ: %s", quoteTable(e.Database, e.Table), strings.Join(lines, "; "))
}

// AddressError is the failure of one host.
type AddressError struct {
	Address string
	Err     error
}

func (e *AddressError) Error() string { return fmt.Sprintf("%s: %v", e.Address, e.Err) }

// Unwrap gives the failure itself.
func (e *AddressError) Unwrap() error { return e.Err }

// UnreachableError says that none of the addresses answered. Transient.
type UnreachableError struct {
	Attempts []error // an *AddressError each
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no address answered: %v", errors.Join(e.Attempts...))
}

// Unwrap gives what each address failed with.
func (e *UnreachableError) Unwrap() []error { return e.Attempts }

// AuthenticationError says that a server refused the user or the password. Fatal.
type AuthenticationError struct {
	User, Address string
	Err           error
}

func (e *AuthenticationError) Error() string {
	return fmt.Sprintf("logging in as %q on %s: check `username` and `password`: %v", e.User, e.Address, e.Err)
}

// Unwrap gives the server's exception.
func (e *AuthenticationError) Unwrap() error { return e.Err }

// PrivilegeError says what the user must not do and what to run so that it may. Fatal.
type PrivilegeError struct {
	User, Address string
	Run           string // the SQL statement that helps, when it is known
	Err           error  // the server's exception, when there was one
}

func (e *PrivilegeError) Error() string {
	msg := fmt.Sprintf("user %q lacks a privilege on %s", e.User, e.Address)
	if e.Run != "" {
		msg += ": run " + e.Run
	}
	if e.Err != nil {
		msg += fmt.Sprintf(" (%v)", e.Err)
	}
	return msg
}

// Unwrap gives the server's exception.
func (e *PrivilegeError) Unwrap() error { return e.Err }

// UnavailableError says that no replica of a shard can be used now. Transient.
type UnavailableError struct {
	Shard      uint32        // shard_num, from 1; 0 when it is about one replica
	Attempts   []error       // an *AddressError for each replica
	RetryAfter time.Duration // when the first of them is worth another try
}

func (e *UnavailableError) Error() string {
	if e.Shard == 0 {
		return fmt.Sprintf("replica unavailable: %v", errors.Join(e.Attempts...))
	}
	return fmt.Sprintf("shard %d has no replica to use: %v", e.Shard, errors.Join(e.Attempts...))
}

// Unwrap gives what each replica failed with.
func (e *UnavailableError) Unwrap() []error { return e.Attempts }

// CircuitOpenError says that a host failed a moment ago and is left alone for a while.
type CircuitOpenError struct {
	RetryAfter time.Duration
	Cause      error // what it failed with
}

func (e *CircuitOpenError) Error() string {
	return fmt.Sprintf("left alone for %s after: %v", e.RetryAfter.Round(time.Millisecond), e.Cause)
}

// Unwrap gives what opened the circuit.
func (e *CircuitOpenError) Unwrap() error { return e.Cause }

// StalledError says that a host took the query and then went silent. What was sent may have been executed.
type StalledError struct {
	Address string
	Silence time.Duration
	Err     error // why it is taken for frozen: what the probe failed with; nil when ReadTimeout was reached
}

func (e *StalledError) Error() string {
	msg := fmt.Sprintf("%s was silent for %s", e.Address, e.Silence.Round(time.Millisecond))
	if e.Err != nil {
		msg += fmt.Sprintf(" and does not answer: %v", e.Err)
	}
	return msg
}

// Unwrap gives what the probe failed with.
func (e *StalledError) Unwrap() error { return e.Err }

// Timeout makes the error a net.Error's kind of timeout.
func (e *StalledError) Timeout() bool { return true }

// ShardGoneError says that a recorded layout has a shard that is no longer in the cluster: the rows that were meant for it
// cannot go where they may already be. Fatal for the range concerned.
type ShardGoneError struct {
	Shard    int      // index in the recorded layout, from 0
	Replicas []string // host:port or, where it was never seen by this process, the hash of each recorded replica
	Pinned   bool     // the shard may be there, but not the one replica that knows the block
}

func (e *ShardGoneError) Error() string {
	what := "shard"
	if e.Pinned {
		what = "pinned replica of shard"
	}
	return fmt.Sprintf("%s %d of the recorded layout (%s) is no longer in the cluster: put it back until the range is written, or skip the range",
		what, e.Shard+1, strings.Join(e.Replicas, ", "))
}

// ErrBadPin says that recorded bytes are not a layout.
var ErrBadPin = errors.New("recorded layout cannot be read")

// CheckError says what is missing on a host for the promise that was asked for, and what to run. Fatal at start.
type CheckError struct {
	Shard   uint32 // shard_num, from 1
	Host    string
	Problem string
	Run     string // the SQL statement (or the configuration) that helps
}

func (e *CheckError) Error() string {
	msg := fmt.Sprintf("shard %d, %s: %s", e.Shard, e.Host, e.Problem)
	if e.Run != "" {
		msg += "; run: " + e.Run
	}
	return msg
}

// Fatal tells whether the error will be the same on every further try, until somebody changes configuration or servers.
// That nobody answers is fatal only if everybody refused.
func Fatal(err error) bool {
	switch e := err.(type) { //nolint:errorlint // walks the chain itself: two kinds of it are judged by all their parts
	case *ConfigError, *TableNotFoundError, *NotDistributedError, *NotATableError, *EngineError, *MacroError, *ClusterNotFoundError,
		*AuthenticationError, *PrivilegeError, *StructureError, *CheckError, *ShardGoneError:
		return true
	case *UnreachableError:
		return allFatal(e.Attempts)
	case *UnavailableError:
		return allFatal(e.Attempts)
	case interface{ Unwrap() error }:
		return Fatal(e.Unwrap())
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(e.Unwrap(), Fatal)
	}
	return false
}

func allFatal(errs []error) bool {
	return len(errs) > 0 && !slices.ContainsFunc(errs, func(err error) bool { return !Fatal(err) })
}

// typed turns a server's exception about who may do what into an error that says what to do; others pass unchanged.
func typed(err error, user, address string) error {
	switch {
	case ch.IsErr(err, proto.ErrAuthenticationFailed, proto.ErrWrongPassword, proto.ErrUnknownUser, proto.ErrRequiredPassword):
		return &AuthenticationError{User: user, Address: address, Err: err}
	case ch.IsErr(err, proto.ErrAccessDenied):
		return &PrivilegeError{User: user, Address: address, Run: grantFrom(err, user), Err: err}
	}
	return err
}

// grantFrom reads the statement that helps out of the exception, which ends in "... it's necessary to have the grant X ON Y".
func grantFrom(err error, user string) string {
	e, ok := ch.AsException(err)
	if !ok {
		return ""
	}
	const mark = "necessary to have the grant "
	_, grant, ok := strings.Cut(e.Message, mark)
	if !ok {
		return ""
	}
	grant, _, _ = strings.Cut(grant, ". ")
	grant, _, _ = strings.Cut(grant, " for at least")
	grant = strings.TrimRight(strings.TrimSpace(grant), ".")
	return fmt.Sprintf("GRANT %s TO %s", grant, quoteIdentifier(user))
}
