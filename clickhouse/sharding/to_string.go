package sharding

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"
)

// appendFunc appends a value as ClickHouse's toString prints it.
type appendFunc func(dst []byte, d datum) ([]byte, error)

func bindToString(b *binder, f *function, args []typed) (binding, error) {
	print, err := b.printer(f, args[0].typ)
	if err != nil {
		return binding{}, err
	}
	apply := func(f *frame, args []datum) (datum, error) {
		start := len(f.arena)
		text, err := print(f.arena, args[0])
		f.arena = text
		return f.keep(start), err
	}
	return binding{result: stringType, apply: apply}, nil
}

func (b *binder) printer(f *function, t valueType) (appendFunc, error) {
	switch t.kind {
	case kindInt:
		return integerPrinter(t), nil
	case kindString:
		return func(dst []byte, d datum) ([]byte, error) { return append(dst, d.b...), nil }, nil
	case kindFixedString:
		return func(dst []byte, d datum) ([]byte, error) { return append(dst, trimZeros(d.b)...), nil }, nil
	case kindDate, kindDate32:
		return func(dst []byte, d datum) ([]byte, error) { return appendDay(dst, int64(d.u)), nil }, nil
	case kindDateTime, kindDateTime64:
		zone, err := b.zoneOf(f, t)
		if err != nil {
			return nil, err
		}
		return timePrinter(f.name, momentsOf(t, zone)), nil
	case kindEnum:
		return enumPrinter(t), nil
	case kindUUID:
		return func(dst []byte, d datum) ([]byte, error) { return appendUUID(dst, d.b), nil }, nil
	case kindIPv4:
		return func(dst []byte, d datum) ([]byte, error) {
			var a [4]byte
			binary.BigEndian.PutUint32(a[:], uint32(d.u))
			return netip.AddrFrom4(a).AppendTo(dst), nil
		}, nil
	}
	return nil, b.refuseArgument(f, t, "it takes integers of up to 64 bits, strings, enums, dates, times, UUID and IPv4")
}

func integerPrinter(t valueType) appendFunc {
	switch {
	case t.boolean:
		return func(dst []byte, d datum) ([]byte, error) { return strconv.AppendBool(dst, d.u != 0), nil }
	case t.signed:
		return func(dst []byte, d datum) ([]byte, error) { return strconv.AppendInt(dst, int64(d.u), 10), nil }
	default:
		return func(dst []byte, d datum) ([]byte, error) { return strconv.AppendUint(dst, d.u, 10), nil }
	}
}

func enumPrinter(t valueType) appendFunc {
	names := make(map[int16]string, len(t.enum))
	for _, e := range t.enum {
		names[e.Value] = e.Name
	}
	return func(dst []byte, d datum) ([]byte, error) { return append(dst, names[int16(d.u)]...), nil }
}

// appendUUID prints two little-endian 64-bit halves, the higher first.
func appendUUID(dst, b []byte) []byte {
	var be [16]byte
	binary.BigEndian.PutUint64(be[:8], binary.LittleEndian.Uint64(b[:8]))
	binary.BigEndian.PutUint64(be[8:], binary.LittleEndian.Uint64(b[8:16]))
	dst = append(hex.AppendEncode(dst, be[:4]), '-')
	dst = append(hex.AppendEncode(dst, be[4:6]), '-')
	dst = append(hex.AppendEncode(dst, be[6:8]), '-')
	dst = append(hex.AppendEncode(dst, be[8:10]), '-')
	return hex.AppendEncode(dst, be[10:])
}
