package dimensionjoin

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redpanda-data/benthos/v4/public/bloblang"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
	"github.com/benthos-clickhouse/connect/internal/lint"
	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/cache"
	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/lookup"
	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/source"
)

// settings are a parsed configuration.
type settings struct {
	source     source.Options
	join       lookup.Config
	cache      cache.Options
	cacheLabel string
	inspect    string
	binlog     bool
	serverID   uint32
	mappings   []*bloblang.Executor // of the key expressions that are not plain paths
}

// parser collects the first error, so that the fields can be read one after the other.
type parser struct {
	conf *service.ParsedConfig
	err  error
}

func field[T any](p *parser, get func(path ...string) (T, error), path ...string) T {
	v, err := get(path...)
	if err != nil && p.err == nil {
		p.err = err
	}
	return v
}

func (p *parser) str(path ...string) string { return field(p, p.conf.FieldString, path...) }
func (p *parser) int(path ...string) int    { return field(p, p.conf.FieldInt, path...) }
func (p *parser) bool(path ...string) bool  { return field(p, p.conf.FieldBool, path...) }

func (p *parser) list(path ...string) []string {
	return field(p, p.conf.FieldStringList, path...)
}

func (p *parser) strings(path ...string) map[string]string {
	return field(p, p.conf.FieldStringMap, path...)
}

func (p *parser) duration(path ...string) time.Duration {
	return field(p, p.conf.FieldDuration, path...)
}

