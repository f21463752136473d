package column

import (
	"fmt"
	"strconv"
	"strings"
)

// maxTypeDepth bounds how deep types nest, so that a hostile name cannot exhaust the stack. ClickHouse's own parser stops at 1000.
const maxTypeDepth = 100

// ParseType takes a type apart as system.columns and DESCRIBE print it. A family that this package does not know parses
// too (its parameters are kept as text): it is NewPlan that refuses it, with the column's name. Errors are *TypeSyntaxError.
func ParseType(s string) (*Type, error) {
	p := &typeParser{s: s}
	t, err := p.parseType(0)
	if err != nil {
		return nil, err
	}
	p.space()
	if p.i < len(p.s) {
		return nil, p.fail("unexpected text after the type")
	}
	return t, nil
}

type typeParser struct {
	s string
	i int
}

func (p *typeParser) fail(format string, args ...any) error {
	return &TypeSyntaxError{Type: p.s, Offset: p.i, Reason: fmt.Sprintf(format, args...)}
}

func (p *typeParser) space() {
	for p.i < len(p.s) && (p.s[p.i] == ' ' || p.s[p.i] == '\n' || p.s[p.i] == '\t' || p.s[p.i] == '\r') {
		p.i++
	}
}

// peek returns the next significant byte, 0 at the end.
func (p *typeParser) peek() byte {
	p.space()
	if p.i >= len(p.s) {
		return 0
	}
	return p.s[p.i]
}

func (p *typeParser) expect(c byte) error {
	if p.peek() != c {
		return p.fail("expected %q", c)
	}
	p.i++
	return nil
}

// word reads an identifier, bare or in backticks or double quotes; dots belong to it, as in Nested columns' names.
func (p *typeParser) word() (string, error) {
	if c := p.peek(); c == '`' || c == '"' {
		return p.quoted(c)
	}
	start := p.i
	for p.i < len(p.s) && (isWord(p.s[p.i]) || p.s[p.i] == '.') {
		p.i++
	}
	if p.i == start {
		return "", p.fail("expected a name")
	}
	return p.s[start:p.i], nil
}

func (p *typeParser) quoted(mark byte) (string, error) {
	if err := p.expect(mark); err != nil {
		return "", err
	}
	var b strings.Builder
	for ; p.i < len(p.s); p.i++ {
		c := p.s[p.i]
		if c == mark {
			p.i++
			return b.String(), nil
		}
		if c == '\\' && p.i+1 < len(p.s) {
			p.i++
			c = unescapeByte(p.s[p.i])
		}
		b.WriteByte(c)
	}
	return "", p.fail("unterminated %c", mark)
}

func unescapeByte(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 't':
		return '\t'
	case 'r':
		return '\r'
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case '0':
		return 0
	}
	return c
}

func (p *typeParser) parseType(depth int) (*Type, error) {
	if depth > maxTypeDepth {
		return nil, p.fail("nested deeper than %d", maxTypeDepth)
	}
	p.space()
	start := p.i
	name, err := p.word()
	if err != nil {
		return nil, err
	}
	t := &Type{Name: name}
	if p.peek() == '(' {
		p.i++
		if err := p.arguments(t, depth); err != nil {
			return nil, err
		}
		if err := p.expect(')'); err != nil {
			return nil, err
		}
	} else if err := p.bare(t); err != nil {
		return nil, err
	}
	t.text = strings.TrimSpace(p.s[start:p.i])
	return t, nil
}

// bare checks the families that mean nothing without parameters.
func (p *typeParser) bare(t *Type) error {
	switch t.Name {
	case "Nullable", "LowCardinality", "Array", "Map", "Nested", "FixedString", "QBit", "Enum8", "Enum16", "SimpleAggregateFunction",
		"Decimal32", "Decimal64", "Decimal128", "Decimal256":
		return p.fail("%s needs parameters", t.Name)
	case "DateTime64", "Time64":
		t.Scale = 3
	case "Decimal":
		t.Precision = 10
	}
	return nil
}

// arguments reads what stands between the parentheses.
func (p *typeParser) arguments(t *Type, depth int) error {
	switch t.Name {
	case "Nullable", "LowCardinality", "Array":
		return p.types(t, depth, 1, 1)
	case "Map":
		return p.types(t, depth, 2, 2)
	case "Variant":
		return p.types(t, depth, 0, 255)
	case "Tuple", "Nested":
		return p.members(t, depth)
	case "SimpleAggregateFunction":
		return p.aggregate(t, depth)
	case "QBit":
		return p.vector(t, depth)
	case "FixedString":
		return p.integers([]*int{&t.Length}, 1, 1, 0xFFFFFF)
	case "DateTime":
		return p.zone(t)
	case "DateTime64", "Time64":
		return p.scaled(t)
	case "Decimal", "Decimal32", "Decimal64", "Decimal128", "Decimal256":
		return p.decimal(t)
	case "Enum8", "Enum16", "Enum":
		return p.enum(t)
	}
	return p.skip()
}

func (p *typeParser) types(t *Type, depth, least, most int) error {
	for p.peek() != ')' || len(t.Args) < least {
		if len(t.Args) > 0 {
			if err := p.expect(','); err != nil {
				return err
			}
		}
		arg, err := p.parseType(depth + 1)
		if err != nil {
			return err
		}
		t.Args = append(t.Args, arg)
		if len(t.Args) > most {
			return p.fail("%s takes %d types", t.Name, most)
		}
	}
	return nil
}

