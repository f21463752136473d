package sharding

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
)

// Function describes one function that a sharding expression may call.
type Function struct {
	Name    string
	Aliases []string
	AnyCase bool // ClickHouse matches the name in any case
	MinArgs int
	MaxArgs int // -1: any number
	Summary string
}

// Functions lists what sharding expressions may call. Operators are functions too: `a + b` is plus, `a - b` minus,
// `a * b` multiply, `a % b` modulo, `-a` negate and `(a, b)` tuple.
func Functions() []Function {
	list := make([]Function, len(functions))
	for i, f := range functions {
		list[i] = Function{Name: f.name, AnyCase: f.caseInsensitive, MinArgs: f.minArgs, MaxArgs: f.maxArgs, Summary: f.summary}
		for _, a := range f.aliases {
			list[i].Aliases = append(list[i].Aliases, a.name)
		}
	}
	return list
}

// KeyTypes are the types that sharding expressions may read, with parameters where a type has any. Each may stand inside
// LowCardinality, where ClickHouse has that, and inside Nullable: NULL then has to meet a tuple inside a hash,
// because ClickHouse takes no key that may be NULL.
func KeyTypes() []string {
	return []string{
		"Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Bool",
		"Int128", "Int256", "UInt128", "UInt256", "Float32", "Float64",
		"String", "FixedString(7)", "Enum8('minus' = -2, 'zero' = 0, 'plus' = 2)", "Enum16('low' = -300, 'high' = 300)",
		"Date", "Date32", "DateTime('UTC')", "DateTime('America/New_York')", "DateTime64(3, 'Asia/Kolkata')", "DateTime64(9, 'UTC')",
		"UUID", "IPv4", "IPv6",
	}
}

// Accepts says whether the function takes columns of the type: one, or two of it where it wants two.
func (f Function) Accepts(t *column.Type) bool {
	if f.Name == "tuple" {
		return true
	}
	expr, err := Parse(f.probe())
	if err != nil {
		return false
	}
	_, err = expr.Bind([]*column.Type{t}, ServerZone("UTC"))
	return err == nil
}

// probe wraps the call so that every type of result makes a key.
func (f Function) probe() string {
	args := slices.Repeat([]string{"x"}, max(1, f.MinArgs))
	return "cityHash64(tuple(" + f.Name + "(" + strings.Join(args, ", ") + ")))"
}

// WriteReference writes the page of docs/ about sharding expressions, in Markdown.
func WriteReference(w io.Writer) error {
	var b strings.Builder
	b.WriteString(referenceIntroduction)
	b.WriteString("| function | arguments | takes | notes |\n|---|---|---|---|\n")
	for _, f := range Functions() {
		takes, err := f.takes()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", f.names(), f.arguments(), takes, f.Summary)
	}
	b.WriteString(referenceRule)
	_, err := io.WriteString(w, b.String())
	return err
}

func (f Function) names() string {
	names := "`" + f.Name + "`"
	for _, a := range f.Aliases {
		names += ", `" + a + "`"
	}
	if f.AnyCase {
		names += " (any case)"
	}
	return names
}

func (f Function) arguments() string {
	switch {
	case f.MaxArgs == anyNumber:
		return fmt.Sprintf("%d or more", f.MinArgs)
	case f.MaxArgs != f.MinArgs:
		return fmt.Sprintf("%d to %d", f.MinArgs, f.MaxArgs)
	default:
		return fmt.Sprint(f.MinArgs)
	}
}

// takes lists the families of accepted types, or what is left out where that is shorter.
func (f Function) takes() (string, error) {
	var accepted, refused []string
	for _, name := range KeyTypes() {
		t, err := column.ParseType(name)
		if err != nil {
			return "", fmt.Errorf("listing key types: %w", err)
		}
		list := &refused
		if f.Accepts(t) {
			list = &accepted
		}
		if !slices.Contains(*list, t.Name) {
			*list = append(*list, t.Name)
		}
	}
	switch {
	case len(refused) == 0:
		return "every type below", nil
	case len(refused) < len(accepted):
		return "every type below except " + strings.Join(refused, ", "), nil
	default:
		return strings.Join(accepted, ", "), nil
	}
}

