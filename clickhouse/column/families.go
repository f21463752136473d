package column

// family is one type name: how it is compiled, or why it is refused. What Accepts says goes into the documentation.
type family struct {
	compile func(*Type, *environment) (*codec, error)
	refusal string
}

// families is filled at start rather than in its declaration, since compiling a type looks its elements up here.
var families map[string]family

func init() {
	families = map[string]family{
		"Int8": {compile: integerFamily(1, true)}, "Int16": {compile: integerFamily(2, true)},
		"Int32": {compile: integerFamily(4, true)}, "Int64": {compile: integerFamily(8, true)},
		"UInt8": {compile: integerFamily(1, false)}, "UInt16": {compile: integerFamily(2, false)},
		"UInt32": {compile: integerFamily(4, false)}, "UInt64": {compile: integerFamily(8, false)},
		"Int128": {compile: wideIntegerFamily(16, true)}, "Int256": {compile: wideIntegerFamily(32, true)},
		"UInt128": {compile: wideIntegerFamily(16, false)}, "UInt256": {compile: wideIntegerFamily(32, false)},
		"Float32": {compile: float32Codec}, "Float64": {compile: float64Codec}, "BFloat16": {compile: bfloat16Codec},
		"Decimal": {compile: decimalCodec},
		"Bool":    {compile: boolCodec},
		"String":  {compile: stringCodec}, "FixedString": {compile: fixedStringCodec},
		"UUID": {compile: uuidCodec}, "IPv4": {compile: ipv4Codec}, "IPv6": {compile: ipv6Codec},
		"Enum8": {compile: enumCodec}, "Enum16": {compile: enumCodec},
		"LowCardinality": {compile: lowCardinalityCodec}, "Nullable": {compile: nullableCodec},
		"Array": {compile: arrayCodec}, "Map": {compile: mapCodec}, "Tuple": {compile: tupleCodec},
		"JSON": {compile: jsonCodec},
	}
}
