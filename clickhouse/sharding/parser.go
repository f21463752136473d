package sharding

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxDepth bounds the nesting of an expression, so that a hostile one cannot exhaust the stack.
const maxDepth = 200

// Parse reads a sharding expression as `engine_full` of a Distributed table shows it: columns (bare, dotted, in
// backticks or double quotes), integers, strings, true and false, function calls, `+ - * %`, unary minus, parentheses
// and tuples. Function names are matched as ClickHouse does: some in any case, most exactly.
//
// Errors are *SyntaxError for what cannot be read, *UnsupportedError for what can be but is not evaluated here.
func Parse(expr string) (*Expr, error) {
	p := &parser{lex: lexer{src: expr}}
	if err := p.advance(); err != nil {
		return nil, err
	}
	root, err := p.sum()
	if err != nil {
		return nil, err
	}
	if p.tok.kind != tokenEnd {
		return nil, p.unexpected()
	}
	return &Expr{source: expr, root: root, columns: p.columns}, nil
}

type parser struct {
	lex     lexer
	tok     token
	depth   int
	columns []string
}

func (p *parser) advance() (err error) {
	p.tok, err = p.lex.next()
	return err
}

func (p *parser) isSymbol(s string) bool { return p.tok.kind == tokenSymbol && p.tok.text == s }

func (p *parser) isWord(s string) bool {
	return p.tok.kind == tokenWord && strings.EqualFold(p.tok.text, s)
}

// sum: product { ("+" | "-") product }
func (p *parser) sum() (node, error) {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxDepth {
		return nil, p.lex.fail(p.tok.offset, fmt.Sprintf("nested more than %d deep", maxDepth))
	}
	left, err := p.product()
	for err == nil {
		switch {
		case p.isSymbol("+"):
			left, err = p.binary("plus", left, p.product)
		case p.isSymbol("-"):
			left, err = p.binary("minus", left, p.product)
		default:
			return left, nil
		}
	}
	return nil, err
}

// product: unary { ("*" | "%" | "MOD") unary }
func (p *parser) product() (node, error) {
	left, err := p.unary()
	for err == nil {
		switch {
		case p.isSymbol("*"):
			left, err = p.binary("multiply", left, p.unary)
		case p.isSymbol("%") || p.isWord("mod"):
			left, err = p.binary("modulo", left, p.unary)
		default:
			return left, nil
		}
	}
	return nil, err
}

func (p *parser) binary(name string, left node, operand func() (node, error)) (node, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	right, err := operand()
	if err != nil {
		return nil, err
	}
	return &call{functionsByName[name], []node{left, right}}, nil
}

