package jsonscan

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseInteger(t *testing.T) {
	type result struct {
		i    int64
		iErr error
		u    uint64
		uErr error
	}
	both := func(n int64) result {
		if n < 0 {
			return result{i: n, uErr: ErrNumberRange}
		}
		return result{i: n, u: uint64(n)}
	}
	fails := func(err error) result { return result{iErr: err, uErr: err} }
	for text, want := range map[string]result{
		"0": both(0), "-0": both(0), "7": both(7), "-7": both(-7), "1234567": both(1234567), "12345678": both(12345678),
		"123456789": both(123456789), "1700000000123": both(1700000000123), "123456789012345": both(123456789012345),
		"1234567890123456": both(1234567890123456), "-1234567890123456": both(-1234567890123456),
		"12345678901234567": both(12345678901234567), "9007199254740993": both(9007199254740993),
		"9223372036854775807":  both(math.MaxInt64),
		"-9223372036854775808": both(math.MinInt64),
		"9223372036854775808":  {iErr: ErrNumberRange, u: 1 << 63},
		"-9223372036854775809": fails(ErrNumberRange),
		"18446744073709551615": {iErr: ErrNumberRange, u: math.MaxUint64},
		"18446744073709551616": fails(ErrNumberRange),
		"1e3":                  both(1000), "1E+3": both(1000), "10.0": both(10), "-10.00": both(-10), "1200e-2": both(12), "1.5e1": both(15),
		"0.001e3": both(1), "1e18": both(1e18), "1e19": {iErr: ErrNumberRange, u: 1e19}, "1e20": fails(ErrNumberRange),
		"0e999999999999999999999": both(0), "0.0e-999999999999999999999": both(0), "-0.0": both(0),
		"1e999999999999999999999": fails(ErrNumberRange), "1e-999999999999999999999": fails(ErrNumberFraction),
		"1.5": fails(ErrNumberFraction), "15e-1": fails(ErrNumberFraction), "0.1": fails(ErrNumberFraction),
		"9223372036854775807.0":                    both(math.MaxInt64),
		"92233720368547758070e-1":                  both(math.MaxInt64),
		"18446744073709551615.5":                   fails(ErrNumberFraction),
		"1" + strings.Repeat("0", 300) + "e-300":   both(1),
		"0." + strings.Repeat("0", 300) + "12e302": both(12),
		"": fails(ErrNumberSyntax), "-": fails(ErrNumberSyntax), "+1": fails(ErrNumberSyntax), "01": fails(ErrNumberSyntax),
		"00": fails(ErrNumberSyntax), "-01": fails(ErrNumberSyntax), "012345678": fails(ErrNumberSyntax), "1.": fails(ErrNumberSyntax),
		".1": fails(ErrNumberSyntax), "1e": fails(ErrNumberSyntax), " 1": fails(ErrNumberSyntax), "1 ": fails(ErrNumberSyntax), "1x": fails(ErrNumberSyntax),
		"0x10": fails(ErrNumberSyntax), "1_000": fails(ErrNumberSyntax), "null": fails(ErrNumberSyntax), "--1": fails(ErrNumberSyntax),
		"1234567/": fails(ErrNumberSyntax), "12345678:": fails(ErrNumberSyntax), "/2345678": fails(ErrNumberSyntax),
	} {
		i, err := ParseInt64([]byte(text))
		require.Equal(t, want.iErr, err, text)
		require.Equal(t, want.i, i, text)
		u, err := ParseUint64([]byte(text))
		require.Equal(t, want.uErr, err, text)
		require.Equal(t, want.u, u, text)
	}
}

func TestParseIntegerOfEveryLength(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		u := random.Uint64() >> random.IntN(64)
		text := strconv.FormatUint(u, 10)
		got, err := ParseUint64([]byte(text))
		require.NoError(t, err, text)
		require.Equal(t, u, got)
		i, err := ParseInt64([]byte("-" + text))
		if u > 1<<63 {
			require.Equal(t, ErrNumberRange, err)
		} else {
			require.NoError(t, err)
			require.Equal(t, -int64(u), i)
		}
	}
}

