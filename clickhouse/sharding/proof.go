package sharding

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
)

// ErrVolatile is returned by NewProof for an expression with rand(): two evaluations differ by intent.
var ErrVolatile = errors.New("the sharding expression calls rand(), so there is no value to compare with the server's")

// Proof asks a server for the values of a sharding expression on sampled rows, and compares them with this package's.
// Run Query, read its only column (UInt64, one value per sampled row, in order), and give it to Check.
type Proof struct {
	// Query is a SELECT that reads no table.
	Query string
	// Rows is the number of values that the query returns.
	Rows int

	expr string
	want []uint64
	rows []string
}

// NewProof samples n rows, a few hundred at most (the rows stand in the query, whose size the server limits to
// 262,144 bytes by default). Rows that ClickHouse refuses, such as a modulo by a column that is 0, are left out. The
// error is ErrVolatile for expressions with rand().
func (f *Func) NewProof(n int, seed uint64) (*Proof, error) {
	if f.volatile {
		return nil, ErrVolatile
	}
	samples, err := Samples(f.declared, n, seed)
	if err != nil {
		return nil, err
	}
	p := &Proof{expr: f.expr.source}
	for _, vals := range samples {
		v, err := f.Eval(vals, Record{})
		if err != nil {
			continue
		}
		p.want = append(p.want, v)
		p.rows = append(p.rows, f.literals(vals))
	}
	if len(p.rows) == 0 {
		return nil, fmt.Errorf("proving sharding expression %q: none of %d sampled rows has a value: %w", p.expr, n, err)
	}
	p.Rows = len(p.rows)
	p.Query = f.proofQuery(p.rows)
	return p, nil
}

// Check compares the server's answers. A difference is a *ParityError with both values.
func (p *Proof) Check(server []uint64) error {
	if len(server) != len(p.want) {
		return fmt.Errorf("proving sharding expression %q: the server returned %d values for %d rows", p.expr, len(server), len(p.want))
	}
	for i, v := range server {
		if v != p.want[i] {
			return &ParityError{Expr: p.expr, Row: p.rows[i], Server: v, Client: p.want[i]}
		}
	}
	return nil
}

// ServerValue is the SQL for the number that Eval computes: the key as the unsigned number that the server divides,
// always of type UInt64.
func (f *Func) ServerValue() string {
	width := 32
	switch {
	case f.result.size == 8:
		width = 64
	case f.constant:
		width = 8 * f.result.size
	}
	// The cast takes LowCardinality off, which the functions keep.
	return fmt.Sprintf("CAST(toUInt%d(%s), 'UInt64')", width, f.expr.source)
}

// proofQuery numbers the rows, since the server may return them in any order, and gives each column its type.
func (f *Func) proofQuery(rows []string) string {
	structure, selected := []string{"row_number UInt64"}, []string{"row_number"}
	for i, t := range f.types {
		carrier := fmt.Sprintf("c%d", i)
		structure = append(structure, carrier+" "+t.carrier())
		selected = append(selected, t.fromCarrier(carrier)+" AS "+quoteIdentifier(f.expr.columns[i]))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "SELECT %s AS v FROM (SELECT %s FROM values(%s", f.ServerValue(), strings.Join(selected, ", "), quoteString(strings.Join(structure, ", ")))
	for i, row := range rows {
		fmt.Fprintf(&b, ", (%d%s)", i, row)
	}
	b.WriteString(")) ORDER BY row_number")
	return b.String()
}

// carrier is a type that takes every value of t as a plain literal.
func (t valueType) carrier() string {
	name := t.name
	switch t.kind {
	case kindDate:
		name = "UInt16"
	case kindDate32:
		name = "Int32"
	case kindDateTime:
		name = "UInt32"
	case kindDateTime64:
		name = "Int64"
	case kindEnum:
		name = fmt.Sprintf("Int%d", 8*t.size)
	case kindFloat:
		name = fmt.Sprintf("UInt%d", 8*t.size)
	case kindUUID, kindIPv4, kindIPv6, kindWide, kindFixedString, kindString:
		name = "String"
	}
	if t.nullable {
		return "Nullable(" + name + ")"
	}
	return name
}

func (t valueType) fromCarrier(name string) string {
	switch t.kind {
	case kindInt, kindString:
		return name
	case kindFloat, kindDateTime64:
		return fmt.Sprintf("reinterpret(%s, %s)", name, quoteString(t.name))
	case kindWide:
		return fmt.Sprintf("reinterpret(CAST(%s, %s), %s)", name, quoteString(valueType{name: fmt.Sprintf("FixedString(%d)", t.size), nullable: t.nullable}.String()), quoteString(t.name))
	}
	return fmt.Sprintf("CAST(%s, %s)", name, quoteString(t.String()))
}

// literals lists a row's values as the carriers take them, each after a comma.
func (f *Func) literals(vals []column.Value) string {
	var b strings.Builder
	for i, t := range f.types {
		b.WriteString(", ")
		if vals[i].Null {
			b.WriteString("NULL")
			continue
		}
		b.WriteString(t.literal(vals[i]))
	}
	return b.String()
}

func (t valueType) literal(v column.Value) string {
	switch t.kind {
	case kindString, kindFixedString, kindWide:
		return quoteString(string(v.B))
	case kindUUID:
		return "'" + string(appendUUID(nil, v.B)) + "'"
	case kindIPv6:
		return "'" + netip.AddrFrom16([16]byte(v.B)).String() + "'"
	case kindIPv4:
		return "'" + netip.AddrFrom4([4]byte{byte(v.U >> 24), byte(v.U >> 16), byte(v.U >> 8), byte(v.U)}).String() + "'"
	case kindFloat:
		return strconv.FormatUint(t.bits(v.U), 10)
	}
	if t.boolean {
		return strconv.FormatBool(v.U != 0)
	}
	if t.signed {
		return strconv.FormatInt(int64(v.U), 10)
	}
	return strconv.FormatUint(v.U, 10)
}
