// Package lint makes the plugins' lint rules, which say what is wrong with a value, and name its field, before anything starts. A check is a
// Go function, the constructor's own where it has one, and the rule only calls it: the library parses each rule whenever the program starts,
// and one written out in Bloblang takes several times as long. Rules are advice: constructors check the same again.
package lint

import (
	"fmt"
	"strings"
	"sync"

	"github.com/redpanda-data/benthos/v4/public/bloblang"
	"github.com/redpanda-data/benthos/v4/public/service"
)

// method is how a rule calls its check. It is registered before the plugins are, since their packages import this one.
const method = "connect_lint"

var rules sync.Map // the plugin's name and the field's path → func(any) []string

func init() {
	spec := bloblang.NewPluginSpec().
		Description("Says what is wrong with the value of a field of `kafka_exactly_once`, `dimension_join` or `clickhouse_native`. Of use to their lint rules only.").
		Param(bloblang.NewStringParam("field").Description("The plugin and the field."))
	bloblang.MustRegisterMethodV2(method, spec, func(args *bloblang.ParsedParams) (bloblang.Method, error) {
		field, err := args.GetString("field")
		if err != nil {
			return nil, err
		}
		check, ok := rules.Load(field)
		if !ok {
			return nil, fmt.Errorf("field %s has no lint rule", field)
		}
		return func(value any) (any, error) {
			lints := []any{}
			for _, wrong := range check.(func(any) []string)(value) {
				lints = append(lints, wrong)
			}
			return lints, nil
		}, nil
	})
}

// Plugin is the name of a plugin, whose fields have paths such as range.byte_size, and "" for all of them together.
type Plugin string

// Rule has the check say all that is wrong with a value. A list is asked of as a whole and then each of its items, a map likewise.
func (p Plugin) Rule(path string, check func(value any) []string) string {
	name := string(p) + "/" + path
	rules.Store(name, check)
	return fmt.Sprintf("root = this.%s(%q)", method, name)
}

// Check is a rule for a scalar, or for the items of a list of them: check gives no error, or one that words what is wrong.
func (p Plugin) Check(path string, check func(text string) error) string {
	return p.Rule(path, func(value any) []string {
		switch value.(type) {
		case []any, map[string]any:
			return nil
		}
		return Complain(path, check(Text(value)))
	})
}

// Items is a rule for a list: all of it, and then each item.
func (p Plugin) Items(path string, all func(items []string) error, each func(item string) error) string {
	return p.Rule(path, func(value any) []string {
		switch v := value.(type) {
		case []any:
			return Complain(path, all(Texts(v)))
		case map[string]any:
			return nil
		}
		return Complain(path, each(Text(value)))
	})
}

// Complain names the field that an error is about, and is empty without an error.
func Complain(path string, err error) []string {
	if err == nil {
		return nil
	}
	return []string{"field " + path + ": " + err.Error()}
}

// Duration is the field of a time above zero.
func (p Plugin) Duration(path string) *service.ConfigField {
	return service.NewDurationField(lastName(path)).LintRule(p.Check(path, Duration))
}

// DurationOrZero is the field of a time that may be none.
func (p Plugin) DurationOrZero(path string) *service.ConfigField {
	return service.NewDurationField(lastName(path)).LintRule(p.Check(path, DurationOrZero))
}

// Size is the field of a size in bytes, from 1 to the limit.
func (p Plugin) Size(path string, limit uint64) *service.ConfigField {
	return service.NewStringField(lastName(path)).LintRule(p.Check(path, func(text string) error {
		_, err := ParseSize(text, limit)
		return err
	}))
}

// Integer is the field of a number from least on.
func (p Plugin) Integer(path string, least int) *service.ConfigField {
	return service.NewIntField(lastName(path)).LintRule(p.Check(path, AtLeast(least)))
}

// Choice is the field of one of some names. The library's own rule does not name the field, and takes names in any case.
func (p Plugin) Choice(path string, names ...string) *service.ConfigField {
	return service.NewStringEnumField(lastName(path), names...).LintRule(p.Check(path, OneOf(names...)))
}

func lastName(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// Text is a scalar as it was written.
func Text(value any) string {
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

// Texts are the items of a list.
func Texts(list []any) []string {
	out := make([]string, len(list))
	for i, item := range list {
		out[i] = Text(item)
	}
	return out
}
