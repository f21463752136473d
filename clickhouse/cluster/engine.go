package cluster

import (
	"fmt"
	"strings"
)

// argument is one argument of a table engine as it stands in engine_full.
type argument struct {
	text  string // source, trimmed
	value string // of a string literal or an identifier
	// constant: value holds it. Otherwise text is an expression that only the server can evaluate.
	constant bool
}

// engineDefinition is engine_full taken apart: Name(args…) and the SETTINGS behind it.
type engineDefinition struct {
	name     string
	args     []argument
	settings map[string]string
}

// parseEngine takes engine_full apart. It reads what ClickHouse prints (ASTStorage::formatImpl, 26.7), and tolerates more:
// any literal, identifier or nested expression as an argument, comments, and clauses such as ORDER BY before SETTINGS.
func parseEngine(full string) (engineDefinition, error) {
	s := lexer{src: full}
	fail := func(reason string) (engineDefinition, error) {
		return engineDefinition{}, &EngineError{EngineFull: full, Reason: reason}
	}
	name, err := s.next()
	if err != nil {
		return fail(err.Error())
	}
	if name.kind != tokenWord && name.kind != tokenIdentifier {
		return fail("no engine is named: the table may be a table function's")
	}
	def := engineDefinition{name: name.value, settings: map[string]string{}}
	t, err := s.next()
	if err == nil && t.text == "(" {
		if def.args, err = s.arguments(); err != nil {
			return fail(err.Error())
		}
		t, err = s.next()
	}
	for ; err == nil && t.kind != tokenEnd; t, err = s.next() {
		if t.kind == tokenWord && strings.EqualFold(t.text, "SETTINGS") {
			if err = s.settings(def.settings); err != nil {
				return fail(err.Error())
			}
			return def, nil
		}
	}
	if err != nil {
		return fail(err.Error())
	}
	return def, nil
}

// arguments reads up to the parenthesis that closes the list; the opening one has been read.
func (s *lexer) arguments() ([]argument, error) {
	var args []argument
	depth, start := 0, s.pos
	var tokens []token
	for {
		t, err := s.next()
		if err != nil {
			return nil, err
		}
		switch {
		case t.kind == tokenEnd:
			return nil, fmt.Errorf("its arguments are not closed")
		case depth == 0 && (t.text == "," || t.text == ")"):
			if len(tokens) == 0 {
				if t.text == ")" && len(args) == 0 {
					return nil, nil
				}
				return nil, fmt.Errorf("argument %d is empty", len(args)+1)
			}
			args = append(args, newArgument(s.src[start:t.pos], tokens))
			if t.text == ")" {
				return args, nil
			}
			tokens, start = nil, s.pos
			continue
		case t.text == "(" || t.text == "[" || t.text == "{":
			depth++
		case t.text == ")" || t.text == "]" || t.text == "}":
			if depth--; depth < 0 {
				return nil, fmt.Errorf("its brackets do not match")
			}
		}
		tokens = append(tokens, t)
	}
}

// newArgument evaluates what needs no server: one string literal or one name.
func newArgument(text string, tokens []token) argument {
	a := argument{text: strings.TrimSpace(text)}
	if len(tokens) == 1 && (tokens[0].kind == tokenString || tokens[0].kind == tokenIdentifier || tokens[0].kind == tokenWord) {
		a.value, a.constant = tokens[0].value, true
	}
	return a
}

// settings reads `name = value, …` to the end.
func (s *lexer) settings(into map[string]string) error {
	for {
		name, err := s.next()
		if err != nil {
			return err
		}
		eq, err := s.next()
		if err != nil {
			return err
		}
		if name.kind != tokenWord && name.kind != tokenIdentifier || eq.text != "=" {
			return fmt.Errorf("its settings cannot be read at %q", name.text)
		}
		var value strings.Builder
		depth := 0
		t, err := s.next()
		for ; err == nil && t.kind != tokenEnd && (t.text != "," || depth > 0); t, err = s.next() {
			switch t.text {
			case "(", "[", "{":
				depth++
			case ")", "]", "}":
				depth--
			}
			value.WriteString(t.value)
		}
		if err != nil {
			return err
		}
		into[name.value] = value.String()
		if t.kind == tokenEnd {
			return nil
		}
	}
}
