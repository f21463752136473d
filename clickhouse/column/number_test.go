package column

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// convert runs one JSON value through a type: at the end of its text and before other text, which are read in different ways.
func convert(t testing.TB, typ, json string) (Value, error) {
	t.Helper()
	parsed, err := ParseType(typ)
	require.NoError(t, err)
	c, err := compile(parsed, &environment{location: time.UTC})
	require.NoError(t, err)
	s, err := jsonscan.Value([]byte(json))
	require.NoError(t, err, json)
	var alone, within Value
	err = c.value([]byte(json), s, new(scratch), &alone)
	withinErr := c.value([]byte(json+`,"0123456789012345"`), s, new(scratch), &within)
	require.Equal(t, err, withinErr)
	require.Equal(t, alone, within, json)
	return alone, err
}

// randomNumber is a JSON number of any length, with or without fraction and exponent.
func randomNumber(r *rand.Rand) string {
	digits := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteByte('0' + byte(r.IntN(10)))
		}
		return b.String()
	}
	text := strings.TrimLeft(digits(r.IntN(1+r.IntN(90))), "0")
	if text == "" {
		text = "0"
	}
	if r.IntN(2) == 0 {
		text = "-" + text
	}
	if r.IntN(3) == 0 {
		text += "." + digits(1+r.IntN(12)) + strings.Repeat("0", r.IntN(4))
	}
	if r.IntN(4) == 0 {
		text += fmt.Sprintf("e%d", r.IntN(20)-10)
	}
	return text
}

// unscaled is what a column of so many bytes holds, as a number.
func unscaled(v Value, width int, signed bool) *big.Int {
	b := v.B
	if b == nil {
		b = make([]byte, 8)
		for i := range b {
			b[i] = byte(v.U >> (8 * i))
		}
		b = b[:width]
	}
	n := new(big.Int)
	for i := len(b) - 1; i >= 0; i-- {
		n.Lsh(n, 8).Or(n, big.NewInt(int64(b[i])))
	}
	if signed && b[len(b)-1]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return n
}

// TestNumbers holds integers and decimals of every width against math/big: the exact value, or an error where there is none.
func TestNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, c := range []struct {
		typ          string
		width, scale int
		signed       bool
		limit        *big.Int // of a Decimal
	}{
		{"Int8", 1, 0, true, nil},
		{"UInt8", 1, 0, false, nil},
		{"Int16", 2, 0, true, nil},
		{"UInt32", 4, 0, false, nil},
		{"Int64", 8, 0, true, nil},
		{"UInt64", 8, 0, false, nil},
		{"Int128", 16, 0, true, nil},
		{"UInt128", 16, 0, false, nil},
		{"Int256", 32, 0, true, nil},
		{"UInt256", 32, 0, false, nil},
		{"Decimal(9, 2)", 4, 2, true, power(9)},
		{"Decimal(18, 6)", 8, 6, true, power(18)},
		{"Decimal(38, 10)", 16, 10, true, power(38)},
		{"Decimal(76, 20)", 32, 20, true, power(76)},
	} {
		low, high := new(big.Int), new(big.Int).Lsh(big.NewInt(1), uint(8*c.width))
		if c.signed {
			high.Rsh(high, 1)
			low.Neg(high)
		}
		if c.limit != nil {
			high, low = c.limit, new(big.Int).Add(new(big.Int).Neg(c.limit), big.NewInt(1))
		}
		fits := 0
		for i := range 20_000 {
			text := randomNumber(r)
			if i%2 == 0 { // near the bounds
				text = new(big.Int).Add(high, big.NewInt(int64(r.IntN(5)-3))).String()
				if i%4 == 0 {
					text = new(big.Int).Add(low, big.NewInt(int64(r.IntN(5)-3))).String()
				}
				text += fmt.Sprintf("e-%d", c.scale)
			}
			exact, ok := new(big.Rat).SetString(text)
			require.True(t, ok, text)
			exact.Mul(exact, new(big.Rat).SetInt(power(c.scale)))
			want := exact.Num()
			valid := exact.IsInt() && want.Cmp(low) >= 0 && want.Cmp(high) < 0
			json := text
			if i%3 == 0 {
				json = `"` + text + `"`
			}
			v, err := convert(t, c.typ, json)
			require.Equal(t, valid, err == nil, "%s %s: %v", c.typ, json, err)
			if valid {
				fits++
				require.Zero(t, want.Cmp(unscaled(v, c.width, c.signed)), "%s %s", c.typ, json)
			}
		}
		require.Greater(t, fits, 1000, c.typ)
	}
}

