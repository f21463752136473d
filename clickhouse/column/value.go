package column

// Value is one scalar as its column holds it. Which field carries it is a property of the type:
//
//   - U: Int8…Int64 (sign-extended two's complement), UInt8…UInt64, Bool, Float32/64 and BFloat16 (their bits), Date and Date32 (days),
//     DateTime (seconds), DateTime64, Time and Time64 (ticks of the column's scale), Decimal32/64 (scaled), Enum8/16, IPv4.
//   - B: String, FixedString (padded to its length), UUID and IPv6 (16 bytes in wire order), Int128…UInt256 and
//     Decimal128/256 (little endian two's complement).
//
// B is valid until the reader that filled it reads the next row.
type Value struct {
	Null bool
	U    uint64
	B    []byte
}
