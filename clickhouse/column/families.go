package column

// family is one type name: how it is compiled, or why it is refused, and what documentation says of it.
type family struct {
	compile func(*Type, *environment) (*codec, error)
	refusal string // why there is no compile
	accepts string // JSON values that are taken
	differs string // from what ClickHouse's JSONEachRow makes of the same text, and why
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

const (
	outOfRange = "A number out of range is refused; ClickHouse wraps it around."
	roundsCut  = "Digits of a second beyond the scale are cut off, as ClickHouse does."
)

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
	one := func(name string, compile func(*Type, *environment) (*codec, error), accepts, differs string) group {
		return group{names: []string{name}, family: family{compile: compile, accepts: accepts, differs: differs}}
	}
	refused := func(reason string, names ...string) group {
		return group{names: names, family: family{refusal: reason}}
	}
	return []group{
		{
			names: []string{"Int8", "Int16", "Int32", "Int64", "Int128", "Int256", "UInt8", "UInt16", "UInt32", "UInt64", "UInt128", "UInt256"},
			each:  func(name string) func(*Type, *environment) (*codec, error) { return integers[name] },
			family: family{
				accepts: "numbers without a fraction (`1`, `1.0` and `1e3` have none), strings of one, `true` and `false` as 1 and 0",
				differs: outOfRange + " A fraction is refused, by both.",
			},
		},
		one("Float32", float32Codec, floatAccepts, floatDiffers),
		one("Float64", float64Codec, floatAccepts, floatDiffers),
		one("BFloat16", bfloat16Codec, floatAccepts, floatDiffers),
		one("Decimal", decimalCodec, "numbers and strings of one, exponents included", "Digits beyond the scale must be zeros; ClickHouse cuts them off."),
		one("Bool", boolCodec, "`true`, `false`, `1`, `0`, and strings of these", ""),
		one("String", stringCodec, "strings, any bytes included; of a number, boolean, object or array its JSON text as it stands", ""),
		one("FixedString", fixedStringCodec, "as String, up to N bytes; shorter ones are padded with zero bytes", ""),
		one("UUID", uuidCodec, "strings of 32 hexadecimal digits, with or without hyphens", ""),
		one("IPv4", ipv4Codec, "strings `1.2.3.4`", ""),
		one("IPv6", ipv6Codec, "strings of an IPv6 address; of an IPv4 address, which is mapped (`::ffff:1.2.3.4`)", ""),
		one("Date", dateCodec, dateAccepts, dateDiffers),
		one("Date32", date32Codec, dateAccepts, dateDiffers),
		one("DateTime", dateTimeCodec, instantAccepts+"; numbers and strings of digits are Unix seconds", instantDiffers),
		one("DateTime64", dateTime64Codec, instantAccepts+"; numbers are ticks of the scale, strings of digits Unix seconds with or without a fraction", instantDiffers),
		one("Time", timeCodec, "strings `[-]hh:mm:ss` up to 999:59:59, numbers of seconds", ""),
		one("Time64", time64Codec, "as Time with a fraction; numbers are ticks of the scale", ""),
		one("Enum8", enumCodec, enumAccepts, ""),
		one("Enum16", enumCodec, enumAccepts, ""),
		{names: intervals, family: family{compile: integerFamily(8, true), accepts: "as Int64, in the unit of the type"}},
		one("Nullable", nullableCodec, "`null`, or what the inner type takes", ""),
		one("LowCardinality", lowCardinalityCodec, "what the inner type takes", ""),
		one("Array", arrayCodec, "arrays of what the inner type takes", ""),
		one("Map", mapCodec, "objects; names are read as keys, and one that stands twice is there twice", ""),
		one("Tuple", tupleCodec, "arrays of as many elements; where the members have names, objects: missing members take their default, others are passed over", ""),
		one("Nested", nestedCodec, "arrays of objects; flattened columns `n.a` take arrays, or member `a` of the objects in array `n`", ""),
		one("JSON", jsonCodec, "objects; the server takes them apart", ""),
		{names: []string{"Point", "Ring", "LineString", "MultiLineString", "Polygon", "MultiPolygon"}, family: family{compile: geometryCodec, accepts: "arrays of points `[x, y]`, nested as the type says"}},
		one("SimpleAggregateFunction", aggregateCodec, "what the type of its values takes", ""),
		refused("it holds states of an aggregate function, which have no JSON form; insert into a table that feeds it", "AggregateFunction"),
		refused("ch-go cannot carry it", "Variant", "Dynamic", "Geometry", "QBit"),
		refused("it is the type of the past that JSON has replaced", "Object"),
		refused("it has no values", "Nothing"),
	}
}

const (
	floatAccepts   = "numbers, strings of one, `nan`, `inf` and `-inf` as strings, `true` and `false` as 1 and 0"
	floatDiffers   = "A number beyond the type's range is refused; ClickHouse makes it infinite."
	dateAccepts    = "strings `YYYY-MM-DD`, also with a midnight behind it; numbers of days since 1970-01-01"
	dateDiffers    = "A date out of range is refused; ClickHouse takes the nearest, or 1970-01-01."
	instantAccepts = "strings `YYYY-MM-DD hh:mm:ss[.f…]` with a space or `T`, without seconds, without a time, and with a zone (`Z`, `UTC`, `±hh:mm`) or without"
	instantDiffers = roundsCut + " One out of range is refused; ClickHouse takes the nearest, or wraps around."
	enumAccepts    = "strings of a name, numbers of a name, strings of such a number"
)