// members reads `name Type, …` or `Type, …`.
func (p *typeParser) members(t *Type, depth int) error {
	for p.peek() != ')' {
		if len(t.Args) > 0 {
			if err := p.expect(','); err != nil {
				return err
			}
		}
		name := p.memberName()
		if name == "" && t.Name == "Nested" {
			return p.fail("members of Nested need names")
		}
		arg, err := p.parseType(depth + 1)
		if err != nil {
			return err
		}
		t.Fields, t.Args = append(t.Fields, name), append(t.Args, arg)
	}
	if len(t.Args) == 0 && t.Name == "Nested" {
		return p.fail("Nested needs members")
	}
	return nil
}

// memberName reads a name where one stands: an identifier that another one follows. It reads nothing otherwise.
func (p *typeParser) memberName() string {
	p.space()
	start := p.i
	name, err := p.word()
	if err == nil {
		if c := p.peek(); c != 0 && c != ',' && c != ')' && c != '(' {
			return name
		}
	}
	p.i = start
	return ""
}

func (p *typeParser) aggregate(t *Type, depth int) error {
	p.space()
	start := p.i
	if _, err := p.word(); err != nil {
		return err
	}
	if p.peek() == '(' {
		p.i++
		if err := p.skip(); err != nil {
			return err
		}
		if err := p.expect(')'); err != nil {
			return err
		}
	}
	t.Function = strings.TrimSpace(p.s[start:p.i])
	if err := p.expect(','); err != nil {
		return err
	}
	return p.types(t, depth, 1, 1)
}

// vector reads `Float32, 128`.
func (p *typeParser) vector(t *Type, depth int) error {
	arg, err := p.parseType(depth + 1)
	if err != nil {
		return err
	}
	if err := p.expect(','); err != nil {
		return err
	}
	t.Args = []*Type{arg}
	return p.integers([]*int{&t.Length}, 1, 1, 0xFFFFFF)
}

func (p *typeParser) integer() (int, error) {
	p.space()
	start := p.i
	if p.i < len(p.s) && p.s[p.i] == '-' {
		p.i++
	}
	for p.i < len(p.s) && p.s[p.i] >= '0' && p.s[p.i] <= '9' {
		p.i++
	}
	n, err := strconv.Atoi(p.s[start:p.i])
	if err != nil {
		return 0, p.fail("expected a number")
	}
	return n, nil
}

func (p *typeParser) integers(into []*int, least, low, high int) error {
	for i, dst := range into {
		if i > 0 {
			if i >= least && p.peek() == ')' {
				return nil
			}
			if err := p.expect(','); err != nil {
				return err
			}
		}
		n, err := p.integer()
		if err != nil {
			return err
		}
		if n < low || n > high {
			return p.fail("%d is not between %d and %d", n, low, high)
		}
		*dst = n
	}
	return nil
}

func (p *typeParser) zone(t *Type) (err error) {
	t.Zone, err = p.quoted('\'')
	return err
}

func (p *typeParser) scaled(t *Type) error {
	if err := p.integers([]*int{&t.Scale}, 1, 0, 9); err != nil {
		return err
	}
	if t.Name == "Time64" || p.peek() != ',' {
		return nil
	}
	p.i++
	return p.zone(t)
}

func (p *typeParser) decimal(t *Type) error {
	digits := map[string]int{"Decimal32": 9, "Decimal64": 18, "Decimal128": 38, "Decimal256": 76}[t.Name]
	var err error
	if digits == 0 {
		digits = 76
		err = p.integers([]*int{&t.Precision, &t.Scale}, 1, 0, digits)
	} else {
		t.Precision = digits
		err = p.integers([]*int{&t.Scale}, 1, 0, digits)
	}
	if err != nil {
		return err
	}
	if t.Precision < 1 || t.Scale > t.Precision {
		return p.fail("a Decimal of %d digits cannot have %d after the point", t.Precision, t.Scale)
	}
	t.Name = "Decimal"
	return nil
}

// enum reads `'a' = 1, 'b' = 2`; numbers may be left out, as in CREATE TABLE.
func (p *typeParser) enum(t *Type) error {
	next := 1
	for len(t.Enum) == 0 || p.peek() == ',' {
		if len(t.Enum) > 0 {
			p.i++
		}
		name, err := p.quoted('\'')
		if err != nil {
			return err
		}
		if p.peek() == '=' {
			p.i++
			if next, err = p.integer(); err != nil {
				return err
			}
		}
		low, high := -32768, 32767
		if t.Name == "Enum8" {
			low, high = -128, 127
		}
		if next < low || next > high {
			return p.fail("%d does not fit %s", next, t.Name)
		}
		t.Enum = append(t.Enum, EnumValue{Name: name, Value: int16(next)})
		next++
	}
	if t.Name == "Enum" {
		t.Name = enumWidth(t.Enum)
	}
	return nil
}

// enumWidth is ClickHouse's rule for a plain `Enum`: the narrowest that holds its values.
func enumWidth(values []EnumValue) string {
	for _, v := range values {
		if v.Value < -128 || v.Value > 127 {
			return "Enum16"
		}
	}
	return "Enum8"
}

// skip passes over parameters that this package does not read, up to the closing parenthesis.
func (p *typeParser) skip() error {
	for depth := 0; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; c {
		case '(':
			depth++
		case ')':
			if depth == 0 {
				return nil
			}
			depth--
		case '\'', '`', '"':
			if _, err := p.quoted(c); err != nil {
				return err
			}
			p.i--
		}
	}
	return p.fail("unterminated (")
}
