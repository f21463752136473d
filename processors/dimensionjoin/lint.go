package dimensionjoin

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/benthos-clickhouse/connect/internal/lint"
	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/source"
)

// rules say what is wrong with a field before the processor starts; parse and New check the same.
const rules = lint.Plugin(Name)

// lintDSN does not show the value, which holds a password.
var lintDSN = rules.Check(djFieldDSN, func(text string) error {
	_, err := source.ParseDSN(text)
	return err
})

var lintDimensions = rules.Rule(djFieldDimensions, func(value any) []string {
	switch v := value.(type) {
	case []any:
		if len(v) == 0 {
			return lint.Complain(djFieldDimensions, errors.New("at least one dimension is needed"))
		}
		return lintNames(v)
	case map[string]any:
		return lintDimension(v)
	}
	return nil
})

func lintNames(dimensions []any) (wrong []string) {
	var seen []string
	for _, d := range dimensions {
		dimension, _ := d.(map[string]any)
		name := lint.Text(dimension[djFieldDimName])
		if slices.Contains(seen, name) {
			wrong = append(wrong, lint.Complain(inDimension(djFieldDimName), fmt.Errorf("there are two dimensions named %q", name))...)
		}
		seen = append(seen, name)
	}
	return wrong
}

// lintDimension looks at fields of one dimension that depend on each other. Those that are not given are missing.
func lintDimension(d map[string]any) (wrong []string) {
	complain := func(field, reason string) {
		wrong = append(wrong, lint.Complain(inDimension(field), errors.New(reason))...)
	}
	text := func(field string) string { return lint.Text(d[field]) }
	table, query := text(djFieldDimTable), text(djFieldDimQuery)
	switch {
	case (table == "") == (query == ""):
		complain(djFieldDimTable, "exactly one of table and query is needed")
	case query != "" && !source.HasKeys(query):
		complain(djFieldDimQuery, "has no {keys} placeholder, as in: WHERE id IN {keys}")
	case query != "" && text(djFieldDimLoad) == "full":
		complain(djFieldDimLoad, "full needs a table, not a query")
	}
	if defaults, _ := d[djFieldDimDefaults].(map[string]any); len(defaults) > 0 && text(djFieldDimOnMissing) != "default" {
		complain(djFieldDimDefaults, "are only used with on_missing: default")
	}
	return wrong
}

var lintName = rules.Check(inDimension(djFieldDimName), lint.Required)

// lintKey is asked of the map as a whole, and then of each expression.
var lintKey = rules.Rule(inDimension(djFieldDimKey), func(value any) []string {
	switch v := value.(type) {
	case map[string]any:
		if len(v) == 0 {
			return lint.Complain(inDimension(djFieldDimKey), errors.New("needs at least one column"))
		}
		return nil
	case []any:
		return nil
	}
	return lint.Complain(inDimension(djFieldDimKey), checkReference(lint.Text(value)))
})

var lintTypes = rules.Check(inDimension(djFieldDimTypes), lint.OneOf(encodings...))

var lintZone = rules.Check(inDimension(djFieldDimTimeZone), func(text string) error {
	_, err := time.LoadLocation(text)
	return err
})

var lintTime = rules.Check(inDimension(djFieldDimAsOf+"."+djFieldDimAsOfTime), checkReference)

func checkReference(expr string) error {
	_, err := new(settings).reference(expr)
	return err
}

var lintServerID = rules.Check(djFieldInvalidation+"."+djFieldBinlog+"."+djFieldBinlogServerID, func(text string) error {
	if _, err := strconv.ParseUint(text, 10, 32); err != nil {
		return fmt.Errorf("must be between 0 and %d", uint32(math.MaxUint32))
	}
	return nil
})

var lintJitter = rules.Check(inCache(djFieldCacheJitter), func(text string) error {
	if part, err := strconv.ParseFloat(text, 64); err != nil || part < 0 || part >= 1 {
		return errors.New("must be at least 0 and below 1")
	}
	return nil
})

func inDimension(field string) string { return djFieldDimensions + "." + field }

func inCache(field string) string { return djFieldCache + "." + field }
