package source

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-sql-driver/mysql"
)

// Load reads the rows of the keys, which are canonical and distinct, with one query. The result has every key; one without a
// row has an empty Result. The error is ErrSchemaChanged, or says why the server could not be asked.
func (s *Source) Load(ctx context.Context, schema *Schema, keys []string) (map[string]*Result, error) {
	out, err := s.load(ctx, schema, keys)
	if err != nil {
		return nil, s.wrap("reading", err)
	}
	return out, nil
}

func (s *Source) load(ctx context.Context, schema *Schema, keys []string) (map[string]*Result, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	out, keys := unanswered(s.cfg.Name, schema, keys)
	if err := s.ask(ctx, schema, keys, out); err != nil {
		return nil, err
	}
	for _, result := range out {
		result.sortVersions(s.cfg.AsOf != nil && s.cfg.AsOf.To != "")
	}
	return out, nil
}

// ask reads the rows of the keys into their results. A server rejects the whole query for one key with letters that a column of the
// query does not have. That key has no row; it is looked for, so that the others do not wait with it.
func (s *Source) ask(ctx context.Context, schema *Schema, keys []string, out map[string]*Result) error {
	if len(keys) == 0 {
		return nil
	}
	err := s.read(ctx, schema, keys, out)
	if !isForeignText(err) {
		return err
	}
	for _, key := range keys {
		*out[key] = Result{}
	}
	plain, other := byLetters(schema, keys)
	switch {
	case len(other) == 0:
		return err
	case len(keys) == 1:
		return nil
	case len(plain) == 0:
		plain, other = keys[:len(keys)/2], keys[len(keys)/2:]
	}
	if err := s.ask(ctx, schema, plain, out); err != nil {
		return err
	}
	return s.ask(ctx, schema, other, out)
}

// read reads the rows of the keys into their results, with one query.
func (s *Source) read(ctx context.Context, schema *Schema, keys []string, out map[string]*Result) error {
	query, args := s.queryFor(schema, keys)
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	reader, err := s.reader(schema, rows)
	if err != nil {
		return err
	}
	inexact := 0
	for reader.next() {
		result := out[string(reader.key)]
		if result == nil {
			inexact++
			continue
		}
		reader.addTo(result)
	}
	if inexact > 0 {
		s.onInexact(inexact)
	}
	return reader.err
}

// unanswered makes the results of the keys, and returns the keys that the server can be asked for. A key that would make it reject
// the whole query, for ever, has its answer here: the event that wants it is at fault.
func unanswered(dimension string, schema *Schema, keys []string) (out map[string]*Result, ask []string) {
	out, ask = make(map[string]*Result, len(keys)), make([]string, 0, len(keys))
	for _, key := range keys {
		out[key] = &Result{Err: unfit(dimension, schema, key)}
		if out[key].Err == nil {
			ask = append(ask, key)
		}
	}
	return out, ask
}

// unfit is why no row can have the key.
func unfit(dimension string, schema *Schema, key string) error {
	return blame(dimension, schema, key, utf8.ValidString)
}

// blame finds a text in the key that is not as it has to be.
func blame(dimension string, schema *Schema, key string, good func(text string) bool) error {
	for i, part := range split(key, len(schema.Keys)) {
		c := &schema.Keys[i]
		if c.Kind == KeyString && !good(part) {
			return &KeyError{dimension, c.Name, c.Type, shorten(strconv.Quote(part))}
		}
	}
	return nil
}

// isASCII reports a text that every character set has.
func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

// isForeignText reports a query that was rejected for a text that another character set cannot hold.
func isForeignText(err error) bool {
	var my *mysql.MySQLError
	if !errors.As(err, &my) {
		return false
	}
	switch my.Number {
	case 1267, 1270, 1271, 3854, 3988: // "Illegal mix of collations", and what MySQL says since 8.0: "Cannot convert string …"
		return true
	}
	return false
}

// byLetters tells keys whose texts are in ASCII from others.
func byLetters(schema *Schema, keys []string) (ascii, other []string) {
	for _, key := range keys {
		if blame("", schema, key, isASCII) == nil {
			ascii = append(ascii, key)
		} else {
			other = append(other, key)
		}
	}
	return ascii, other
}

// queryFor asks for the rows of the keys.
func (s *Source) queryFor(schema *Schema, keys []string) (string, []any) {
	var list strings.Builder
	args := make([]any, 0, len(keys)*len(schema.Keys))
	list.Grow(len(keys) * 8)
	list.WriteByte('(')
	for i, key := range keys {
		if i > 0 {
			list.WriteByte(',')
		}
		parts := split(key, len(schema.Keys))
		if len(parts) > 1 {
			list.WriteByte('(')
		}
		for j, part := range parts {
			if j > 0 {
				list.WriteByte(',')
			}
			list.WriteString(schema.Keys[j].placeholder(part))
			args = append(args, schema.Keys[j].argument(part))
		}
		if len(parts) > 1 {
			list.WriteByte(')')
		}
	}
	list.WriteByte(')')
	if s.cfg.Query != "" {
		return strings.Join(s.query, list.String()), slices.Repeat(args, len(s.query)-1)
	}
	return s.selectFrom(schema) + " WHERE " + schema.keyTuple() + " IN " + list.String(), args
}

// queryToken finds the placeholders of a query, and what may hold one's name without being one: strings, quoted names and comments, told
// apart as the driver does it.
var queryToken = regexp.MustCompile(`(?s)'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|` + "`[^`]*`" + `|/\*.*?\*/|(?:#|--[ \t\r])[^\n]*|--\n|\{keys\}`)

// splitAtKeys returns what stands around the placeholders of a query.
func splitAtKeys(query string) []string {
	var parts []string
	start := 0
	for _, token := range queryToken.FindAllStringIndex(query, -1) {
		if query[token[0]:token[1]] == "{keys}" {
			parts = append(parts, query[start:token[0]])
			start = token[1]
		}
	}
	return append(parts, query[start:])
}
