package sharding

import (
	"fmt"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// function is one entry of the table that the parser, the binder and the documentation share.
type function struct {
	name            string
	aliases         []alias
	caseInsensitive bool // ClickHouse matches the name in any case
	minArgs         int
	maxArgs         int // -1: any number
	summary         string
	bind            func(b *binder, f *function, args []typed) (binding, error)
}

type alias struct {
	name            string
	caseInsensitive bool
}

const anyNumber = -1

// functions lists what a sharding expression may call. Names, aliases and case-sensitivity are those of
// system.functions in ClickHouse 26.7.
var functions = []*function{
	{name: "cityHash64", minArgs: 1, maxArgs: anyNumber, summary: "CityHash 1.0.2; integers through intHash64", bind: bindHash(cityHash64)},
	{name: "sipHash64", minArgs: 1, maxArgs: anyNumber, summary: "SipHash-2-4 with a zero key", bind: bindHash(sipHash64)},
	{name: "sipHash128", minArgs: 1, maxArgs: anyNumber, summary: "ClickHouse's 128-bit SipHash; only inside another hash", bind: bindHash(sipHash128)},
	{name: "farmHash64", minArgs: 1, maxArgs: anyNumber, summary: "farmhash::Hash64; integers through intHash64", bind: bindHash(farmHash64)},
	{name: "xxHash32", minArgs: 1, maxArgs: anyNumber, summary: "XXH32, seed 0", bind: bindHash(xxHash32)},
	{name: "xxHash64", minArgs: 1, maxArgs: anyNumber, summary: "XXH64, seed 0", bind: bindHash(xxHash64)},
	{name: "murmurHash2_32", minArgs: 1, maxArgs: anyNumber, summary: "MurmurHash2, seed 0", bind: bindHash(murmurHash2x32)},
	{name: "murmurHash2_64", minArgs: 1, maxArgs: anyNumber, summary: "MurmurHash64A, seed 0", bind: bindHash(murmurHash2x64)},
	{name: "murmurHash3_32", minArgs: 1, maxArgs: anyNumber, summary: "MurmurHash3_x86_32, seed 0", bind: bindHash(murmurHash3x32)},
	{name: "murmurHash3_64", minArgs: 1, maxArgs: anyNumber, summary: "both halves of MurmurHash3_x64_128 xored", bind: bindHash(murmurHash3x64)},
	{name: "murmurHash3_128", minArgs: 1, maxArgs: anyNumber, summary: "MurmurHash3_x64_128; only inside another hash", bind: bindHash(murmurHash3x128)},
	{name: "halfMD5", minArgs: 1, maxArgs: anyNumber, summary: "the first 8 bytes of MD5, big-endian", bind: bindHash(halfMD5)},
	{name: "javaHash", minArgs: 1, maxArgs: 1, summary: "Java's hashCode", bind: bindJavaHash},
	{name: "CRC32", caseInsensitive: true, minArgs: 1, maxArgs: 1, summary: "zlib's CRC-32", bind: bindCRC32},
	{name: "intHash32", minArgs: 1, maxArgs: 1, summary: "ClickHouse's integer hash", bind: bindIntHash(4, intHash32)},
	{name: "intHash64", minArgs: 1, maxArgs: 1, summary: "ClickHouse's integer hash", bind: bindIntHash(8, intHash64)},

	{name: "toUInt8", minArgs: 1, maxArgs: 1, summary: "wraps around", bind: bindToInteger(1, false)},
	{name: "toUInt16", minArgs: 1, maxArgs: 1, summary: "wraps around", bind: bindToInteger(2, false)},
	{name: "toUInt32", minArgs: 1, maxArgs: 1, summary: "wraps around", bind: bindToInteger(4, false)},
	{name: "toUInt64", minArgs: 1, maxArgs: 1, summary: "wraps around", bind: bindToInteger(8, false)},
	{name: "toInt8", minArgs: 1, maxArgs: 1, summary: "wraps around", bind: bindToInteger(1, true)},
	{name: "toInt16", minArgs: 1, maxArgs: 1, summary: "wraps around", bind: bindToInteger(2, true)},
	{name: "toInt32", minArgs: 1, maxArgs: 1, summary: "wraps around", bind: bindToInteger(4, true)},
	{name: "toInt64", minArgs: 1, maxArgs: 1, summary: "wraps around", bind: bindToInteger(8, true)},
	{name: "toString", minArgs: 1, maxArgs: 1, summary: "the value as ClickHouse prints it", bind: bindToString},
	{name: "lower", aliases: []alias{{"lcase", true}}, caseInsensitive: true, minArgs: 1, maxArgs: 1, summary: "ASCII letters only", bind: bindLower},
	{name: "toYYYYMM", minArgs: 1, maxArgs: 2, summary: "year × 100 + month, in the column's time zone or the one given", bind: bindToYYYYMM},
	{name: "toDate", minArgs: 1, maxArgs: 2, summary: "the day, in the column's time zone or the one given", bind: bindToDate},

	{name: "plus", minArgs: 2, maxArgs: 2, summary: "`a + b`", bind: bindArithmetic(add)},
	{name: "minus", minArgs: 2, maxArgs: 2, summary: "`a - b`", bind: bindArithmetic(subtract)},
	{name: "multiply", minArgs: 2, maxArgs: 2, summary: "`a * b`", bind: bindArithmetic(multiply)},
	{name: "modulo", aliases: []alias{{"mod", true}}, minArgs: 2, maxArgs: 2, summary: "`a % b`, truncated", bind: bindModulo},
	{name: "negate", minArgs: 1, maxArgs: 1, summary: "`-a`", bind: bindNegate},
	{name: "abs", caseInsensitive: true, minArgs: 1, maxArgs: 1, summary: "absolute value, unsigned", bind: bindAbs},
	{name: "bitAnd", minArgs: 2, maxArgs: 2, summary: "bitwise and", bind: bindArithmetic(bitAnd)},

	{name: "rand", aliases: []alias{{"rand32", false}}, caseInsensitive: true, minArgs: 0, maxArgs: 1, summary: "drawn from a hash of topic, partition and offset, so that a repeated row goes where it went before", bind: bindRand},
	{name: "tuple", minArgs: 1, maxArgs: anyNumber, summary: "`(a, b)`; only as an argument of a hash, which takes its elements one by one"},
}

var (
	functionsByName  = map[string]*function{} // exact names and aliases
	functionsAnyCase = map[string]*function{} // lower-case names of the case-insensitive ones
)

func init() {
	for _, f := range functions {
		register(f, f.name, f.caseInsensitive)
		for _, a := range f.aliases {
			register(f, a.name, a.caseInsensitive)
		}
	}
}

func register(f *function, name string, caseInsensitive bool) {
	functionsByName[name] = f
	if caseInsensitive {
		functionsAnyCase[strings.ToLower(name)] = f
	}
}

// lookupFunction finds a function as ClickHouse does, nil where there is none.
func lookupFunction(name string) *function {
	if f := functionsByName[name]; f != nil {
		return f
	}
	return functionsAnyCase[strings.ToLower(name)]
}

// suggestFunction helps with a name in the wrong case, which ClickHouse refuses too.
func suggestFunction(name string) string {
	for _, f := range functions {
		if strings.EqualFold(f.name, name) {
			return fmt.Sprintf("the name is case-sensitive, write %s", f.name)
		}
	}
	return "it is not one of the functions that are evaluated here"
}

func (f *function) arity() string {
	switch f.maxArgs {
	case anyNumber:
		return fmt.Sprintf("it takes %d or more", f.minArgs)
	case f.minArgs:
		return fmt.Sprintf("it takes %d", f.minArgs)
	default:
		return fmt.Sprintf("it takes %d to %d", f.minArgs, f.maxArgs)
	}
}

// refuseArgument says that a function does not take a type, at ClickHouse or here.
func (b *binder) refuseArgument(f *function, t valueType, reason string) error {
	return b.refuse(fmt.Sprintf("function %s of type %s", f.name, t), reason, adviceStrategy)
}

// bindRand ignores its argument, as ClickHouse does: it only tells two draws of one row apart.
func bindRand(b *binder, _ *function, args []typed) (binding, error) {
	var salt uint64
	for _, a := range args {
		salt = mix64(salt + xxhash.Sum64String(a.text) + 1)
	}
	apply := func(f *frame, _ []datum) (datum, error) {
		return datum{u: uint64(uint32(mix64(f.rec.draw() ^ salt)))}, nil
	}
	return binding{result: integerType(4, false), apply: apply, keepNulls: true, volatile: true}, nil
}
