package sharding

import (
	"encoding/binary"
	"fmt"
)

// bindToInteger is toUInt8 … toInt64. Integers, days and seconds wrap around; a DateTime64 must fit; strings are read as
// decimal digits and wrap around too. Source: FunctionsConversion and readIntTextImpl, ClickHouse 26.7.
func bindToInteger(size int, signed bool) func(*binder, *function, []typed) (binding, error) {
	result := integerType(size, signed)
	return func(b *binder, f *function, args []typed) (binding, error) {
		t := args[0].typ
		if t.isText() && t.nullable {
			return binding{}, b.refuseArgument(f, t, "ClickHouse turns text that does not fit into NULL there")
		}
		apply := toIntegerFrom(f.name, t, result)
		if apply == nil {
			return binding{}, b.refuseArgument(f, t, "it takes integers, strings, enums, dates and times, and IPv4 and DateTime64 where the result has 32 bits or more")
		}
		return binding{result: result, apply: apply}, nil
	}
}

func toIntegerFrom(name string, from, result valueType) applyFunc {
	switch from.kind {
	case kindInt, kindEnum, kindDate, kindDate32, kindDateTime:
		return func(_ *frame, args []datum) (datum, error) { return datum{u: result.truncate(args[0].u)}, nil }
	case kindWide:
		return func(_ *frame, args []datum) (datum, error) {
			return datum{u: result.truncate(binary.LittleEndian.Uint64(args[0].b))}, nil
		}
	case kindIPv4:
		if result.signed || result.size < 4 {
			return nil
		}
		return func(_ *frame, args []datum) (datum, error) { return datum{u: args[0].u}, nil }
	case kindDateTime64:
		if result.size < 4 {
			return nil // no time after 1970-01-01 18:12:15 fits
		}
		return wholeSeconds(name, from, result)
	case kindString, kindFixedString:
		return func(_ *frame, args []datum) (datum, error) {
			text := args[0].b
			if from.kind == kindFixedString {
				text = trimZeros(text)
			}
			u, ok := parseWrapping(text, result.signed, from.kind == kindFixedString)
			if !ok {
				return datum{}, &EvalError{Function: name, Reason: fmt.Sprintf("%.64q is not an integer", text)}
			}
			return datum{u: result.truncate(u)}, nil
		}
	}
	return nil
}

// wholeSeconds drops the fraction towards zero and checks the range.
func wholeSeconds(name string, from, result valueType) applyFunc {
	unit := powerOf10(from.scale)
	return func(_ *frame, args []datum) (datum, error) {
		seconds := int64(args[0].u) / unit
		if out := result.truncate(uint64(seconds)); out != uint64(seconds) || !result.signed && seconds < 0 {
			return datum{}, &EvalError{Function: name, Reason: fmt.Sprintf("%d seconds do not fit %s", seconds, result.name)}
		}
		return datum{u: uint64(seconds)}, nil
	}
}

func powerOf10(n int) int64 {
	unit := int64(1)
	for range n {
		unit *= 10
	}
	return unit
}

// trimZeros takes off the padding of a FixedString.
func trimZeros(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	return b
}

// parseWrapping reads an optional sign and decimal digits modulo 2^64. An empty FixedString is 0.
func parseWrapping(text []byte, signed, emptyIsZero bool) (u uint64, ok bool) {
	if len(text) == 0 {
		return 0, emptyIsZero
	}
	negative := text[0] == '-'
	if negative && !signed {
		return 0, false
	}
	if negative || text[0] == '+' {
		text = text[1:]
	}
	for _, c := range text {
		if !isDigit(c) {
			return 0, false
		}
		u = u*10 + uint64(c-'0')
	}
	if negative {
		u = -u
	}
	return u, len(text) > 0
}
