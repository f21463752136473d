package clickhouse

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/redpanda-data/benthos/v4/public/bloblang"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/clickhouse/insert"
	"github.com/benthos-clickhouse/connect/internal/lint"
)

// config is the configuration as the engine takes it.
type config struct {
	cluster   cluster.Config
	insert    insert.Options // without Cluster, Spool, Observer and Logger
	computed  []computed
	wants     wants
	operation *bloblang.Executor // what happened to a row, with changes.format mapping; else nil
	spoolPath string             // "" without a spool
	spoolMax  int64
}

// wants tells which metadata some column takes, beside what routing needs: each look-up costs every row.
type wants struct{ time, key bool }

// computed is a column whose value is a mapping's.
type computed struct {
	column  string
	mapping *bloblang.Executor
}

// reader collects the first error of many look-ups, so that they can stand one per line.
type reader struct {
	conf *service.ParsedConfig
	err  error
}

func read[T any](r *reader, get func(...string) (T, error), path ...string) T {
	v, err := get(path...)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("field `%s`: %w", strings.Join(path, "."), err)
	}
	return v
}

func (r *reader) text(path ...string) string { return read(r, r.conf.FieldString, path...) }
func (r *reader) duration(path ...string) time.Duration {
	return read(r, r.conf.FieldDuration, path...)
}
func (r *reader) integer(path ...string) int   { return read(r, r.conf.FieldInt, path...) }
func (r *reader) list(path ...string) []string { return read(r, r.conf.FieldStringList, path...) }
func (r *reader) dict(path ...string) map[string]string {
	return read(r, r.conf.FieldStringMap, path...)
}

// choice reads one of a few names.
func (r *reader) choice(names []string, path ...string) string {
	name := r.text(path...)
	if r.err == nil && !slices.Contains(names, name) {
		r.err = &cluster.ConfigError{Field: strings.Join(path, "."), Reason: fmt.Sprintf("%q is not one of %s", name, strings.Join(names, ", "))}
	}
	return name
}

// bytes reads a size such as 64MiB.
func (r *reader) bytes(path ...string) int64 {
	text := r.text(path...)
	if r.err != nil {
		return 0
	}
	n, err := lint.ParseSize(text, maxSize)
	if err != nil {
		r.err = &cluster.ConfigError{Field: strings.Join(path, "."), Reason: err.Error()}
	}
	return n
}

func parseConfig(conf *service.ParsedConfig) (*config, error) {
	r := &reader{conf: conf}
	c := &config{
		cluster: cluster.Config{
			Addresses:       splitAll(r.list(choFieldAddresses)),
			Database:        r.text(choFieldDatabase),
			Table:           r.text(choFieldTable),
			Cluster:         r.text(choFieldCluster),
			Shards:          read(r, conf.FieldStringListOfLists, choFieldShards),
			AddressMap:      r.dict(choFieldAddressMap),
			Username:        r.text(choFieldUsername),
			Password:        r.text(choFieldPassword),
			Compression:     cluster.Compression(r.text(choFieldCompression)),
			Replicas:        cluster.Policy(r.text(choFieldReplicas, choFieldPolicy)),
			MaxDelay:        r.duration(choFieldReplicas, choFieldMaxDelay),
			TopologyRefresh: r.duration(choFieldRefresh),
			DialTimeout:     r.duration(choFieldDialTimeout),
			StallTimeout:    r.duration(choFieldStallTimeout),
			ReadTimeout:     r.duration(choFieldInsertTimeout),
		},
		insert: insert.Options{
			UnknownFields:    column.Ignore,
			RejectDuplicates: r.choice([]string{"last", "reject"}, choFieldDuplicates) == "reject",
			Strategy:         insert.Strategy(r.text(choFieldRouting, choFieldStrategy)),
			Key:              r.list(choFieldRouting, choFieldKey),
			Delivery:         insert.Delivery(r.text(choFieldDelivery)),
			Sink:             r.text(choFieldSink),
			Settings:         r.dict(choFieldSettings),
			Retries: insert.Retries{
				MaxAttempts:     r.integer(choFieldRetries, choFieldMaxAttempts),
				InitialInterval: r.duration(choFieldRetries, choFieldInitialInterval),
				MaxInterval:     r.duration(choFieldRetries, choFieldMaxInterval),
			},
			MaxBlockRows:  r.integer(choFieldMaxBlockRows),
			MaxBlockBytes: int(r.bytes(choFieldMaxBlockBytes)),
			InsertTimeout: r.duration(choFieldInsertTimeout),
		},
	}
	c.readUnknown(r)
	tlsConf, enabled, err := conf.FieldTLSToggled(choFieldTLS)
	if err != nil {
		return nil, fmt.Errorf("field `tls`: %w", err)
	}
	if enabled {
		c.cluster.TLS = tlsConf
	}
	c.readSpool(r)
	if r.err != nil {
		return nil, r.err
	}
	if err := c.readColumns(conf); err != nil {
		return nil, err
	}
	if err := c.readChanges(conf); err != nil {
		return nil, err
	}
	if err := c.readDSN(r.text(choFieldDSN)); err != nil {
		return nil, err
	}
	return c, c.validate()
}

