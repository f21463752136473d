package sharding

import (
	"slices"
	"strconv"
	"strings"
)

// Expr is a parsed sharding expression. Immutable.
type Expr struct {
	source  string
	root    node
	columns []string
}

// Columns names the columns that the expression reads, each once, in the order in which they first appear.
func (e *Expr) Columns() []string { return slices.Clone(e.columns) }

// Source is the expression as it was given to Parse.
func (e *Expr) Source() string { return e.source }

// String spells the expression with every operator as the function it stands for. It parses to the same expression.
func (e *Expr) String() string { return nodeText(e.root) }

func nodeText(n node) string {
	var b strings.Builder
	n.write(&b)
	return b.String()
}

// node is one step of an expression: identifier, integerLiteral, stringLiteral, boolLiteral or *call.
type node interface{ write(b *strings.Builder) }

type identifier struct{ name string }

// integerLiteral keeps the sign apart: ClickHouse types 255 as UInt8 and -1 as Int8.
type integerLiteral struct {
	negative  bool
	magnitude uint64
}

type stringLiteral struct{ value string }

type boolLiteral struct{ value bool }

type call struct {
	function *function
	args     []node
}

func (n identifier) write(b *strings.Builder) { b.WriteString(quoteIdentifier(n.name)) }

func (n integerLiteral) write(b *strings.Builder) {
	if n.negative {
		b.WriteByte('-')
	}
	b.WriteString(strconv.FormatUint(n.magnitude, 10))
}

func (n stringLiteral) write(b *strings.Builder) { b.WriteString(quoteString(n.value)) }

func (n boolLiteral) write(b *strings.Builder) { b.WriteString(strconv.FormatBool(n.value)) }

func (n *call) write(b *strings.Builder) {
	b.WriteString(n.function.name)
	b.WriteByte('(')
	for i, a := range n.args {
		if i > 0 {
			b.WriteString(", ")
		}
		a.write(b)
	}
	b.WriteByte(')')
}

// quoteIdentifier spells a column name so that ClickHouse and Parse read it as one name.
func quoteIdentifier(name string) string {
	if isBareIdentifier(name) {
		return name
	}
	return quoteWith(name, '`')
}

func isBareIdentifier(name string) bool {
	if name == "" || !isWordStart(name[0]) {
		return false
	}
	for i := 1; i < len(name); i++ {
		if !isWordByte(name[i]) {
			return false
		}
	}
	return !slices.Contains(reservedWords, strings.ToLower(name))
}

// reservedWords mean something else than a column where an expression is read.
var reservedWords = []string{"null", "true", "false", "mod", "div", "and", "or", "not", "case", "interval", "cast", "date", "timestamp", "inf", "nan", "is", "in", "between", "like", "as", "distinct", "all"}

// quoteString spells a string as a SQL literal; every byte that is not printable ASCII is escaped.
func quoteString(s string) string { return quoteWith(s, '\'') }

func quoteWith(s string, quote byte) string {
	const hexDigits = "0123456789ABCDEF"
	b := make([]byte, 0, len(s)+2)
	b = append(b, quote)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == quote || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20 || c >= 0x7f:
			b = append(b, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	return string(append(b, quote))
}
