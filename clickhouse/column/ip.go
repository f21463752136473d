package column

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// ipv4Codec is IPv4: dotted decimal.
func ipv4Codec(t *Type, _ *environment) (*codec, error) {
	return wordCodec(t, 4, 0, func(src []byte, s jsonscan.Span, x *scratch) (uint64, error) {
		addr, err := parseAddr(src, s, x, "an IPv4 address")
		if err != nil {
			return 0, err
		}
		if !addr.Is4() {
			return 0, notA(src, s, "an IPv4 address")
		}
		b := addr.As4()
		return uint64(binary.BigEndian.Uint32(b[:])), nil
	}), nil
}

// ipv6Codec is IPv6; an IPv4 address becomes an IPv4-mapped one (::ffff:1.2.3.4), as in ClickHouse.
func ipv6Codec(t *Type, _ *environment) (*codec, error) {
	return wideCodec(t, 16, func(dst, src []byte, s jsonscan.Span, x *scratch) error {
		addr, err := parseAddr(src, s, x, "an IPv6 address")
		if err != nil {
			return err
		}
		b := addr.As16()
		copy(dst, b[:])
		return nil
	}), nil
}

func parseAddr(src []byte, s jsonscan.Span, x *scratch, what string) (netip.Addr, error) {
	if s.Kind != jsonscan.String && s.Kind != jsonscan.Escaped {
		return netip.Addr{}, notA(src, s, what)
	}
	text, err := x.string(src, s)
	if err != nil {
		return netip.Addr{}, err
	}
	addr, err := netip.ParseAddr(unsafe.String(unsafe.SliceData(text), len(text)))
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}, notA(src, s, what)
	}
	return addr, nil
}