func (c *config) readUnknown(r *reader) {
	switch r.choice([]string{"ignore", "reject", "add_column"}, choFieldUnknownFields) {
	case "reject":
		c.insert.UnknownFields = column.Reject
	case "add_column":
		c.insert.UnknownFields = column.Report
		c.insert.AddColumns = &insert.AddColumns{
			Include:  r.patterns(choFieldAddColumn, choFieldInclude),
			Exclude:  r.patterns(choFieldAddColumn, choFieldExclude),
			Max:      r.integer(choFieldAddColumn, choFieldMax),
			Interval: r.duration(choFieldAddColumn, choFieldInterval),
		}
	}
}

// patterns compiles regular expressions.
func (r *reader) patterns(path ...string) []*regexp.Regexp {
	var out []*regexp.Regexp
	for _, text := range r.list(path...) {
		p, err := regexp.Compile(text)
		if err != nil && r.err == nil {
			r.err = &cluster.ConfigError{Field: strings.Join(path, "."), Reason: err.Error()}
		}
		out = append(out, p)
	}
	return out
}

func (c *config) readSpool(r *reader) {
	if r.choice([]string{"retry", "spool"}, choFieldOnExhausted) != "spool" {
		return
	}
	c.spoolPath = r.text(choFieldSpool, choFieldPath)
	c.spoolMax = r.bytes(choFieldSpool, choFieldMaxBytes)
	if c.spoolPath == "" && r.err == nil {
		r.err = &cluster.ConfigError{Field: "spool.path", Reason: "is required with on_exhausted: spool"}
	}
}

// readColumns turns the entries into sources.
func (c *config) readColumns(conf *service.ParsedConfig) error {
	entries, err := conf.FieldObjectList(choFieldColumns)
	if err != nil {
		return fmt.Errorf("field `columns`: %w", err)
	}
	seen := map[string]bool{}
	for _, e := range entries {
		r := &reader{conf: e}
		col := insert.Column{Name: r.text(choFieldColumnName), Skip: read(r, e.FieldBool, choFieldColumnSkip)}
		from := r.text(choFieldColumnFrom)
		if r.err != nil {
			return fmt.Errorf("field `columns`: %w", r.err)
		}
		mapped := e.Contains(choFieldColumnMapping)
		switch {
		case col.Name == "":
			return &cluster.ConfigError{Field: "columns", Reason: "an entry has no name"}
		case seen[col.Name]:
			return &cluster.ConfigError{Field: "columns", Reason: fmt.Sprintf("%q stands twice", col.Name)}
		case from != "" && mapped:
			return &cluster.ConfigError{Field: "columns", Reason: fmt.Sprintf("%q has both from and mapping", col.Name)}
		case col.Skip && (from != "" || mapped):
			return &cluster.ConfigError{Field: "columns", Reason: fmt.Sprintf("%q is skipped and has a source", col.Name)}
		case mapped:
			m, err := e.FieldBloblang(choFieldColumnMapping)
			if err != nil {
				return fmt.Errorf("field `columns`: mapping of %q: %w", col.Name, err)
			}
			col.Source = column.Computed(len(c.computed))
			c.computed = append(c.computed, computed{column: col.Name, mapping: m})
		case from != "":
			if col.Source, err = c.source(from); err != nil {
				return &cluster.ConfigError{Field: "columns", Reason: fmt.Sprintf("from of %q: %s", col.Name, err)}
			}
		}
		seen[col.Name] = true
		c.insert.Columns = append(c.insert.Columns, col)
	}
	return nil
}

