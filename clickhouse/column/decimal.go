package column

import (
	"fmt"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// decimalCodec is Decimal(P, S): a JSON number or a string of one. Digits after the point that the scale has no room for
// must be zero, and no more digits may stand before it than P − S: ClickHouse cuts the former off silently.
func decimalCodec(t *Type, _ *environment) (*codec, error) {
	limit := powerOfTen(t.Precision)
	parse := func(src []byte, s jsonscan.Span, x *scratch) (m uint256, err error) {
		var negative bool
		if u, minus, ok := shortDecimal(src[s.Start:s.End], t.Scale); ok && s.Kind == jsonscan.Number {
			m[0], negative = u, minus
		} else {
			d, err := numberOf(src, s, x)
			if err != nil {
				return m, err
			}
			if m, err = d.scaled(t.Scale); err != nil {
				return m, reject(src, s, "%s", err)
			}
			negative = d.negative
		}
		if !m.less(&limit) {
			return m, reject(src, s, "%s", errOverflow)
		}
		if negative {
			m.negate()
		}
		return m, nil
	}
	switch {
	case t.Precision <= 9:
		return decimalWord(t, 4, parse), nil
	case t.Precision <= 18:
		return decimalWord(t, 8, parse), nil
	case t.Precision <= 38:
		return decimalWide(t, 16, parse), nil
	case t.Precision <= 76:
		return decimalWide(t, 32, parse), nil
	}
	return nil, fmt.Errorf("a Decimal has at most 76 digits")
}

type decimalParser func(src []byte, s jsonscan.Span, x *scratch) (uint256, error)

func decimalWord(t *Type, width int, parse decimalParser) *codec {
	limit := uint64(pow10[t.Precision])
	return wordCodec(t, width, 0, func(src []byte, s jsonscan.Span, x *scratch) (uint64, error) {
		if s.Kind == jsonscan.Number {
			if u, fraction, ok := pointed(src, s); ok && fraction <= t.Scale && t.Scale <= 10 {
				if u *= uint64(pow10[t.Scale-fraction]); u < limit {
					return u, nil
				}
			}
			if u, negative, ok := shortDecimal(src[s.Start:s.End], t.Scale); ok && u < limit {
				if negative {
					u = -u
				}
				return u, nil
			}
		}
		m, err := parse(src, s, x)
		return m[0], err
	})
}

func decimalWide(t *Type, width int, parse decimalParser) *codec {
	return wideCodec(t, width, func(dst, src []byte, s jsonscan.Span, x *scratch) error {
		m, err := parse(src, s, x)
		if err == nil {
			m.putLittle(dst)
		}
		return err
	})
}

func powerOfTen(n int) (m uint256) {
	m[0] = 1
	for range n {
		m.mulAdd(10, 0)
	}
	return m
}

func (m *uint256) less(than *uint256) bool {
	for i := len(m) - 1; i >= 0; i-- {
		if m[i] != than[i] {
			return m[i] < than[i]
		}
	}
	return false
}
