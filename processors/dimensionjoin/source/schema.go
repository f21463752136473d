package source

import (
	"database/sql"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"
)

// Encoding says how a column's value is written as JSON.
type Encoding string

// The encodings. Auto follows the column's type: numbers (DECIMAL too) as number literals with all their digits; DATE, TIME,
// CHAR, TEXT and ENUM as strings; DATETIME in the dimension's zone and TIMESTAMP in UTC as RFC 3339; BIT as an unsigned
// number; SET as an array of strings; JSON as it is; BINARY, BLOB and spatial values as base64; NULL and zero dates as null.
const (
	Auto   Encoding = ""
	String Encoding = "string"
	Number Encoding = "number"
	Bool   Encoding = "bool" // false for 0, '' and NUL bits, true otherwise
	JSON   Encoding = "json"
	Base64 Encoding = "base64"
	Hex    Encoding = "hex"
	UUID   Encoding = "uuid" // of 16 bytes
)

// Encodings lists what a configuration may name.
var Encodings = []string{"string", "number", "bool", "json", "base64", "hex", "uuid"}

// Column is a column of the dimension that is joined.
type Column struct {
	Name   string
	Member string // the name it has in the event; with a target, within the target
	As     Encoding
}

// AsOf makes the dimension one of type 2: several versions of a row, each valid in an interval.
type AsOf struct {
	From, To string        // columns; To may be "": a version then ends where the next begins
	Unit     time.Duration // of integer columns and of numbers in events
}

// Config describes one dimension as the server holds it.
type Config struct {
	Name         string
	Table        string // table or database.table; or
	Query        string // with {keys} where the list of keys goes
	Keys         []string
	Columns      []Column // none: all columns that are not keys (nor AsOf's), each under Prefix + its own name
	Prefix       string
	Target       string
	AsOf         *AsOf
	Zone         *time.Location // of DATETIME columns; nil is UTC
	QueryTimeout time.Duration  // of one query
}

func (c *Config) zone() *time.Location {
	if c.Zone == nil {
		return time.UTC
	}
	return c.Zone
}

// ValueColumn is a joined column with the type that the server gave it.
type ValueColumn struct {
	Column
	Type      string
	jsonCheck bool // MariaDB's JSON
	encode    func(dst, text []byte) ([]byte, error)
}

// Schema is a dimension as the server described it. It is immutable.
type Schema struct {
	Keys    []KeyColumn
	Values  []ValueColumn
	Shape   *Shape
	Null    Row    // a row of nulls: what a missing row is joined as
	Digest  uint64 // of everything that keys, encoded rows and the reading of row events and of the whole table depend on
	Unique  bool   // the key columns hold a unique index: no two rows can have one key
	selects []string
	types   []string // the server's type of each selected column, in the order of selects
	from    instantColumn
	to      instantColumn
}

// described is a column of a result as the driver describes it.
type described struct{ name, typ string }

// ResultColumn is a column of a dimension's result: its name, and its type as go-sql-driver/mysql names it.
type ResultColumn struct{ Name, Type string }

// NewSchema is the schema of a dimension whose result has these columns, without asking a server.
func NewSchema(cfg Config, result []ResultColumn) (*Schema, error) {
	columns := make([]described, len(result))
	for i, c := range result {
		columns[i] = described{c.Name, c.Type}
	}
	return newSchema(&cfg, columns, nil, false)
}

// tableColumn is what information_schema adds for a column of a table.
type tableColumn struct {
	name, dataType, charset string
	width, ordinal          int // from 1
	jsonCheck               bool
}

// isText reports a column whose bytes, as stored, are UTF-8.
func (t tableColumn) isText() bool {
	switch t.charset {
	case "utf8mb4", "utf8mb3", "utf8", "ascii":
		return strings.HasSuffix(t.dataType, "char") || strings.HasSuffix(t.dataType, "text")
	default:
		return false
	}
}

func describe(types []*sql.ColumnType) []described {
	out := make([]described, len(types))
	for i, t := range types {
		out[i] = described{t.Name(), t.DatabaseTypeName()}
	}
	return out
}

// newSchema puts a schema together from the columns of the dimension's result.
func newSchema(cfg *Config, result []described, table map[string]tableColumn, unique bool) (*Schema, error) {
	s := &Schema{Unique: unique && cfg.AsOf == nil}
	find := func(name string) (described, error) {
		same := func(d described) bool { return strings.EqualFold(d.name, name) }
		i := slices.IndexFunc(result, same)
		if i < 0 {
			return described{}, &SchemaError{cfg.Name, name, "there is no such column" + hint(result)}
		}
		if slices.ContainsFunc(result[i+1:], same) {
			return described{}, &SchemaError{cfg.Name, name, "the query has several columns of this name: give them different ones with AS"}
		}
		return result[i], nil
	}
	for _, name := range cfg.Keys {
		d, err := find(name)
		if err != nil {
			return nil, err
		}
		key, err := newKeyColumn(cfg, d, table[strings.ToLower(name)])
		if err != nil {
			return nil, err
		}
		s.Keys = append(s.Keys, key)
		s.selects, s.types = append(s.selects, d.name), append(s.types, d.typ)
	}
	if err := s.addInstants(cfg, find); err != nil {
		return nil, err
	}
	var members []string
	for _, c := range cfg.columns(result) {
		d, err := find(c.Name)
		if err != nil {
			return nil, err
		}
		jsonCheck := table[strings.ToLower(c.Name)].jsonCheck
		encode, err := encoder(cfg, c, d.typ, jsonCheck)
		if err != nil {
			return nil, err
		}
		s.Values = append(s.Values, ValueColumn{c, d.typ, jsonCheck, encode})
		s.selects, s.types = append(s.selects, d.name), append(s.types, d.typ)
		members = append(members, c.Member)
	}
	if len(members) == 0 {
		return nil, &SchemaError{Dimension: cfg.Name, Reason: "it has no columns besides its key"}
	}
	for i, m := range members {
		if slices.Contains(members[:i], m) {
			return nil, &SchemaError{cfg.Name, s.Values[i].Name, fmt.Sprintf("another column is joined as %q too: rename one of them", m)}
		}
	}
	s.Shape = NewShape(cfg.Target, members)
	s.Null, _ = s.Shape.Encode(func(dst []byte, _ int) ([]byte, error) { return append(dst, "null"...), nil })
	s.Digest = s.digest(cfg)
	return s, nil
}

