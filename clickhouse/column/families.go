package column

// family is one type name: how it is compiled, or why it is refused, and what documentation says of it.
type family struct {
	compile func(*Type, *environment) (*codec, error)
	refusal string   // why there is no compile
	accepts string   // JSON values that are taken
	differs []string // from what ClickHouse's JSONEachRow makes of the same text
}

// families is filled at start rather than in its declaration, since compiling a type looks its elements up here.
var families map[string]*family

func init() {
	families = make(map[string]*family)
	for _, g := range documented() {
		for _, name := range g.names {
			f := g.family
			if g.each != nil {
				f.compile = g.each(name)
			}
			families[name] = &f
		}
	}
}

// group is families that take the same values.
type group struct {
	names  []string
	family family
	each   func(name string) func(*Type, *environment) (*codec, error) // where each name compiles in its own way
}

// integers maps the names of the integer types to their compilers.
var integers = map[string]func(*Type, *environment) (*codec, error){
	"Int8": integerFamily(1, true), "Int16": integerFamily(2, true), "Int32": integerFamily(4, true), "Int64": integerFamily(8, true),
	"UInt8": integerFamily(1, false), "UInt16": integerFamily(2, false), "UInt32": integerFamily(4, false), "UInt64": integerFamily(8, false),
	"Int128": wideIntegerFamily(16, true), "Int256": wideIntegerFamily(32, true),
	"UInt128": wideIntegerFamily(16, false), "UInt256": wideIntegerFamily(32, false),
}

// intervals are stored as a number of their unit.
var intervals = []string{
	"IntervalNanosecond", "IntervalMicrosecond", "IntervalMillisecond", "IntervalSecond", "IntervalMinute", "IntervalHour",
	"IntervalDay", "IntervalWeek", "IntervalMonth", "IntervalQuarter", "IntervalYear",
}

