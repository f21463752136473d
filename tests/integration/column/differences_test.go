package column

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// difference is a kind of values on which this project and the server part, worded as in docs/types.md.
type difference struct {
	side  side
	types string // regular expression for the type as it is in cases
	json  string // regular expression for the value
	why   string
}

// side tells what the difference is.
type side string

const (
	onlyThere side = "only there" // refused here, taken by the server
	onlyHere  side = "only here"  // taken here, refused by the server
	both      side = "both"       // taken by both, and stored differently
)

const (
	intTypes   = `^(U?Int|Interval)`
	floatTypes = `^(Float|BFloat)`
)

// Those that come in more than one way.
const (
	escaped  = "Escapes count in a string of any type; ClickHouse refuses `\"\\u0034\\u0032\"` and the like where the string is no text."
	halfPair = "Half of a surrogate pair (`\\ud83d`) becomes U+FFFD; ClickHouse refuses the first half, and makes three bytes that are no UTF-8 of the second."
)

var differences = []difference{
	{onlyThere, intTypes + `|^Enum`, `^"?-?\d+"?$`, "A number out of range is refused; ClickHouse wraps it around."},
	{onlyThere, intTypes + `|^Decimal`, `^""$`, "An empty string is refused; ClickHouse takes it as 0."},
	{onlyHere, intTypes + `|^Time|^Enum|^Date(32)?$`, `^"?\d+(\.0|[eE]\+?2|e-2|e4|0?e-1|e400)"?$`, "`1.0`, `1e2` and the like, which have no fraction, are taken; ClickHouse refuses them."},
	{onlyHere, `^UInt`, `^"?-0"?$`, "`-0` is 0 for unsigned types too; ClickHouse refuses it there."},
	{onlyThere, floatTypes, `e\d+"?$`, "A number beyond the type's range is refused; ClickHouse makes it infinite."},
	{both, floatTypes, `^"?-0(\.0)?"?$`, "In a LowCardinality, 0 and −0 of one block become whichever came first, since the server takes them as equal."},
	{onlyThere, `^Decimal`, `\.|e-`, "Digits beyond the scale must be zeros; ClickHouse cuts them off."},
	{onlyHere, `^Decimal`, `^true$`, "`true` and `false` are taken as 1 and 0; ClickHouse refuses them."},
	{onlyHere, `^Decimal`, `^0e400$`, "A zero with a large exponent (`0e400`) is taken; ClickHouse refuses it."},
	{onlyThere, intTypes, `^"true"$`, "`\"true\"` and `\"false\"` in quotes are refused; ClickHouse takes them as 1 and 0."},
	{onlyThere, floatTypes, `^"-nan"$`, "`\"-nan\"` is refused; ClickHouse takes it as nan."},
	{onlyHere, `.`, `^"?.*\\u00[23]`, escaped},
	{onlyHere, `^DateTime`, `\\u005a`, escaped},
	{onlyHere, `String`, `\\ud83d`, halfPair},
	{both, `String`, `^"\\ude00"$`, halfPair},
	{onlyHere, `^Bool|^Map\(Bool`, `^{?"`, "Strings are taken; ClickHouse wants the word or the number itself."},
	{onlyHere, `^FixedString`, `^[-\d.eE]+$|^true$`, "Numbers and booleans are taken as their text; ClickHouse refuses them."},
	{onlyThere, `^IPv`, `^"(::ffff:)?01`, "Leading zeros (`01.2.3.4`) are refused; ClickHouse passes over them."},
	{onlyThere, `^Date(32)?$`, `^"\d{4}-\d\d-\d\d"$|^"2024-13|^-?\d{5,10}$`, "A date that is out of range or not in the calendar is refused; ClickHouse takes another one."},
	{onlyThere, `^Date(32)?$`, `^"2024-1-1"$|^true$`, "Forms other than these are refused; ClickHouse also takes `2024-1-1`, and `true` as a number of days."},
	{onlyHere, `^Date(32)?$`, `00:00:00`, "A midnight behind the date is taken; ClickHouse refuses it."},
	{onlyThere, `^DateTime`, `^"(1[689]|2106|22|23|9999|000[01]).*"$|^-?\d+$`, "A time out of range is refused; ClickHouse takes the nearest, or one that is quite different."},
	{onlyThere, `^DateTime`, `24:00:00|12:60:00|\+24:00`, "`24:00:00`, a minute 60 and an offset of 24 hours are refused; ClickHouse carries them over. A leap second is carried over by both."},
	{onlyThere, `^Time`, `12:60:00`, "A minute 60 is refused; ClickHouse carries it over. A second 60 is carried over by both."},
	{onlyThere, `^Time`, `^-?\d{7,}$`, "A number out of range is refused; ClickHouse takes one of the bounds."},
	{onlyThere, `^Time64`, `\."$`, "A point without a digit behind it (`12:34:56.`) is refused; ClickHouse passes over it."},
	{onlyThere, `^DateTime`, `Feb|^"2024(02)?"$|^" | "$`, "Other forms, such as those of e-mail (`29 Feb 2024 12:34:56`), a year or month alone, and white space around a time, are refused; ClickHouse guesses many."},
	{onlyHere, `^DateTime`, `,5Z"$`, "A comma before the fraction of a second is taken, as ISO 8601 has it; ClickHouse refuses it."},
	{onlyHere, `^DateTime`, `^1(\.7e9|e18|709210096\.0)$`, "Numbers with an exponent, or with zeros behind a point (`1.7e9`, `1709210096.0`), are taken; ClickHouse refuses them."},
	{onlyThere, `^Time`, `^"12:34"$`, "`12:34` is refused, since it may mean hours and minutes; ClickHouse takes it as minutes and seconds."},
	{onlyHere, `^QBit`, `"nan"|null`, "Elements may also be strings of a number, and null, which is 0; ClickHouse wants numbers."},
	{onlyThere, `^Map`, `^{"(|1|2|1\.5|true|1\.2\.3\.4)":1}$`, "A key is read as a string of its type is; ClickHouse takes more, such as an empty key for 0, and `1.2.3.4` for the Decimal 1.23."},
	{onlyHere, `^Tuple\(a`, `^\[`, "A Tuple with names also takes arrays; ClickHouse wants objects."},
	{onlyHere, `^Tuple\(a`, `"a":1,"a":2`, "Of a member that stands twice the last one counts (or the row is refused, as configured); ClickHouse refuses it."},
}

var differencesSeen = make([]bool, len(differences))

// known reports whether a difference is one of the list.
func known(s side, typ, json string) bool {
	for i, d := range differences {
		if d.side == s && matches(d.types, typ) && matches(d.json, json) {
			differencesSeen[i] = true
			return true
		}
	}
	return false
}

var patterns = map[string]*regexp.Regexp{}

func matches(pattern, s string) bool {
	if patterns[pattern] == nil {
		patterns[pattern] = regexp.MustCompile(pattern)
	}
	return patterns[pattern].MatchString(s)
}

// checkDifferences demands that each difference of the list was met, and that the documentation has it.
func checkDifferences(t *testing.T) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "types.md"))
	require.NoError(t, err)
	all := flag.Lookup("test.run").Value.String() == "" // a run of some of the types meets some of the differences
	for i, d := range differences {
		require.True(t, differencesSeen[i] || !all, "no longer a difference: %s", d.why)
		require.Contains(t, string(page), d.why)
	}
}