func TestParseFloat(t *testing.T) {
	for _, text := range []string{
		"0", "-0", "-0.0", "1", "0.1", "-12.5", "3.141592653589793", "123456789012345", "1234567890123456", "0.000000000000001",
		"9007199254740993", "1e22", "1e23", "1.7976931348623157e308", "5e-324", "2e-324", "1e-999", "123456789.123456789", "100.00",
		"16777217", "16777217.0", "0.30000001192092896", "3.4028235e38", "1e-45", "33554435",
		"18446744073709551617", "99999999999999999999", "1844674407370955161.7", "9007199254740992", "900719925474099.3", "0.1234567890123456789",
		"1" + strings.Repeat("0", 200), "0." + strings.Repeat("3", 200), "1e+5",
	} {
		for _, bits := range []int{32, 64} {
			want, wantErr := strconv.ParseFloat(text, bits)
			got, err := ParseFloat([]byte(text), bits)
			if wantErr != nil {
				require.Equal(t, ErrNumberRange, err, "%s in %d bits", text, bits)
				continue
			}
			require.NoError(t, err, text)
			require.Equal(t, math.Float64bits(want), math.Float64bits(got), "%s in %d bits", text, bits)
		}
	}
	for text, want := range map[string]error{
		"": ErrNumberSyntax, "-": ErrNumberSyntax, ".5": ErrNumberSyntax, "5.": ErrNumberSyntax, "-.5": ErrNumberSyntax, "01": ErrNumberSyntax, "00.5": ErrNumberSyntax, "+1": ErrNumberSyntax,
		"NaN": ErrNumberSyntax, "Inf": ErrNumberSyntax, "-Inf": ErrNumberSyntax, "infinity": ErrNumberSyntax, "0x1p-2": ErrNumberSyntax, "1_0": ErrNumberSyntax,
		"1.2.3": ErrNumberSyntax, "1e5x": ErrNumberSyntax, "1e999": ErrNumberRange, "-1e309": ErrNumberRange,
	} {
		_, err := ParseFloat([]byte(text), 64)
		require.Equal(t, want, err, text)
	}
	_, err := ParseFloat([]byte("1e39"), 32)
	require.Equal(t, ErrNumberRange, err)
}

func TestParseFloatIsCorrectlyRounded(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 20_000 {
		text := strconv.FormatFloat(math.Float64frombits(random.Uint64()), "gfe"[random.IntN(3)], random.IntN(20)-1, 64)
		if random.IntN(2) == 0 {
			text = fmt.Sprintf("%d.%0*d", random.Uint64()>>(20+random.IntN(44)), 1+random.IntN(12), random.Uint32())
		}
		for _, bits := range []int{32, 64} {
			want, wantErr := strconv.ParseFloat(text, bits)
			got, err := ParseFloat([]byte(text), bits)
			switch {
			case strings.Contains(text, "N") || strings.Contains(text, "I"):
				require.Equal(t, ErrNumberSyntax, err, text)
			case errors.Is(wantErr, strconv.ErrRange):
				require.Equal(t, ErrNumberRange, err, text)
			default:
				require.NoError(t, err, text)
				require.Equal(t, math.Float64bits(want), math.Float64bits(got), text)
			}
		}
	}
}

func TestNumbersDoNotAllocate(t *testing.T) {
	numbers := [][]byte{[]byte("1700000000123"), []byte("-12.50"), []byte("1e3"), []byte("0." + strings.Repeat("3", 100)), []byte("x"), []byte("1.5e3")}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		for _, n := range numbers {
			_, _ = ParseInt64(n)
			_, _ = ParseUint64(n)
			_, _ = ParseFloat(n, 64)
		}
	}))
}

// wantInteger reads a number of the JSON grammar exactly; nil if it has a fraction.
func wantInteger(text string) *big.Int {
	r, ok := new(big.Rat).SetString(text)
	if !ok || !r.IsInt() {
		return nil
	}
	return r.Num()
}