// documented is the table that types are compiled by and that docs/types.md is made of.
func documented() []group {
	one := func(name string, compile func(*Type, *environment) (*codec, error), accepts string, differs ...string) group {
		return group{names: []string{name}, family: family{compile: compile, accepts: accepts, differs: differs}}
	}
	refused := func(reason string, names ...string) group {
		return group{names: names, family: family{refusal: reason}}
	}
	wholeNumbers := "numbers without a fraction (`1`, `1.0` and `1e3` have none), strings of one, `true` and `false` as 1 and 0"
	floats := "numbers, strings of one, `\"nan\"`, `\"inf\"` and `\"-inf\"`, `true` and `false` as 1 and 0; rounded to the nearest value that the type has"
	dates := "strings `YYYY-MM-DD`, `YYYY/MM/DD` and `YYYYMMDD`, also with a midnight behind; numbers of days since 1970-01-01"
	instants := "strings `YYYY-MM-DD hh:mm:ss[.f…]` with a space or `T`, also without seconds or without a time (midnight), `YYYYMMDDThhmmss`, " +
		"each with a zone (`Z`, `UTC`, `GMT`, `±hh`, `±hhmm`, `±hh:mm`) or taken in that of the column, or else of the server; strings of a Unix time, whose digits tell the unit: " +
		"9 or 10 are seconds, 13 milli-, 16 micro-, 19 nanoseconds"
	enums := "strings of a name, numbers of one, strings of such a number"
	return []group{
		{
			names: []string{"Int8", "Int16", "Int32", "Int64", "Int128", "Int256", "UInt8", "UInt16", "UInt32", "UInt64", "UInt128", "UInt256"},
			each:  func(name string) func(*Type, *environment) (*codec, error) { return integers[name] },
			family: family{accepts: wholeNumbers, differs: []string{
				wrapsAround, emptyNumber, wholeNumber, quotedTrue, "`-0` is 0 for unsigned types too; ClickHouse refuses it there.",
			}},
		},
		{names: intervals, family: family{compile: integerFamily(8, true), accepts: "as Int64, in the unit of the type", differs: []string{wrapsAround, emptyNumber, wholeNumber, quotedTrue}}},
		one("Float32", float32Codec, floats, infinite, negativeNaN, negativeZero),
		one("Float64", float64Codec, floats, infinite, negativeNaN, negativeZero),
		one("BFloat16", bfloat16Codec, floats+", by way of Float32 whose lower half is cut off", infinite, negativeNaN, negativeZero),
		one("Decimal", decimalCodec, "numbers and strings of one, exponents included", losesDigits, emptyNumber, booleanNumber, largeZero),
		one("Bool", boolCodec, "`true`, `false`, `1`, `0`, and strings of these", quotedBool),
		one("String", stringCodec, "strings, any bytes included; of a number, boolean, object or array its JSON text as it stands", halfPair),
		one("FixedString", fixedStringCodec, "as String, up to N bytes; shorter ones are padded with zero bytes", fixedText, halfPair),
		one("UUID", uuidCodec, "strings of 32 hexadecimal digits, with four hyphens or none"),
		one("IPv4", ipv4Codec, "strings `1.2.3.4`", leadingZeros),
		one("IPv6", ipv6Codec, "strings of an IPv6 address; of an IPv4 address, which is mapped (`::ffff:1.2.3.4`)", leadingZeros),
		one("Date", dateCodec, dates, nearestDate, looseDate, midnightDate, wholeNumber),
		one("Date32", date32Codec, dates, nearestDate, looseDate, midnightDate, wholeNumber),
		one("DateTime", dateTimeCodec, instants+"; numbers of seconds", nearestTime, carriedTime, otherForms, commaTime, exponentTime),
		one("DateTime64", dateTime64Codec, instants+"; numbers of ticks of the scale", nearestTime, carriedTime, otherForms, commaTime, exponentTime, cutFraction),
		one("Time", timeCodec, "strings `[-]hh:mm:ss` up to 999:59:59, numbers of seconds", nearestClock, carriedMinute, shortTime, wholeNumber),
		one("Time64", time64Codec, "as Time, with a fraction; numbers of ticks of the scale", nearestClock, carriedMinute, shortTime, barePoint, wholeNumber, cutFraction),
		one("Enum8", enumCodec, enums, nullEnum, wrapsAround, wholeNumber),
		one("Enum16", enumCodec, enums, nullEnum, wrapsAround, wholeNumber),
		one("Nullable", nullableCodec, "`null`, or what the inner type takes"),
		one("LowCardinality", lowCardinalityCodec, "what the inner type takes"),
		one("Array", arrayCodec, "arrays of what the inner type takes"),
		one("Map", mapCodec, "objects; names are read as keys, and one that stands twice is there twice", looseKey),
		one("Tuple", tupleCodec, "arrays of as many elements; where the members have names, objects: missing members take their default, others are passed over", namedArray, twiceInTuple),
		one("Nested", nestedCodec, "arrays of objects; flattened columns `n.a` take arrays, or member `a` of the objects in array `n`"),
		one("JSON", jsonCodec, "objects; the server takes them apart"),
		{names: []string{"Point", "Ring", "LineString", "MultiLineString", "Polygon", "MultiPolygon"}, family: family{compile: geometryCodec, accepts: "arrays of points `[x, y]`, nested as the type says"}},
		one("QBit", qbitCodec, "arrays of as many numbers as the type has dimensions", looseVector),
		one("SimpleAggregateFunction", aggregateCodec, "what the type of its values takes"),
		refused("it holds states of an aggregate function, which have no JSON form; insert into a table that feeds it", "AggregateFunction"),
		refused("ch-go cannot carry it", "Variant", "Dynamic", "Geometry"),
		refused("JSON has replaced it", "Object"),
		refused("it has no values", "Nothing"),
	}
}

