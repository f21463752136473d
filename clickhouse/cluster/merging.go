package cluster

import (
	"fmt"
	"strings"
)

// Merging is what the local table's engine does with rows of one sorting key.
type Merging struct {
	// Kind is the engine without Replicated or Shared: MergeTree, ReplacingMergeTree, VersionedCollapsingMergeTree, …
	Kind string
	// Columns are the names among its arguments, in order: those that ReplacingMergeTree(version, is_deleted), CollapsingMergeTree(sign)
	// and VersionedCollapsingMergeTree(sign, version) are made with.
	Columns []string
}

// Merging reads the engine's definition.
func (t *Table) Merging() (Merging, error) {
	def, err := parseEngine(t.EngineFull)
	if err != nil {
		return Merging{}, err
	}
	m := Merging{Kind: strings.TrimPrefix(strings.TrimPrefix(def.name, "Replicated"), "Shared")}
	for _, a := range def.args {
		if a.constant && !strings.HasPrefix(a.text, "'") { // strings are the path and the name in Keeper
			m.Columns = append(m.Columns, a.value)
		}
	}
	return m, nil
}

// KeyColumns names the columns that are parts of the sorting key as they are. Columns that it has within an expression are not
// among them: rows of one key may differ in these.
func (t *Table) KeyColumns() ([]string, error) {
	fail := func(err error) ([]string, error) {
		return nil, fmt.Errorf("reading the sorting key %q: %w", t.SortingKey, err)
	}
	s := lexer{src: t.SortingKey}
	var names []string
	var part []token
	keep := func() {
		if len(part) == 1 && (part[0].kind == tokenWord || part[0].kind == tokenIdentifier) {
			names = append(names, part[0].value)
		}
		part = part[:0]
	}
	depth := 0
	for {
		tok, err := s.next()
		if err != nil {
			return fail(err)
		}
		switch {
		case tok.kind == tokenEnd:
			keep()
			return names, nil
		case tok.text == "," && depth == 0:
			keep()
			continue
		case tok.text == "(" || tok.text == "[":
			depth++
		case tok.text == ")" || tok.text == "]":
			depth--
		}
		part = append(part, tok)
	}
}
