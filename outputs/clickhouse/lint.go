package clickhouse

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/benthos-clickhouse/connect/clickhouse/insert"
)

// Lint rules say what is wrong with a value, and name its field, before anything starts. The constructor checks the same again. They are
// written in what Bloblang has of its own: the methods of impl/pure, such as concat and parse_duration, may not be registered when this package is.

// Patterns of values, as the constructor takes them.
const (
	durationPattern = `^\+?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$`
	sizePattern     = `^(?i)[0-9][0-9,]*(\.[0-9]*)? *([kmgtpe]i?b?|b)?$`
	notZero         = `[1-9]`
	hostPort        = `(\[[^\]]+\]|[^,:\[\]/@]+):[0-9]{1,5}`
	addressPattern  = `^` + hostPort + `$`
	memberPattern   = `("([^"\\]|\\.)+"|([^."\[\]\\]|\\.)+)`
	pathPattern     = `^` + memberPattern + `(\.` + memberPattern + `|\[[0-9]{1,9}\])*$` // jsonscan.ParsePath, from a member on
	dsnPattern      = `^(clickhouse|tcp|native)://([^@/?]*@)?` + hostPort + `(,` + hostPort + `)*(/[^?]*)?([?].*)?$`
	dsnParameter    = `((secure|skip_verify)=(true|false)|compress=(true|none|lz4|zstd)|dial_timeout=[0-9][^&]*|(username|password|database)=[^&]*)`
	dsnParameters   = `^[^?]*([?]` + dsnParameter + `(&` + dsnParameter + `)*)?$`
)

// quoted is a string literal of Bloblang.
func quoted(s string) string {
	text, _ := json.Marshal(s) // a string always has a JSON form
	return string(text)
}

// complain is a rule that words what is wrong when the condition holds; %s in what stands for the value.
func complain(condition, path, what string) string {
	before, after, found := strings.Cut(what, "%s")
	message := quoted("field " + path + ": " + before)
	if found {
		message += " + this.string() + " + quoted(after)
	}
	return "root = if " + condition + " { " + message + " }"
}

func nonEmpty(path string) string { return complain(`this.string() == ""`, path, "is required") }

func atLeastOne(path string) string {
	return complain("this.number().catch(0) < 1", path, "must be at least 1")
}

// matching demands that a string matches all patterns.
func matching(path, what string, patterns ...string) string {
	conditions := make([]string, len(patterns))
	for i, p := range patterns {
		conditions[i] = "!this.string().re_match(" + quoted(p) + ")"
	}
	return complain(strings.Join(conditions, " || "), path, what)
}

// durationField, sizeField and the like are fields at a path from the plugin's configuration, of which the last name is the field's.
func durationField(path string) *service.ConfigField {
	return service.NewDurationField(lastName(path)).LintRule(matching(path, "%s is not a duration above zero, such as 30s", durationPattern, notZero))
}

func sizeField(path string) *service.ConfigField {
	return service.NewStringField(lastName(path)).LintRule(matching(path, "%s is not a size such as 256MiB", sizePattern, notZero))
}

// choiceField takes one of some names, each with what it means. The library's own rule does not name the field, and takes names in any case.
func choiceField(path string, names map[string]string) *service.ConfigField {
	return service.NewStringAnnotatedEnumField(lastName(path), names).LintRule(oneOf(path, slices.Sorted(maps.Keys(names))...))
}

func oneOf(path string, names ...string) string {
	list, _ := json.Marshal(names)
	return complain("!"+string(list)+".contains(this.string())", path, "%s is not one of "+strings.Join(names, ", "))
}

func patternsField(path string) *service.ConfigField {
	return service.NewStringListField(lastName(path)).
		LintRule(complain(`this.type() == "string" && "".re_match(this).catch("bad") == "bad"`, path, "%s is not a regular expression"))
}

func lastName(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// lintAddresses takes an item with commas as several.
var lintAddresses = complain(`this.type() == "string" && this.split(",").any(a -> !a.trim().re_match(`+quoted(addressPattern)+`))`, choFieldAddresses, "%s is not host:port")

var lintShards = `root = if this.type() == "array" { [
  if this.any(replicas -> replicas.type() == "array" && replicas.length() == 0) { "field shards: a shard has no replicas" },
  this.flatten().filter(a -> a.type() == "string" && !a.re_match(` + quoted(addressPattern) + `)).map_each(a -> "field shards: " + a + " is not host:port")
].flatten().filter(e -> e != null) }`

var lintAddressMap = `root = if this.type() == "object" {
  [ this.keys(), this.values().map_each(v -> v.string()) ].flatten().filter(a -> !a.re_match(` + quoted(addressPattern) + `)).map_each(a -> "field address_map: " + a + " is not host:port")
}`

// lintSettings refuses what insert.ValidateSettings does.
var lintSettings = func() string {
	names, _ := json.Marshal(insert.OwnedSettings())
	return fmt.Sprintf(`root = if this.type() == "object" { this.keys().filter(n -> n == "" || %s.contains(n.lowercase())).map_each(n -> if n == "" { "field settings: a setting has no name" } else {
  "field settings." + n + ": is set by this output" }) }`, names)
}()

// lintDSN does not show the value, which holds a password.
var lintDSN = `root = if this.string() != "" { [
  if !this.string().re_match(` + quoted(dsnPattern) + `) { "field dsn: is not clickhouse://user:password@host:9000,host:9000/database" },
  if !this.string().re_match(` + quoted(dsnParameters) + `) { "field dsn: a parameter is not secure, skip_verify, compress, dial_timeout, username, password or database, or has a wrong value" },
].filter(e -> e != null) }`

// The engine asks of the list as a whole, and then of each entry.
var lintColumns = `let names = if this.type() == "array" { this.map_each(c -> c.name.or("")) } else { [] }
root = if this.type() == "object" { [
  if this.name.or("") == "" { "field columns: an entry has no name" },
  if this.from.or("") != "" && this.mapping.or("") != "" { "field columns: " + this.name.or("") + " has both from and mapping" },
  if this.skip.or(false) == true && (this.from.or("") != "" || this.mapping.or("") != "") { "field columns: " + this.name.or("") + " is skipped and has a source" },
  if this.from.or("") != "" && ` + isNoSource("this.from.string()") + ` { "field columns: from of " + this.name.or("") + " is neither a path such as a.b[0].c nor @name: " + this.from.string() },
].filter(e -> e != null) } else {
  $names.filter(n -> n != "" && $names.filter(m -> m == n).length() > 1).unique().map_each(n -> "field columns: " + n + " stands twice")
}`

var lintVersionFrom = complain(`this.string() != "" && `+isNoSource("this.string()"), "changes.version.from", "%s is neither a path such as a.b[0].c nor @name")

// isNoSource tells that a string is neither a path nor the name of a piece of metadata.
func isNoSource(s string) string {
	path := quoted(pathPattern)
	return `(if ` + s + `.has_prefix("@envelope.") { !` + s + `.trim_prefix("@envelope.").re_match(` + path + `) } else if ` + s + `.has_prefix("@") { ` + s + ` == "@" } else { !` + s + `.re_match(` + path + `) })`
}