// readDSN overlays what a DSN says.
func (c *config) readDSN(dsn string) error {
	if dsn == "" {
		return nil
	}
	fail := func(reason string) error { return &cluster.ConfigError{Field: choFieldDSN, Reason: reason} }
	if len(c.cluster.Addresses) > 0 {
		return fail("cannot be combined with addresses")
	}
	u, err := url.Parse(dsn)
	if err != nil { // which may quote a part of a password that is not escaped
		return fail("is not a URL such as clickhouse://user:password@host:9000/database: in a password, / ? # and % are written as %2F, %3F, %23 and %25")
	}
	if u.Scheme != "clickhouse" && u.Scheme != "tcp" && u.Scheme != "native" {
		return fail(fmt.Sprintf("scheme %q is not clickhouse: the output speaks the native protocol", u.Scheme))
	}
	c.cluster.Addresses = splitAll([]string{u.Host})
	if db := strings.Trim(u.Path, "/"); db != "" {
		c.cluster.Database = db
	}
	if name := u.User.Username(); name != "" {
		c.cluster.Username = name
	}
	if password, ok := u.User.Password(); ok {
		c.cluster.Password = password
	}
	return c.readParameters(u.Query(), fail)
}

func (c *config) readParameters(params url.Values, fail func(string) error) error {
	for name := range params {
		value := params.Get(name)
		switch name {
		case "secure", "skip_verify":
			if value != "true" && value != "false" {
				return fail(fmt.Sprintf("parameter %s is %q, not true or false", name, value))
			}
		case "username":
			c.cluster.Username = value
		case "password":
			c.cluster.Password = value
		case "database":
			c.cluster.Database = value
		case "compress":
			if value == "true" {
				value = "lz4"
			}
			c.cluster.Compression = cluster.Compression(value)
		case "dial_timeout":
			d, err := time.ParseDuration(value)
			if err != nil {
				return fail("parameter dial_timeout: " + err.Error())
			}
			c.cluster.DialTimeout = d
		default:
			return fail(fmt.Sprintf("parameter %s is not known: give ClickHouse settings in the field settings", name))
		}
	}
	if params.Get("secure") == "true" || params.Get("skip_verify") == "true" {
		c.secure(params.Get("skip_verify") == "true")
	}
	return nil
}

// validate holds what lint says against the values as they are: lint is advice.
func (c *config) validate() error {
	if c.cluster.Table == "" {
		return &cluster.ConfigError{Field: choFieldTable, Reason: "is required"}
	}
	if c.cluster.Database == "" {
		return &cluster.ConfigError{Field: choFieldDatabase, Reason: "is required"}
	}
	if len(c.cluster.Addresses) == 0 && len(c.cluster.Shards) == 0 {
		return &cluster.ConfigError{Field: choFieldAddresses, Reason: "name at least one host:port, or give dsn or shards"}
	}
	if _, err := cluster.ParseCompression(string(c.cluster.Compression)); err != nil {
		return err
	}
	if _, err := cluster.ParsePolicy(string(c.cluster.Replicas)); err != nil {
		return err
	}
	for field, ok := range map[string]bool{
		"retries.max_attempts":     c.insert.Retries.MaxAttempts > 0,
		"retries.initial_interval": c.insert.Retries.InitialInterval > 0,
		"retries.max_interval":     c.insert.Retries.MaxInterval >= c.insert.Retries.InitialInterval,
		"max_block_rows":           c.insert.MaxBlockRows > 0,
		"insert_timeout":           c.insert.InsertTimeout > 0,
		"dial_timeout":             c.cluster.DialTimeout > 0,
		"stall_timeout":            c.cluster.StallTimeout > 0,
		"topology_refresh":         c.cluster.TopologyRefresh > 0,
		"replicas.max_delay":       c.cluster.MaxDelay > 0,
		"add_column.max":           c.insert.AddColumns == nil || c.insert.AddColumns.Max > 0,
	} {
		if !ok {
			return &cluster.ConfigError{Field: field, Reason: "is too small"}
		}
	}
	return c.insert.Validate()
}

// splitAll takes items with commas as several, as an environment variable gives them.
func splitAll(items []string) []string {
	var out []string
	for _, item := range items {
		for part := range strings.SplitSeq(item, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}

// pairs reads from=to.
func pairs(items []string) (map[string]string, error) {
	out := make(map[string]string, len(items))
	for _, item := range items {
		from, to, ok := strings.Cut(item, "=")
		if !ok {
			return nil, &cluster.ConfigError{Field: flagMap, Reason: fmt.Sprintf("%q is not from=to", item)}
		}
		out[from] = to
	}
	return out, nil
}
