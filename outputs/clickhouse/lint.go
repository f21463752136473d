package clickhouse

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/clickhouse/insert"
	"github.com/benthos-clickhouse/connect/internal/lint"
)

// rules say what is wrong with a field before the output starts. The constructor checks the same again.
const rules = lint.Plugin("clickhouse_native")

// maxSize is more than any host holds.
const maxSize = 1 << 62

// choiceField takes one of some names, each with what it means.
func choiceField(path string, names map[string]string) *service.ConfigField {
	return service.NewStringAnnotatedEnumField(path[strings.LastIndexByte(path, '.')+1:], names).
		LintRule(rules.Check(path, lint.OneOf(slices.Sorted(maps.Keys(names))...)))
}

func patternsField(path string) *service.ConfigField {
	return service.NewStringListField(path[strings.LastIndexByte(path, '.')+1:]).LintRule(rules.Check(path, lint.Pattern))
}

func required(path string) string { return rules.Check(path, lint.Required) }

// complain words what is wrong with a field.
func complain(path, format string, args ...any) []string {
	return lint.Complain(path, fmt.Errorf(format, args...))
}

func checkAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	_, numeric := strconv.ParseUint(port, 10, 16)
	if err != nil || numeric != nil || host == "" || strings.ContainsAny(host, "/@") {
		return fmt.Errorf("%q is not host:port", address)
	}
	return nil
}

// lintAddresses takes an item with commas as several.
var lintAddresses = rules.Items(choFieldAddresses, lint.Anything, func(item string) error {
	for _, address := range splitAll([]string{item}) {
		if err := checkAddress(address); err != nil {
			return err
		}
	}
	return nil
})

// lintShards is asked of the list of lists, and then of each list and address.
var lintShards = rules.Rule(choFieldShards, func(value any) []string {
	switch v := value.(type) {
	case []any:
		for _, replicas := range v {
			if list, ok := replicas.([]any); ok && len(list) == 0 {
				return complain(choFieldShards, "a shard has no replicas")
			}
		}
	case string:
		return lint.Complain(choFieldShards, checkAddress(v))
	}
	return nil
})

var lintAddressMap = rules.Rule(choFieldAddressMap, func(value any) (wrong []string) {
	addresses, _ := value.(map[string]any)
	for _, from := range slices.Sorted(maps.Keys(addresses)) {
		wrong = append(wrong, lint.Complain(choFieldAddressMap, checkAddress(from))...)
		wrong = append(wrong, lint.Complain(choFieldAddressMap, checkAddress(lint.Text(addresses[from])))...)
	}
	return wrong
})

var lintSettings = rules.Rule(choFieldSettings, func(value any) (wrong []string) {
	settings, _ := value.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		var refused *cluster.ConfigError
		if errors.As(insert.ValidateSettings(map[string]string{name: ""}), &refused) {
			wrong = append(wrong, complain(refused.Field, "%s", refused.Reason)...)
		}
	}
	return wrong
})

// lintDSN does not show the value, which holds a password, nor what the parser of URLs says, which quotes it.
var lintDSN = rules.Check(choFieldDSN, func(text string) error {
	var c config
	if err := c.readDSN(text); err != nil {
		return errors.New("is not clickhouse://user:password@host:9000,host:9000/database, or has a parameter that is not secure, skip_verify, compress, dial_timeout, username, password or database, or not with this value")
	}
	if _, err := cluster.ParseCompression(string(c.cluster.Compression)); text != "" && c.cluster.Compression != "" && err != nil {
		return errors.New("compress is not none, lz4 or zstd")
	}
	if text != "" && (len(c.cluster.Addresses) == 0 || slices.ContainsFunc(c.cluster.Addresses, func(a string) bool { return checkAddress(a) != nil })) {
		return errors.New("does not name a port with each host")
	}
	return nil
})

// lintColumns is asked of the list as a whole, and then of each entry.
var lintColumns = rules.Rule(choFieldColumns, func(value any) []string {
	switch v := value.(type) {
	case []any:
		return lintNames(v)
	case map[string]any:
		return lintColumn(v)
	}
	return nil
})

func lintNames(columns []any) (wrong []string) {
	seen := map[string]int{}
	for _, c := range columns {
		name := at(c, "", choFieldColumnName)
		if seen[name]++; name != "" && seen[name] == 2 {
			wrong = append(wrong, complain(choFieldColumns, "%s stands twice", name)...)
		}
	}
	return wrong
}

