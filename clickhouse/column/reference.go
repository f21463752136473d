package column

import (
	"fmt"
	"io"
	"strings"
)

// WriteReference writes docs/types.md: what each type accepts, and where that differs from ClickHouse's own JSONEachRow, out of
// the table that types are compiled by.
func WriteReference(w io.Writer) error {
	var b strings.Builder
	b.WriteString(referenceHead)
	for _, g := range documented() {
		fmt.Fprintf(&b, "\n### %s\n\n", strings.Join(g.names, ", "))
		if g.family.refusal != "" {
			fmt.Fprintf(&b, "Refused at start: %s.\n", g.family.refusal)
			continue
		}
		fmt.Fprintf(&b, "Takes %s.\n", g.family.accepts)
		for i, d := range g.family.differs {
			if i == 0 {
				b.WriteString("\n")
			}
			fmt.Fprintf(&b, "- %s\n", d)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

const referenceHead = `# Types

<!-- Generated from clickhouse/column/families.go by "make docs"; do not edit. -->

What a column takes of an event's JSON, and where that differs from what ClickHouse itself makes of the same text
(` + "`FORMAT JSONEachRow`, `date_time_input_format = 'best_effort'`" + `, version 26.7; the integration tests compare the two on boundary values of every type
in every wrapper). Values that an earlier processor left as Go values follow the same rules.

## Rules for all types

- A value that the column cannot hold exactly is an error of its row, with two exceptions: floating-point numbers are rounded to the nearest value, and
  digits of a second beyond a column's scale are cut off.
- A missing field takes the column's ` + "`DEFAULT`" + `; without one NULL where the column is Nullable, or else the type's own default: 0, an empty string, the
  epoch, the lowest value of an Enum. So does a ` + "`null`" + ` in a column that is not Nullable; within arrays, maps and tuples it is the type's own default.
- Rows without a field whose ` + "`DEFAULT`" + ` depends on other columns, or differs from row to row, are inserted without the column, and the server fills it in.
  Rows that leave out different sets of such columns go into different blocks; where these become many, the log says so once. ` + "`columns`" + ` with ` + "`skip: true`" + `
  leaves a column to the server always.
- Of a member that stands twice the last one counts, unless duplicates are rejected; ClickHouse refuses the row.
- A column whose name has dots, ` + "`n.a`" + `, takes the member called so, or else member ` + "`a`" + ` of the object ` + "`n`" + `; an Array also takes the members ` + "`a`" + ` of an array
  ` + "`n`" + ` of objects. A column configured with ` + "`from: 'a.b[0].c'`" + ` takes what stands there and nothing else.
- Invalid UTF-8 passes into strings as it is; ` + "`\\u0000`" + ` is a zero byte; half of a surrogate pair becomes U+FFFD.
- ` + escapedText + `
- ` + strictDocument + `
- Local times are taken as ClickHouse takes them: of an hour that comes twice the first, and in one that is skipped the time as far behind midnight as
  the text says, less the jump.

## Types
`