func hint(result []described) string {
	names := make([]string, len(result))
	for i, d := range result {
		names[i] = d.name
	}
	return "; there are: " + strings.Join(names, ", ")
}

// columns are the configured columns, or all that are left.
func (c *Config) columns(result []described) []Column {
	if len(c.Columns) > 0 {
		return c.Columns
	}
	var out []Column
	for _, d := range result {
		same := func(k string) bool { return strings.EqualFold(k, d.name) }
		if slices.ContainsFunc(c.Keys, same) || (c.AsOf != nil && (same(c.AsOf.From) || same(c.AsOf.To))) {
			continue
		}
		out = append(out, Column{Name: d.name, Member: c.Prefix + d.name})
	}
	return out
}

func newKeyColumn(cfg *Config, d described, t tableColumn) (KeyColumn, error) {
	k := KeyColumn{Name: d.name, Type: d.typ, Zone: cfg.zone(), Ordinal: t.ordinal - 1, Logged: true}
	base, unsigned := strings.CutPrefix(d.typ, "UNSIGNED ")
	k.Unsigned = unsigned
	switch base {
	case "TINYINT":
		k.Kind, k.Bits = KeyInteger, 8
	case "SMALLINT", "YEAR":
		k.Kind, k.Bits = KeyInteger, 16
	case "MEDIUMINT":
		k.Kind, k.Bits = KeyInteger, 24
	case "INT":
		k.Kind, k.Bits = KeyInteger, 32
	case "BIGINT":
		k.Kind, k.Bits = KeyInteger, 64
	case "DECIMAL":
		k.Kind = KeyDecimal
	case "CHAR", "VARCHAR", "ENUM", "TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT":
		k.Kind, k.Logged = KeyString, base != "ENUM" && t.isText()
		if t.charset != "utf8mb4" {
			k.Charset = t.charset
		}
		if t.dataType == "uuid" {
			k.Kind = KeyUUID
		}
	case "BINARY":
		k.Kind, k.Width = KeyBytes, t.width
	case "VARBINARY", "BLOB", "TINYBLOB", "MEDIUMBLOB", "LONGBLOB":
		k.Kind = KeyBytes
		if t.dataType == "binary" { // some servers describe BINARY(n) as VARBINARY in results
			k.Width = t.width
		}
	case "DATE":
		k.Kind = KeyDate
	case "DATETIME":
		k.Kind = KeyDateTime
	case "TIMESTAMP":
		k.Kind, k.Zone = KeyDateTime, time.UTC
	default:
		return k, &SchemaError{cfg.Name, d.name, fmt.Sprintf("a column of type %s cannot be a join key", d.typ)}
	}
	return k, nil
}

func (s *Schema) addInstants(cfg *Config, find func(string) (described, error)) error {
	if cfg.AsOf == nil {
		return nil
	}
	for _, c := range []struct {
		name string
		dst  *instantColumn
	}{{cfg.AsOf.From, &s.from}, {cfg.AsOf.To, &s.to}} {
		if c.name == "" {
			continue
		}
		d, err := find(c.name)
		if err != nil {
			return err
		}
		if *c.dst, err = newInstantColumn(cfg, d); err != nil {
			return err
		}
		s.selects, s.types = append(s.selects, d.name), append(s.types, d.typ)
	}
	return nil
}

func (s *Schema) digest(cfg *Config) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%q %q %q %v %v %q %q", cfg.Table, cfg.Query, cfg.Target, cfg.zone(), s.Unique, s.selects, s.types)
	for _, k := range s.Keys {
		fmt.Fprintf(h, "|%v %v %v %v %v %v", k.Kind, k.Width, k.Type, k.Ordinal, k.Logged, k.Charset)
	}
	for _, v := range s.Values {
		fmt.Fprintf(h, "|%q %q %v", v.Member, v.As, v.jsonCheck)
	}
	if cfg.AsOf != nil {
		fmt.Fprintf(h, "|%q %q %v", cfg.AsOf.From, cfg.AsOf.To, cfg.AsOf.Unit)
	}
	return h.Sum64()
}

// same reports whether a result has the columns that the schema was made from.
func (s *Schema) same(result []described) bool {
	if len(result) != len(s.types) {
		return false
	}
	for i, d := range result {
		if d.typ != s.types[i] {
			return false
		}
	}
	return true
}