// choice reads one of a few names.
func (p *parser) choice(names []string, path ...string) string {
	name := p.str(path...)
	if err := lint.OneOf(names...)(name); err != nil {
		p.fail("%s: %w", strings.Join(path, "."), err)
	}
	return name
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

// parse reads the configuration, and checks what a linter would say once more.
func parse(conf *service.ParsedConfig) (*settings, error) {
	p := &parser{conf: conf}
	s := &settings{
		source: source.Options{
			DSN:            p.str(djFieldDSN),
			MaxConnections: p.int(djFieldMaxConnections),
			DialTimeout:    p.duration(djFieldQueryTimeout),
		},
		cache: cache.Options{
			MaxRows:      p.int(djFieldCache, djFieldCacheMaxRows),
			MaxBytes:     int64(p.int(djFieldCache, djFieldCacheMaxBytes)),
			TTL:          p.duration(djFieldCache, djFieldCacheTTL),
			RefreshAfter: p.duration(djFieldCache, djFieldCacheRefresh),
			MissingTTL:   p.duration(djFieldCache, djFieldCacheMissingTTL),
			MaxStale:     p.duration(djFieldCache, djFieldCacheMaxStale),
			Jitter:       field(p, conf.FieldFloat, djFieldCache, djFieldCacheJitter),
		},
		join: lookup.Config{
			OnConflict:     lookup.Conflict(p.choice(conflicts, djFieldOnConflict)),
			InitialBackoff: p.duration(djFieldBackoff, djFieldBackoffInitial),
			MaxBackoff:     p.duration(djFieldBackoff, djFieldBackoffMax),
			Snapshot:       p.str(djFieldSnapshot),
		},
		cacheLabel: p.str(djFieldCacheLabel),
		inspect:    p.str(djFieldInspectAddress),
		binlog:     p.bool(djFieldInvalidation, djFieldBinlog, djFieldBinlogEnabled),
		serverID:   uint32(p.int(djFieldInvalidation, djFieldBinlog, djFieldBinlogServerID)),
	}
	if p.err != nil {
		return nil, p.err
	}
	s.join.SnapshotStale = s.binlog
	if s.source.MaxConnections < 1 {
		return nil, fmt.Errorf("%s must be at least 1", djFieldMaxConnections)
	}
	keys, timeout := p.int(djFieldMaxKeysPerQuery), p.duration(djFieldQueryTimeout)
	if keys < 1 || timeout <= 0 {
		return nil, fmt.Errorf("%s and %s must be positive", djFieldMaxKeysPerQuery, djFieldQueryTimeout)
	}
	s.join.MaxKeys = keys
	if s.join.InitialBackoff <= 0 || s.join.MaxBackoff < s.join.InitialBackoff {
		return nil, fmt.Errorf("%s: %s must be positive, and %s no shorter", djFieldBackoff, djFieldBackoffInitial, djFieldBackoffMax)
	}
	if id := p.int(djFieldInvalidation, djFieldBinlog, djFieldBinlogServerID); id < 0 || id > math.MaxUint32 {
		return nil, fmt.Errorf("%s must be between 0 and %d", djFieldBinlogServerID, uint32(math.MaxUint32))
	}
	dims, err := conf.FieldObjectList(djFieldDimensions)
	if err != nil {
		return nil, err
	}
	for i, dim := range dims {
		d, err := s.dimension(dim)
		if err != nil {
			return nil, fmt.Errorf("%s[%d]: %w", djFieldDimensions, i, err)
		}
		d.Source.QueryTimeout = timeout
		s.join.Dimensions = append(s.join.Dimensions, d)
	}
	return s, nil
}

func (s *settings) dimension(conf *service.ParsedConfig) (lookup.Dimension, error) {
	p := &parser{conf: conf}
	d := lookup.Dimension{
		Source: source.Config{
			Name:   p.str(djFieldDimName),
			Table:  p.str(djFieldDimTable),
			Query:  p.str(djFieldDimQuery),
			Prefix: p.str(djFieldDimPrefix),
			Target: p.str(djFieldDimTarget),
		},
		OnMissing:    lookup.OnMissing(p.str(djFieldDimOnMissing)),
		RetryMissing: lookup.Retry{Attempts: p.int(djFieldDimRetry, djFieldDimRetryAttempts), Delay: p.duration(djFieldDimRetry, djFieldDimRetryDelay)},
		Watch:        p.list(djFieldDimWatch),
	}
	var err error
	if d.Source.Zone, err = time.LoadLocation(p.str(djFieldDimTimeZone)); err != nil {
		p.fail("%s: %w", djFieldDimTimeZone, err)
	}
	s.columns(p, &d)
	s.keys(p, &d)
	s.asOf(p, &d)
	s.full(p, &d)
	s.defaults(p, &d)
	return d, p.err
}

// columns gives each listed column its name in the event.
func (s *settings) columns(p *parser, d *lookup.Dimension) {
	rename, types := p.strings(djFieldDimRename), p.strings(djFieldDimTypes)
	listed := p.list(djFieldDimColumns)
	if len(listed) == 0 && len(rename)+len(types) > 0 {
		p.fail("%s and %s need %s to be listed", djFieldDimRename, djFieldDimTypes, djFieldDimColumns)
	}
	for _, name := range listed {
		c := source.Column{Name: name, Member: d.Source.Prefix + name, As: source.Encoding(types[name])}
		if to, ok := rename[name]; ok {
			c.Member = to
		}
		if c.As != source.Auto && !slices.Contains(encodings, types[name]) {
			p.fail("%s: column %q cannot be written as %q; there are: %s", djFieldDimTypes, name, types[name], strings.Join(encodings, ", "))
		}
		d.Source.Columns = append(d.Source.Columns, c)
	}
	for _, given := range []map[string]string{rename, types} {
		for name := range given {
			if !slices.Contains(listed, name) {
				p.fail("column %q is renamed or typed, but not listed in %s", name, djFieldDimColumns)
			}
		}
	}
}

func (s *settings) keys(p *parser, d *lookup.Dimension) {
	keys := p.strings(djFieldDimKey)
	if len(keys) == 0 {
		p.fail("%s needs at least one column", djFieldDimKey)
	}
	for _, column := range slices.Sorted(maps.Keys(keys)) {
		ref, err := s.reference(keys[column])
		if err != nil {
			p.fail("%s: column %q: %w", djFieldDimKey, column, err)
		}
		d.Source.Keys = append(d.Source.Keys, column)
		d.Key = append(d.Key, ref)
	}
}

var units = map[string]time.Duration{"s": time.Second, "ms": time.Millisecond, "us": time.Microsecond, "ns": time.Nanosecond}

func (s *settings) asOf(p *parser, d *lookup.Dimension) {
	if !p.conf.Contains(djFieldDimAsOf) {
		return
	}
	d.Source.AsOf = &source.AsOf{
		From: p.str(djFieldDimAsOf, djFieldDimAsOfFrom),
		To:   p.str(djFieldDimAsOf, djFieldDimAsOfTo),
		Unit: units[p.choice(unitNames, djFieldDimAsOf, djFieldDimAsOfUnit)],
	}
	var err error
	if d.Time, err = s.reference(p.str(djFieldDimAsOf, djFieldDimAsOfTime)); err != nil {
		p.fail("%s.%s: %w", djFieldDimAsOf, djFieldDimAsOfTime, err)
	}
}

func (s *settings) full(p *parser, d *lookup.Dimension) {
	d.Full = lookup.Full{
		Enabled:      p.choice(loads, djFieldDimLoad) == "full",
		Interval:     p.duration(djFieldDimRefresh, djFieldDimRefreshEvery),
		UpdatedAt:    p.str(djFieldDimRefresh, djFieldDimRefreshColumn),
		PollInterval: p.duration(djFieldDimRefresh, djFieldDimRefreshPoll),
	}
	switch {
	case d.Full.Interval < 0 || d.Full.PollInterval <= 0:
		p.fail("%s: %s must not be negative, and %s must be positive", djFieldDimRefresh, djFieldDimRefreshEvery, djFieldDimRefreshPoll)
	case d.Full.UpdatedAt != "" && !d.Full.Enabled:
		p.fail("%s: %s needs %s: full", djFieldDimRefresh, djFieldDimRefreshColumn, djFieldDimLoad)
	case d.Full.Interval == 0:
		d.Full.Interval = s.cache.TTL / 2
	}
}

func (s *settings) defaults(p *parser, d *lookup.Dimension) {
	values := field(p, p.conf.FieldAnyMap, djFieldDimDefaults)
	if len(values) > 0 && d.OnMissing != lookup.DefaultOnMissing {
		p.fail("%s are given, but %s is %q", djFieldDimDefaults, djFieldDimOnMissing, d.OnMissing)
	}
	for column, conf := range values {
		v, err := conf.FieldAny()
		if err != nil {
			p.fail("%s: column %q: %w", djFieldDimDefaults, column, err)
			return
		}
		b, err := json.Marshal(v)
		if err != nil {
			p.fail("%s: column %q: %w", djFieldDimDefaults, column, err)
			return
		}
		if d.Defaults == nil {
			d.Defaults = map[string]json.RawMessage{}
		}
		d.Defaults[column] = b
	}
}

// plainPath is an expression that names a field: this.a.b, with quoted segments where names need them. A segment of digits
// means an element or a member, which only the document tells, so it is left to the mapping engine.
var plainPath = regexp.MustCompile(`^\s*this((?:\.(?:[A-Za-z_][A-Za-z0-9_]*|"(?:[^"\\]|\\.)*"))+)\s*$`)

var pathSegment = regexp.MustCompile(`\.([A-Za-z_][A-Za-z0-9_]*|"(?:[^"\\]|\\.)*")`)

// mappedValue is the member that a mapping puts its result into: a message whose whole content is a string would have to be
// JSON to be read again.
const mappedValue = "value"

// reference compiles an expression: a path for the raw bytes, or a mapping.
func (s *settings) reference(expr string) (lookup.FieldRef, error) {
	if m := plainPath.FindStringSubmatch(expr); m != nil {
		var steps []jsonscan.Step
		for _, seg := range pathSegment.FindAllStringSubmatch(m[1], -1) {
			name := seg[1]
			if name[0] == '"' {
				var err error
				if name, err = strconv.Unquote(name); err != nil {
					return lookup.FieldRef{}, fmt.Errorf("reading the path %s: %w", expr, err)
				}
			}
			if name == "" {
				return lookup.FieldRef{}, fmt.Errorf("the path %s has an empty name", expr)
			}
			steps = append(steps, jsonscan.Step{Name: name})
		}
		return lookup.FieldRef{Path: steps}, nil
	}
	exec, err := bloblang.Parse("root." + mappedValue + " = " + expr)
	if err != nil {
		return lookup.FieldRef{}, fmt.Errorf("parsing the expression %q: %w", expr, err)
	}
	s.mappings = append(s.mappings, exec)
	return lookup.FieldRef{Computed: len(s.mappings) - 1}, nil
}