func lintColumn(c map[string]any) []string {
	name, from, mapping := at(c, "", choFieldColumnName), at(c, "", choFieldColumnFrom), at(c, "", choFieldColumnMapping)
	switch {
	case name == "":
		return complain(choFieldColumns, "an entry has no name")
	case from != "" && mapping != "":
		return complain(choFieldColumns, "%s has both from and mapping", name)
	case c[choFieldColumnSkip] == true && (from != "" || mapping != ""):
		return complain(choFieldColumns, "%s is skipped and has a source", name)
	case checkSource(from) != nil:
		return complain(choFieldColumns, "from of %s %w", name, checkSource(from))
	}
	return nil
}

func checkSource(from string) error {
	if from == "" {
		return nil
	}
	if _, err := new(config).source(from); err != nil {
		return fmt.Errorf("is neither a path such as a.b[0].c nor @name: %q", from)
	}
	return nil
}

var lintVersionFrom = rules.Check(choFieldChanges+"."+choFieldVersion+"."+choFieldColumnFrom, checkSource)

// at is a value within a configuration, or the default where it is not given.
func at(conf any, otherwise string, path ...string) string {
	for _, name := range path {
		object, _ := conf.(map[string]any)
		conf = object[name]
	}
	if conf == nil {
		return otherwise
	}
	return lint.Text(conf)
}

func lengthOf(conf any, field string) int {
	object, _ := conf.(map[string]any)
	list, _ := object[field].([]any)
	return len(list)
}

// lintWhole looks at fields that depend on each other.
var lintWhole = rules.Rule("", func(conf any) (wrong []string) {
	addresses, shards, dsn := lengthOf(conf, choFieldAddresses), lengthOf(conf, choFieldShards), at(conf, "", choFieldDSN)
	if addresses == 0 && shards == 0 && dsn == "" {
		wrong = append(wrong, complain(choFieldAddresses, "name at least one host:port, or give dsn or shards")...)
	}
	if addresses > 0 && dsn != "" {
		wrong = append(wrong, complain(choFieldDSN, "cannot be combined with addresses")...)
	}
	if at(conf, "", choFieldCluster) != "" && shards > 0 {
		wrong = append(wrong, complain(choFieldCluster, "cannot be combined with shards: both say where the shards are")...)
	}
	if at(conf, "retry", choFieldOnExhausted) == "spool" && at(conf, "", choFieldSpool, choFieldPath) == "" {
		wrong = append(wrong, complain("spool.path", "is required with on_exhausted: spool")...)
	}
	if mode := at(conf, "append", choFieldWriteMode); mode != "append" {
		wrong = append(wrong, lintChanges(conf, mode)...)
	}
	return wrong
})

func lintChanges(conf any, mode string) (wrong []string) {
	mapped := at(conf, "debezium", choFieldChanges, choFieldFormat) == "mapping"
	operation := at(conf, "", choFieldChanges, choFieldOperation)
	if mapped && operation == "" {
		wrong = append(wrong, complain("changes.operation", "is required with changes.format: mapping")...)
	}
	if !mapped && operation != "" {
		wrong = append(wrong, complain("changes.operation", "is only used with changes.format: mapping")...)
	}
	if mode == "collapsing" && at(conf, "ignore", choFieldChanges, choFieldTombstones) == "delete" {
		wrong = append(wrong, complain("changes.tombstones", "delete does not go with write_mode: collapsing")...)
	}
	if mode == "replacing" && at(conf, "", choFieldChanges, choFieldSign) != "" {
		wrong = append(wrong, complain("changes.sign", "is only used with write_mode: collapsing")...)
	}
	if mode == "collapsing" && at(conf, "", choFieldChanges, choFieldIsDeleted) != "" {
		wrong = append(wrong, complain("changes.is_deleted", "is only used with write_mode: replacing")...)
	}
	return wrong
}

var lintRouting = rules.Rule(choFieldRouting, func(conf any) []string {
	object, _ := conf.(map[string]any)
	key, _ := object[choFieldKey].([]any)
	strategy := at(conf, "table", choFieldStrategy)
	switch keyed := strategy == "hash" || strategy == "consistent_hash"; {
	case slices.Contains(lint.Texts(key), ""):
		return complain("routing.key", "a column has no name")
	case keyed && len(key) == 0:
		return complain("routing.key", "strategy %s needs at least one column", strategy)
	case !keyed && len(key) > 0:
		return complain("routing.key", "is only used by the strategies hash and consistent_hash")
	}
	return nil
})