// An exponent counts in full, however many digits it is held against.
func TestLargeExponents(t *testing.T) {
	zeros := strings.Repeat("0", 2_000_000)
	for _, c := range []struct {
		text string
		fits bool
	}{{"0." + zeros + "1e2000001", true}, {"0." + zeros + "1e20000010", false}, {"1" + zeros[:70] + "e-20000000", false}, {"0e99999999999999999999", true}} {
		for _, typ := range []string{"UInt128", "Decimal(9, 0)"} {
			_, err := convert(t, typ, c.text)
			require.Equal(t, c.fits, err == nil, "%s of %d bytes: %v", typ, len(c.text), err)
		}
	}
}

func power(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// TestFloats holds short numbers, which are read in a way of their own, against strconv.
func TestFloats(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	for range 50_000 {
		text := strconv.Itoa(r.IntN(int(pow10[1+r.IntN(8)])))
		if at := r.IntN(len(text) + 1); at > 0 && at < len(text) {
			text = text[:at] + "." + text[at:]
		}
		for bits, typ := range map[int]string{64: "Float64", 32: "Float32"} {
			want, err := strconv.ParseFloat(text, bits)
			require.NoError(t, err)
			v, err := convert(t, typ, text)
			require.NoError(t, err)
			if bits == 64 {
				require.Equal(t, math.Float64bits(want), v.U, text)
			} else {
				require.Equal(t, uint64(math.Float32bits(float32(want))), v.U, text)
			}
		}
	}
}

// TestMoments holds texts of the standard layouts against package time.
func TestMoments(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	layouts := []string{
		time.RFC3339Nano, time.RFC3339, "2006-01-02 15:04:05", "2006-01-02T15:04:05.000Z07:00", "2006-01-02 15:04:05.000000", "2006-01-02 15:04", "2006-01-02",
		"2006/01/02 15:04:05", "20060102", "20060102T150405Z0700", "20060102150405.0", "2006-01-02T15:04:05 -07", "2006-01-02 15:04:05 UTC",
	}
	for range 50_000 {
		zone := time.FixedZone("", (r.IntN(27)-13)*3600)
		layout := layouts[r.IntN(len(layouts))]
		at := time.Unix(firstSecond+r.Int64N(lastSecond-firstSecond-86400), r.Int64N(1e9)).In(zone)
		text := at.Format(layout)
		want, err := time.Parse(layout, text)
		require.NoError(t, err)
		v, err := convert(t, "DateTime64(6)", `"`+text+`"`)
		if want.Unix() < firstSecond {
			continue
		}
		require.NoError(t, err, text)
		require.Equal(t, want.UnixMicro(), int64(v.U), text)
	}
	for _, text := range []string{
		"2023-02-29", "2024-13-01", "2024-00-01", "2024-01-00", "2024-01-01 24:00:00", "2024-01-01 12:60", "2024-01-01T12:00:00.", "2024-01-01T12:00:00.1x", "2024-01-01T12:00:00+1", "2024-01-01T12:00:00+99",
		"2024-01-01x", "2024-01-01T", "2024,01,01", "2024-01-0a 12:00:00", "2024-01-01T12:0::00", "2024-01-01T12-00-00", "2024-01-01T12:00:6a", "", " ", "T", "2024-01-01T12:00:00ZZ", "1700000e3", "17000000e2", "１２３４-01-01 00:00:00",
	} {
		_, err := convert(t, "DateTime64(3)", `"`+text+`"`)
		require.Error(t, err, text)
	}
}

// TestFixedForms checks UUID and addresses digit by digit.
func TestFixedForms(t *testing.T) {
	const uuid = "01234567-89ab-cdef-FEDC-ba9876543210"
	v, err := convert(t, "UUID", `"`+uuid+`"`)
	require.NoError(t, err)
	require.Equal(t, []byte{0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01, 0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe}, v.B)
	for i := range uuid {
		for _, c := range []string{"g", "G", "/", ":", "@", "`", " ", "-", "\x7f", "\xe4"} {
			if uuid[i:i+1] == c {
				continue
			}
			_, err := convert(t, "UUID", `"`+uuid[:i]+c+uuid[i+1:]+`"`)
			require.Error(t, err, "%d %q", i, c)
		}
	}
	v, err = convert(t, "IPv4", `"1.2.3.4"`)
	require.NoError(t, err)
	require.Equal(t, Value{U: 0x01020304}, v)
	v, err = convert(t, "IPv6", `"1.2.3.4"`)
	require.NoError(t, err)
	require.Equal(t, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x01\x02\x03\x04", string(v.B))
}