// Differences from what ClickHouse's JSONEachRow makes of the same JSON, as the documentation words them. The integration tests
// find every difference there is, and hold it against this list.
const (
	wrapsAround    = "A number out of range is refused; ClickHouse wraps it around."
	emptyNumber    = "An empty string is refused; ClickHouse takes it as 0."
	wholeNumber    = "`1.0`, `1e2` and the like, which have no fraction, are taken; ClickHouse refuses them."
	quotedTrue     = "`\"true\"` and `\"false\"` in quotes are refused; ClickHouse takes them as 1 and 0."
	infinite       = "A number beyond the type's range is refused; ClickHouse makes it infinite."
	negativeNaN    = "`\"-nan\"` is refused; ClickHouse takes it as nan."
	negativeZero   = "In a LowCardinality, 0 and −0 of one block become whichever came first, since the server takes them as equal."
	losesDigits    = "Digits beyond the scale must be zeros; ClickHouse cuts them off."
	booleanNumber  = "`true` and `false` are taken as 1 and 0; ClickHouse refuses them."
	largeZero      = "A zero with a large exponent (`0e400`) is taken; ClickHouse refuses it."
	quotedBool     = "Strings are taken; ClickHouse wants the word or the number itself."
	fixedText      = "Numbers and booleans are taken as their text; ClickHouse refuses them."
	halfPair       = "Half of a surrogate pair (`\\ud83d`) becomes U+FFFD; ClickHouse refuses the first half, and makes three bytes that are no UTF-8 of the second."
	leadingZeros   = "Leading zeros (`01.2.3.4`) are refused; ClickHouse passes over them."
	nearestDate    = "A date that is out of range or not in the calendar is refused; ClickHouse takes another one."
	looseDate      = "Forms other than these are refused; ClickHouse also takes `2024-1-1`, and `true` as a number of days."
	midnightDate   = "A midnight behind the date is taken; ClickHouse refuses it."
	nearestTime    = "A time out of range is refused; ClickHouse takes the nearest, or one that is quite different."
	carriedTime    = "`24:00:00`, a minute 60 and an offset of 24 hours are refused; ClickHouse carries them over. A leap second is carried over by both."
	otherForms     = "Other forms, such as those of e-mail (`29 Feb 2024 12:34:56`), a year or month alone, and white space around a time, are refused; ClickHouse guesses many."
	commaTime      = "A comma before the fraction of a second is taken, as ISO 8601 has it; ClickHouse refuses it."
	exponentTime   = "Numbers with an exponent, or with zeros behind a point (`1.7e9`, `1709210096.0`), are taken; ClickHouse refuses them."
	nearestClock   = "A number out of range is refused; ClickHouse takes one of the bounds."
	carriedMinute  = "A minute 60 is refused; ClickHouse carries it over. A second 60 is carried over by both."
	barePoint      = "A point without a digit behind it (`12:34:56.`) is refused; ClickHouse passes over it."
	cutFraction    = "Digits of a text beyond the scale are cut off, by both: the precision of a point in time is the column's choice."
	shortTime      = "`12:34` is refused, since it may mean hours and minutes; ClickHouse takes it as minutes and seconds."
	nullEnum       = "A null, and a member that a tuple lacks, is the type's default, the lowest number; ClickHouse 26.7 stores 0, which may be no value of the type."
	looseKey       = "A key is read as a string of its type is; ClickHouse takes more, such as an empty key for 0, and `1.2.3.4` for the Decimal 1.23."
	namedArray     = "A Tuple with names also takes arrays; ClickHouse wants objects."
	looseVector    = "Elements may also be strings of a number, and null, which is 0; ClickHouse wants numbers."
	strictDocument = "A document is JSON as RFC 8259 has it, in no more than 1000 levels. ClickHouse also takes a byte order mark, control characters and unknown escapes in strings, and numbers such as `.5`, `+1`, `01` and `-inf`."
	escapedText    = "Escapes count in a string of any type; ClickHouse refuses `\"\\u0034\\u0032\"` and the like where the string is no text."
	twiceInTuple   = "Of a member that stands twice the last one counts (or the row is refused, as configured); ClickHouse refuses it."
)