const referenceIntroduction = `<!-- Generated from clickhouse/sharding's table of functions by "make docs"; do not edit. -->
# Sharding expressions

` + "`routing.strategy: table`" + ` evaluates the sharding key of the Distributed table in the connector, row by row, with the same result
as ClickHouse. At start the same expression is evaluated by the server on sampled values of the key's columns; a difference stops the
output. An expression with anything that is not listed here is refused at start, with the name of what is not supported.

An expression is made of columns (bare, dotted, in backticks or double quotes), integers, strings, ` + "`true` and `false`" + `, function
calls, ` + "`+ - * % MOD`" + `, unary minus, parentheses and tuples. Function names are case-sensitive where ClickHouse's are.

## Functions

`

const referenceRule = `
Types: Int8 to Int256, UInt8 to UInt256, Bool, Float32, Float64, String, FixedString, Enum8, Enum16, Date, Date32, DateTime, DateTime64, UUID, IPv4 and IPv6.
A LowCardinality or SimpleAggregateFunction column counts as the type inside it.

- **Nullable.** ClickHouse refuses a Distributed table whose key can be NULL, and most functions of NULL are NULL. A hash of a
  tuple is not: ` + "`cityHash64(tuple(column))`" + ` takes Nullable columns, and equals ` + "`cityHash64(column)`" + ` for every other value.
- **Integers of more than 64 bits, floats, dates and strings** can be hashed, but are no key themselves: ClickHouse takes integers of 8 to 64 bits.
  ` + "`sipHash128` and `murmurHash3_128`" + ` return a FixedString, so they too belong inside another hash.
- **Time zones.** ` + "`toYYYYMM`, `toDate` and `toString`" + ` of a DateTime use the column's zone, or else the server's. Where the servers'
  zones differ, ClickHouse places a row by the zone of the server that takes the INSERT; a key that depends on it is refused then, and
  columns whose values do are named in a warning. A
  DateTime64 outside of the years 1900 to 2299 is refused by them, row by row; ClickHouse makes another date of it. The time zone database of the machine (or the one built in) and ClickHouse's own
  can differ in version, and in the history before 1970 of zones that are links to another; the comparison at start includes such times.
- **Text to number.** ` + "`toUInt64('12x')`" + ` fails in ClickHouse; such a row goes to the dead letter here. A Nullable string is refused, because
  ClickHouse makes NULL of what does not fit.
- **rand()** is drawn from a hash of topic, partition and offset. It spreads rows as evenly, and a row that is delivered again goes where it went before.

## From value to shard

The value is taken as unsigned: 64-bit types as 64 bits, narrower ones sign-extended to 32 bits (an Int8 of -1 is 4294967295); a constant key as unsigned of its
own width. Modulo the sum of the weights it falls into one of the half-open intervals that the shards' weights make, in shard order. A shard of weight 0 gets nothing.
(` + "`createBlockSelector.cpp`" + `, ClickHouse 26.7.)

## Other strategies

| strategy | shard of a row |
|---|---|
| ` + "`hash`" + ` | ` + "`cityHash64(tuple(key, …))`" + ` by weight, as a Distributed table with that key would have it |
| ` + "`consistent_hash`" + ` | weighted rendezvous hashing of the same value: a shard added at the end takes only its share of the keys, and no key moves between the others |
| ` + "`round_robin`" + ` | consecutive offsets of a partition go around the shards, as many to each as its weight |
| ` + "`random`" + ` | a hash of topic, partition and offset, by weight |
| ` + "`free_space`" + ` | the same hash, by the free bytes of each shard, in parts of a thousand of the most, looked at every minute |
`
