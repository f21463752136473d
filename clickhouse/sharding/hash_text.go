package sharding

import "hash/crc32"

// bindJavaHash: integers as Integer and Long hash in Java, anything else as the bytes of a string. ClickHouse refuses
// unsigned numbers, dates that are unsigned, and several arguments when the row comes by; here they are refused at once.
func bindJavaHash(b *binder, f *function, args []typed) (binding, error) {
	t := args[0].typ
	result := integerType(4, true)
	switch {
	case t.kind == kindInt && t.signed && t.size == 8:
		apply := func(_ *frame, args []datum) (datum, error) {
			u := args[0].u
			return datum{u: result.truncate(u ^ u>>32)}, nil
		}
		return binding{result: result, apply: apply}, nil
	case t.kind == kindInt && t.signed, t.kind == kindEnum, t.kind == kindDate32:
		apply := func(_ *frame, args []datum) (datum, error) { return datum{u: args[0].u}, nil }
		return binding{result: result, apply: apply}, nil
	case t.isText(), t.kind == kindUUID, t.kind == kindIPv6, t.kind == kindDateTime64:
		apply := func(f *frame, args []datum) (datum, error) {
			return datum{u: result.truncate(uint64(javaHashBytes(f.bytesOf(t, args[0]))))}, nil
		}
		return binding{result: result, apply: apply}, nil
	}
	return binding{}, b.refuseArgument(f, t, "it takes signed integers, enums and strings")
}

func bindCRC32(b *binder, f *function, args []typed) (binding, error) {
	t := args[0].typ
	if !t.isText() {
		return binding{}, b.refuseArgument(f, t, "it takes String and FixedString")
	}
	apply := func(f *frame, args []datum) (datum, error) {
		return datum{u: uint64(crc32.ChecksumIEEE(args[0].b))}, nil
	}
	return binding{result: integerType(4, false), apply: apply}, nil
}

func bindLower(b *binder, f *function, args []typed) (binding, error) {
	t := args[0].typ
	if !t.isText() {
		return binding{}, b.refuseArgument(f, t, "it takes String and FixedString")
	}
	apply := func(f *frame, args []datum) (datum, error) {
		start := len(f.arena)
		f.arena = append(f.arena, args[0].b...)
		for i, c := range f.arena[start:] {
			if c >= 'A' && c <= 'Z' {
				f.arena[start+i] = c | 0x20
			}
		}
		return f.keep(start), nil
	}
	result := t
	result.nullable = false
	return binding{result: result, apply: apply}, nil
}
