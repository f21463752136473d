package cluster

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/ClickHouse/ch-go"
)

// Default is what a missing value of a column becomes.
type Default struct {
	// Constant: JSON is the value as the server prints it, dates with a time in ISO 8601 and UTC.
	// Otherwise only the server can tell, row by row, and the INSERT has to leave the column out.
	Constant bool
	JSON     []byte
}

// Defaults evaluates, once and on the server, the default expression of each column that has one. Expressions that refer to
// columns, or whose functions are not known to give the same for every row and on every server, are left to the server.
// Columns without a default expression, and those that an INSERT cannot name, are not in the answer.
func (c *Cluster) Defaults(ctx context.Context, t *Table) (map[string]Default, error) {
	all := map[string]Default{}
	for _, col := range t.Columns {
		if col.DefaultExpression == "" || !col.Insertable() {
			continue
		}
		all[col.Name] = Default{}
		if !isConstant(col.DefaultExpression, t) {
			continue
		}
		value, err := c.evaluate(ctx, col)
		if ch.IsException(err) {
			continue // it means something only inside the table
		}
		if err != nil {
			return nil, fmt.Errorf("evaluating the default of column %s: %w", quoteIdentifier(col.Name), err)
		}
		if utf8.Valid(value) {
			all[col.Name] = Default{Constant: true, JSON: value}
		}
	}
	return all, nil
}

// evaluate takes the value of a constant expression from the server.
func (c *Cluster) evaluate(ctx context.Context, col TableColumn) (value []byte, err error) {
	expr := fmt.Sprintf("ifNull(toJSONString(CAST((%s), %s)), 'null')", col.DefaultExpression, quoteString(col.Type))
	err = c.anywhere(ctx, func(conn *Conn) error {
		rows, err := conn.rows(ctx, []string{expr}, "SETTINGS date_time_output_format = 'iso', output_format_json_quote_64bit_integers = 0, "+
			"output_format_json_quote_denormals = 1, output_format_json_quote_decimals = 1")
		if err == nil && len(rows) == 1 {
			value = []byte(rows[0][0])
		}
		return err
	})
	return value, err
}

// isConstant tells whether the expression is made of literals and of functions that depend on nothing but their arguments.
func isConstant(expr string, t *Table) bool {
	s := lexer{src: expr}
	var name token
	for {
		tok, err := s.next()
		if err != nil {
			return false
		}
		if name.text != "" {
			_, isColumn := t.Column(name.value)
			isFunction := tok.text == "("
			if isFunction && !pureFunctions[strings.ToLower(name.value)] || !isFunction && isColumn {
				return false
			}
			name = token{}
		}
		switch tok.kind {
		case tokenEnd:
			return true
		case tokenWord, tokenIdentifier:
			name = tok
		}
	}
}

// pureFunctions are those whose value is the same for every row, on every server and at any time. A function that is not
// listed costs a second block for the rows that lack the column; one listed wrongly would cost wrong data.
var pureFunctions = func() map[string]bool {
	m := map[string]bool{}
	for _, name := range strings.Fields(`
		cast _cast accuratecast accuratecastornull defaultvalueoftypename
		tostring tofixedstring toint8 toint16 toint32 toint64 toint128 toint256 touint8 touint16 touint32 touint64 touint128 touint256
		tofloat32 tofloat64 tobfloat16 todecimal32 todecimal64 todecimal128 todecimal256 tobool
		todate todate32 todatetime todatetime64 todatetime32 totime totime64 parsedatetime parsedatetimebesteffort makedate makedatetime
		touuid toipv4 toipv6 tonullable tolowcardinality tointervalsecond tointervalminute tointervalhour tointervalday
		array map tuple emptyarraystring emptyarrayuint8 emptyarrayuint64 emptyarrayint64 arrayconcat arrayresize range
		plus minus multiply divide intdiv modulo negate abs pow sqrt round floor ceil least greatest
		bitand bitor bitxor bitnot bitshiftleft bitshiftright
		if multiif coalesce ifnull nullif assumenotnull not and or equals notequals less greater lessorequals greaterorequals
		concat lower upper substring repeat reverse trim trimleft trimright replaceall replaceone format leftpad rightpad length empty notempty
		hex unhex char base64encode base64decode bin unbin
		cityhash64 siphash64 siphash128 xxhash32 xxhash64 farmhash64 murmurhash3_64 md5 sha1 sha256 crc32 inthash32 inthash64 halfmd5
		tojsonstring`) {
		m[name] = true
	}
	return m
}()