// unary: { "+" | "-" } primary. A minus right before a number makes a negative literal, whose type differs from that
// of a negated one.
func (p *parser) unary() (node, error) {
	negate := false
	switch {
	case p.isSymbol("-"):
		negate = true
	case !p.isSymbol("+"):
		return p.primary()
	}
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxDepth {
		return nil, p.lex.fail(p.tok.offset, fmt.Sprintf("nested more than %d deep", maxDepth))
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.tok.kind == tokenNumber {
		return p.integer(negate)
	}
	operand, err := p.unary()
	if err != nil || !negate {
		return operand, err
	}
	return &call{functionsByName["negate"], []node{operand}}, nil
}

func (p *parser) primary() (node, error) {
	switch p.tok.kind {
	case tokenNumber:
		return p.integer(false)
	case tokenString:
		value := p.tok.text
		return stringLiteral{value}, p.advance()
	case tokenQuoted:
		return p.column()
	case tokenWord:
		return p.word()
	}
	if p.isSymbol("(") {
		return p.parenthesis()
	}
	return nil, p.unexpected()
}

// word is a literal, a function call or a column.
func (p *parser) word() (node, error) {
	word := p.tok
	switch strings.ToLower(word.text) {
	case "true", "false":
		return boolLiteral{strings.EqualFold(word.text, "true")}, p.advance()
	case "null":
		return nil, p.unsupported("literal NULL", "a key that is NULL has no shard", "")
	}
	ahead := p.lex
	if after, err := ahead.next(); err != nil || after.kind != tokenSymbol || after.text != "(" {
		return p.column()
	}
	f := lookupFunction(word.text)
	if f == nil {
		return nil, p.unsupported(fmt.Sprintf("function %q", word.text), suggestFunction(word.text), adviceStrategy)
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	args, _, err := p.list()
	if err != nil {
		return nil, err
	}
	return &call{f, args}, nil
}

// column: name { "." name }; the parts are one column name, as in Nested columns.
func (p *parser) column() (node, error) {
	var name strings.Builder
	for {
		name.WriteString(p.tok.text)
		if p.tok.text == "" {
			return nil, p.lex.fail(p.tok.offset, "a column name is empty")
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
		if !p.isSymbol(".") {
			break
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
		if p.tok.kind == tokenNumber {
			return nil, p.unsupported(`operator "."`, "elements of tuples cannot be a key here", adviceStrategy)
		}
		if p.tok.kind != tokenWord && p.tok.kind != tokenQuoted {
			return nil, p.unexpected()
		}
		name.WriteByte('.')
	}
	n := name.String()
	if !slices.Contains(p.columns, n) {
		p.columns = append(p.columns, n)
	}
	return identifier{n}, nil
}

// parenthesis is a grouped expression, or a tuple when a comma makes it one.
func (p *parser) parenthesis() (node, error) {
	args, comma, err := p.list()
	if err != nil {
		return nil, err
	}
	if len(args) == 1 && !comma {
		return args[0], nil
	}
	return &call{functionsByName["tuple"], args}, nil
}

// list: "(" [ sum { "," sum } [ "," ] ] ")"; comma says whether there was one.
func (p *parser) list() (args []node, comma bool, err error) {
	if err := p.advance(); err != nil {
		return nil, false, err
	}
	for !p.isSymbol(")") {
		arg, err := p.sum()
		if err != nil {
			return nil, false, err
		}
		args = append(args, arg)
		if p.isSymbol(")") {
			break
		}
		if !p.isSymbol(",") {
			return nil, false, p.unexpected()
		}
		comma = true
		if err := p.advance(); err != nil {
			return nil, false, err
		}
	}
	return args, comma, p.advance()
}

func (p *parser) integer(negative bool) (node, error) {
	text := p.tok.text
	magnitude, err := parseMagnitude(text)
	if err != nil || negative && magnitude > 1<<63 {
		return nil, p.unsupported("number "+text, "a key is made of integers of at most 64 bits", adviceStrategy)
	}
	return integerLiteral{negative && magnitude != 0, magnitude}, p.advance()
}

// parseMagnitude reads decimal, 0x and 0b numbers, with underscores between digits. A leading 0 is not octal.
func parseMagnitude(text string) (uint64, error) {
	prefix := ""
	if len(text) > 2 && text[0] == '0' {
		prefix = strings.ToLower(text[:2])
	}
	switch prefix {
	case "0x":
		return strconv.ParseUint(text[2:], 16, 64)
	case "0b":
		return strconv.ParseUint(text[2:], 2, 64)
	}
	if strings.HasSuffix(text, "_") || strings.Contains(text, "__") {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseUint(strings.ReplaceAll(text, "_", ""), 10, 64)
}

func (p *parser) unexpected() error {
	switch p.tok.kind {
	case tokenEnd:
		return p.lex.fail(p.tok.offset, "the expression ends too early")
	case tokenSymbol:
		switch p.tok.text {
		case "/", "<", ">", "=", "[", "?", ":", "{", "||", "::", "<=", ">=", "<>", "!=", "==", "->", ".":
			return p.unsupported(fmt.Sprintf("operator %q", p.tok.text), "", adviceStrategy)
		}
	case tokenWord:
		return p.unsupported(fmt.Sprintf("keyword %q", p.tok.text), "", adviceStrategy)
	}
	return p.lex.fail(p.tok.offset, fmt.Sprintf("unexpected %q", p.tok.text))
}

func (p *parser) unsupported(what, reason, advice string) error {
	return &UnsupportedError{Expr: p.lex.src, What: what, Reason: reason, Advice: advice}
}
