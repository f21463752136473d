package sharding

import (
	"errors"
	"fmt"
)

// ErrNoWeight is returned for a layout in which no shard may receive rows: there are none, or every weight is 0.
var ErrNoWeight = errors.New("no shard has a weight above 0: there is nowhere to route rows to")

// SyntaxError says where a sharding expression cannot be read. Offset counts bytes from 0.
type SyntaxError struct {
	Expr   string
	Offset int
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("sharding expression %q: %s at byte %d", e.Expr, e.Reason, e.Offset)
}

// UnsupportedError names the function, operator or type of a sharding expression that is not evaluated here, although
// ClickHouse may accept it. It is returned by Parse and Bind only, so that a pipeline stops at start and not at a row.
type UnsupportedError struct {
	Expr   string // the whole expression, as the table has it
	What   string // `function "foo"`, `operator "/"`, `type Nullable(UInt64)`…
	Reason string
	Advice string // what to do about it
}

func (e *UnsupportedError) Error() string {
	msg := fmt.Sprintf("sharding expression %q: %s is not supported", e.Expr, e.What)
	if e.Reason != "" {
		msg += ": " + e.Reason
	}
	if e.Advice != "" {
		msg += "; " + e.Advice
	}
	return msg
}

// adviceStrategy is what a user can always do instead of evaluating the table's own key.
const adviceStrategy = "change the table's sharding key, or choose another routing.strategy (hash, consistent_hash, round_robin, random or free_space)"

// EvalError is a row whose key the expression has no value for. ClickHouse refuses to insert such a row too, except for a DateTime64
// outside of its calendar, of which it makes some other date.
type EvalError struct {
	Function string
	Reason   string
}

func (e *EvalError) Error() string {
	return fmt.Sprintf("evaluating sharding key: %s: %s", e.Function, e.Reason)
}

// ParityError says that the server computes another value for a sharding key than this package does. Rows must not
// be routed by the expression then: they would land on other shards than an INSERT into the Distributed table puts them.
type ParityError struct {
	Expr   string
	Row    string // the sampled column values, as SQL literals
	Server uint64
	Client uint64
}

func (e *ParityError) Error() string {
	return fmt.Sprintf("sharding expression %q: for %s the server computes %d and this program %d, so rows would be routed to other shards than ClickHouse uses; %s",
		e.Expr, e.Row, e.Server, e.Client, adviceStrategy)
}
