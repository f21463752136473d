package jsonscan

import (
	"strconv"
	"strings"
)

// Step is one step of a path: into the member Name of an object, or, when Name is empty, into element Index of an array.
// A member whose name is the empty string cannot be addressed.
type Step struct {
	Name  string
	Index int
}

// ParsePath reads the textual form of a path: names separated by dots, element indexes in brackets, as in a.b[0].c. A name
// that holds a dot, a bracket, a quote or a backslash is written between double quotes ("a.b".c) or with a backslash before
// each of these (a\.b.c); within quotes, too, a backslash takes the next character literally.
func ParsePath(s string) ([]Step, error) {
	if s == "" {
		return nil, &PathError{Path: s, Reason: "is empty"}
	}
	var steps []Step
	for rest := s; rest != ""; {
		var step Step
		var err string
		if rest[0] == '[' {
			step, rest, err = parseIndex(rest[1:])
		} else {
			step, rest, err = parseName(rest)
		}
		if err != "" {
			return nil, &PathError{Path: s, Reason: err}
		}
		steps = append(steps, step)
		if strings.HasPrefix(rest, ".") {
			rest = rest[1:]
			if rest == "" || rest[0] == '[' {
				return nil, &PathError{Path: s, Reason: "a name is missing after a dot"}
			}
		} else if rest != "" && rest[0] != '[' {
			return nil, &PathError{Path: s, Reason: "a dot is missing between two steps"}
		}
	}
	return steps, nil
}

func parseIndex(s string) (step Step, rest, err string) {
	digits, rest, ok := strings.Cut(s, "]")
	if !ok {
		return step, "", "a bracket is not closed"
	}
	index, convErr := strconv.ParseUint(digits, 10, 31)
	if convErr != nil {
		return step, "", "an index is not a number of 0 or more"
	}
	return Step{Index: int(index)}, rest, ""
}

func parseName(s string) (step Step, rest, err string) {
	quoted := s[0] == '"'
	i := 0
	if quoted {
		i = 1
	}
	var name strings.Builder
	for ; i < len(s); i++ {
		c := s[i]
		if c == '\\' {
			if i++; i == len(s) {
				return step, "", "it ends in a backslash"
			}
			name.WriteByte(s[i])
			continue
		}
		if quoted && c == '"' || !quoted && (c == '.' || c == '[') {
			break
		}
		if !quoted && (c == '"' || c == ']') {
			return step, "", "a quote or bracket within a name needs a backslash"
		}
		name.WriteByte(c)
	}
	if quoted {
		if i == len(s) {
			return step, "", "a quote is not closed"
		}
		i++
	}
	if name.Len() == 0 {
		return step, "", "a name is empty"
	}
	return Step{Name: name.String()}, s[i:], ""
}

// formatPath is the inverse of ParsePath, for messages.
func formatPath(steps []Step) string {
	var b strings.Builder
	for i, step := range steps {
		if step.Name == "" {
			b.WriteString("[" + strconv.Itoa(step.Index) + "]")
			continue
		}
		if i > 0 {
			b.WriteByte('.')
		}
		for _, c := range []byte(step.Name) {
			if strings.IndexByte(`.[]"\`, c) >= 0 {
				b.WriteByte('\\')
			}
			b.WriteByte(c)
		}
	}
	return b.String()
}
