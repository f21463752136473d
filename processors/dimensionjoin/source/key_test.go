package source

import (
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

func number(s string) Field { return Field{jsonscan.Number, []byte(s)} }
func text(s string) Field   { return Field{jsonscan.String, []byte(s)} }

func TestCanonicalKeys(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	tiny := KeyColumn{Kind: KeyInteger, Bits: 8, Type: "TINYINT"}
	ubig := KeyColumn{Kind: KeyInteger, Bits: 64, Unsigned: true, Type: "UNSIGNED BIGINT"}
	big64 := KeyColumn{Kind: KeyInteger, Bits: 64, Type: "BIGINT"}
	dec := KeyColumn{Kind: KeyDecimal, Type: "DECIMAL"}
	str := KeyColumn{Kind: KeyString, Type: "VARCHAR"}
	bin := KeyColumn{Kind: KeyBytes, Width: 4, Type: "BINARY"}
	date := KeyColumn{Kind: KeyDate, Zone: berlin, Type: "DATE"}
	datetime := KeyColumn{Kind: KeyDateTime, Zone: berlin, Type: "DATETIME"}
	uuid := KeyColumn{Kind: KeyUUID, Type: "CHAR"}
	for _, tc := range []struct {
		column KeyColumn
		field  Field
		want   string // "!" is no key that the column can hold
	}{
		{tiny, number("127"), "127"},
		{tiny, number("128"), "!"},
		{tiny, number("-128"), "-128"},
		{tiny, number("-129"), "!"},
		{tiny, number("1e2"), "100"},
		{tiny, number("12.0"), "12"},
		{tiny, number("12.5"), "!"},
		{tiny, number("-0"), "0"},
		{tiny, text("007"), "7"},
		{tiny, text(""), "!"},
		{tiny, text(" 7"), "!"},
		{tiny, text("7a"), "!"},
		{tiny, text("-"), "!"},
		{tiny, Field{Kind: jsonscan.True, Text: []byte("true")}, "1"},
		{tiny, Field{Kind: jsonscan.False, Text: []byte("false")}, "0"},
		{tiny, Field{jsonscan.Escaped, []byte(`\u0037`)}, "7"},
		{tiny, Field{jsonscan.Array, []byte(`[7]`)}, "!"},
		{ubig, number("18446744073709551615"), "18446744073709551615"},
		{ubig, number("18446744073709551616"), "!"},
		{ubig, number("-1"), "!"},
		{big64, number("9223372036854775807"), "9223372036854775807"},
		{big64, number("9223372036854775808"), "!"},
		{big64, number("-9223372036854775808"), "-9223372036854775808"},
		{big64, number("1e18"), "1000000000000000000"},
		{dec, number("1.50"), "1.5"},
		{dec, text("001.5"), "1.5"},
		{dec, number("-0.0"), "0"},
		{dec, number("15e-1"), "1.5"},
		{dec, number("-1e-3"), "-0.001"},
		{dec, text("1."), "!"},
		{dec, text(".5"), "!"},
		{dec, text("1e999"), "!"},
		{str, text("a "), "a "},
		{str, number("1.0"), "1.0"},
		{str, Field{jsonscan.Escaped, []byte(`a\"`)}, `a"`},
		{str, Field{Kind: jsonscan.True, Text: []byte("true")}, "!"},
		{bin, text("ab"), "ab\x00\x00"},
		{bin, text("abcde"), "abcde"},
		{bin, number("1"), "!"},
		{date, text("2026-02-03"), "2026-02-03"},
		{date, text("2026-02-02T23:30:00Z"), "2026-02-03"},
		{date, text("2026-02-30"), "!"},
		{datetime, text("2026-07-01T00:00:00Z"), "2026-07-01 02:00:00"},
		{datetime, text("2026-07-01 02:00:00.500000"), "2026-07-01 02:00:00.5"},
		{datetime, text("2026-07-01T02:00:00"), "2026-07-01 02:00:00"},
		{datetime, number("1"), "!"},
		{uuid, text("123E4567E89B12D3A456426614174000"), "123e4567-e89b-12d3-a456-426614174000"},
		{uuid, text("123"), "!"},
	} {
		t.Run(tc.column.Type+" "+string(tc.field.Text), func(t *testing.T) {
			got, err := NewKeyer("d", []KeyColumn{tc.column}).Key([]Field{tc.field})
			if tc.want == "!" {
				var key *KeyError
				require.ErrorAs(t, err, &key)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, string(got))
		})
	}
	for _, kind := range []jsonscan.Kind{jsonscan.Null, jsonscan.Missing} {
		_, err := NewKeyer("d", []KeyColumn{str}).Key([]Field{{Kind: kind}})
		require.ErrorIs(t, err, ErrNoKey)
	}
}

// Equal decimals have equal keys, and others have not, however they are written.
func TestDecimalsAgainstBig(t *testing.T) {
	random := rand.New(rand.NewPCG(rand.Uint64(), 1))
	for range 5000 {
		digits := strconv.FormatUint(random.Uint64()>>random.IntN(64), 10)
		point := random.IntN(len(digits)) + 1
		s := []string{"", "-"}[random.IntN(2)] + []string{"", "00"}[random.IntN(2)] + digits[:point]
		if point < len(digits) {
			s += "." + digits[point:] + []string{"", "000"}[random.IntN(2)]
		}
		if random.IntN(3) == 0 {
			s += "e" + strconv.Itoa(random.IntN(20)-10)
		}
		got, ok := decimal(nil, []byte(s))
		require.True(t, ok, s)
		want, ok := new(big.Rat).SetString(s)
		require.True(t, ok, s)
		have, ok := new(big.Rat).SetString(string(got))
		require.True(t, ok, "%s became %s", s, got)
		require.Zero(t, want.Cmp(have), "%s became %s", s, got)
		again, ok := decimal(nil, got)
		require.True(t, ok)
		require.Equal(t, string(got), string(again), "canonical stays canonical")
	}
}

// No two different keys of several columns look alike, and each comes apart into what it was made of.
func TestCompositeKeys(t *testing.T) {
	columns := []KeyColumn{{Kind: KeyString}, {Kind: KeyString}, {Kind: KeyInteger, Bits: 32}}
	k := NewKeyer("d", columns)
	seen := map[string][3]string{}
	long := string(make([]byte, 300))
	for _, a := range []string{"", "a", "ab", "\x01a", long} {
		for _, b := range []string{"", "a", "b", "\x02", long} {
			for _, c := range []string{"0", "1", "12"} {
				key, err := k.Key([]Field{text(a), text(b), number(c)})
				require.NoError(t, err)
				parts := [3]string{a, b, c}
				require.NotContains(t, seen, string(key))
				seen[string(key)] = parts
				require.Equal(t, parts[:], split(string(key), 3))
			}
		}
	}
}

func TestAt(t *testing.T) {
	row := func(s string) Row { return Row{Members: []byte(s)} }
	r := Result{Versions: []Version{
		{20, 30, row("c")}, {10, 20, row("b")}, {Beginning, 10, row("a")}, {40, Forever, row("e")}, {12, 14, row("within b")}, {12, 13, row("shorter")},
	}}
	r.sortVersions(true)
	for instant, want := range map[int64]string{
		Beginning: "a", 0: "a", 9: "a", 10: "b", 11: "b", 12: "within b", 13: "within b", 14: "b", 19: "b", 20: "c", 29: "c", 30: "", 39: "", 40: "e", Forever: "e",
	} {
		got := ""
		if v := At(r.Versions, instant); v != nil {
			got = string(v.Members)
		}
		require.Equal(t, want, got, "at %d", instant)
	}
	require.Nil(t, At(nil, 1))
	for _, same := range [][]Version{{{0, 9, row("x")}, {0, 9, row("y")}}, {{0, 9, row("y")}, {0, 9, row("x")}}} {
		for _, hasTo := range []bool{true, false} {
			r := Result{Versions: slices.Clone(same)}
			r.sortVersions(hasTo)
			require.Equal(t, "y", string(At(r.Versions, 1).Members), "however the server orders them")
		}
	}

	open := Result{Versions: []Version{{10, Forever, row("b")}, {0, Forever, row("a")}}}
	open.sortVersions(false)
	require.Equal(t, int64(10), open.Versions[0].To)
	require.Equal(t, Forever, open.Versions[1].To)
}

func TestParseInstant(t *testing.T) {
	const second = 1_767_225_600
	for _, tc := range []struct {
		field Field
		unit  time.Duration
		want  int64 // microseconds
	}{
		{number("1767225600"), time.Second, second * 1e6},
		{number("1767225600.5"), time.Second, second*1e6 + 500_000},
		{number("1767225600001"), time.Millisecond, second*1e6 + 1000},
		{number("1767225600000001"), time.Microsecond, second*1e6 + 1},
		{number("1767225600000000999"), time.Nanosecond, second * 1e6},
		{number("-1"), time.Nanosecond, -1},
		{number("9223372036854775807"), time.Second, Forever},
		{text("2026-01-01T00:00:00Z"), time.Second, second * 1e6},
		{text("2026-01-01T01:00:00.000001+01:00"), time.Second, second*1e6 + 1},
		{text("2026-01-01 00:00:00"), time.Second, second * 1e6},
		{text("1767225600"), time.Second, second * 1e6},
		{text("1767225600.000001"), time.Second, second*1e6 + 1},
		{text("-1.5"), time.Microsecond, -2},
		{number("-1000.5"), time.Nanosecond, -2},
		{number("-0.000001"), time.Second, -1},
		{number("-0.0000001"), time.Second, -1},
		{number("1.767225600000001e12"), time.Millisecond, second*1e6 + 1},
		{number("1767225601000000000.0"), time.Nanosecond, second*1e6 + 1e6},
		{number("1e-9"), time.Second, 0},
		{number("-1e18"), time.Second, Beginning},
	} {
		got, err := ParseInstant(tc.field, tc.unit, time.UTC)
		require.NoError(t, err, string(tc.field.Text))
		require.Equal(t, tc.want, got, string(tc.field.Text))
	}
	for _, f := range []Field{text("soon"), {Kind: jsonscan.True}, {Kind: jsonscan.Null}, number("1e30")} {
		_, err := ParseInstant(f, time.Second, time.UTC)
		require.Error(t, err)
	}
}

func TestSchemaErrors(t *testing.T) {
	columns := []ResultColumn{{"k", "INT"}, {"v", "VARCHAR"}, {"f", "DOUBLE"}, {"d", "DATE"}}
	for _, tc := range []struct {
		name        string
		config      Config
		errContains string
	}{
		{"no key column", Config{Keys: []string{"id"}}, `dimension "d", column "id": there is no such column; there are: k, v, f, d`},
		{"no column", Config{Keys: []string{"k"}, Columns: []Column{{Name: "w"}}}, `column "w": there is no such column`},
		{"float key", Config{Keys: []string{"f"}}, `a column of type DOUBLE cannot be a join key`},
		{"only keys", Config{Keys: []string{"k", "v", "d"}, AsOf: &AsOf{From: "f"}}, `a column of type DOUBLE cannot bound an interval`},
		{"encoding", Config{Keys: []string{"k"}, Columns: []Column{{Name: "v", As: "xml"}}}, `there is no encoding "xml"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.config.Name = "d"
			_, err := NewSchema(tc.config, columns)
			var schema *SchemaError
			require.ErrorAs(t, err, &schema)
			require.ErrorContains(t, err, tc.errContains)
		})
	}
	_, err := NewSchema(Config{Name: "d", Keys: []string{"k"}}, columns[:1])
	require.ErrorContains(t, err, "no columns besides its key")
}

func FuzzKey(f *testing.F) {
	for _, s := range []string{"1", "-1.5e3", "abc", "2026-01-01T00:00:00Z", "123e4567-e89b-12d3-a456-426614174000"} {
		f.Add(s)
	}
	columns := []KeyColumn{
		{Kind: KeyString},
		{Kind: KeyBytes, Width: 16},
		{Kind: KeyInteger, Bits: 32},
		{Kind: KeyDecimal},
		{Kind: KeyDate, Zone: time.UTC},
		{Kind: KeyDateTime, Zone: time.UTC},
		{Kind: KeyUUID},
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, c := range columns {
			for _, kind := range []jsonscan.Kind{jsonscan.String, jsonscan.Number} {
				key, err := NewKeyer("d", []KeyColumn{c}).Key([]Field{{kind, []byte(s)}})
				if err != nil {
					continue
				}
				// What the server returns for the key has the same canonical form.
				again, ok := c.canonical(nil, append([]byte(nil), key...))
				require.True(t, ok)
				require.Equal(t, string(key), string(again))
			}
		}
	})
}

// Some days and hours do not exist in a zone; as keys they are texts like any other.
func TestDatesThatAZoneSkips(t *testing.T) {
	santiago, err := time.LoadLocation("America/Santiago")
	require.NoError(t, err)
	for column, values := range map[KeyColumn][]string{
		{Kind: KeyDate, Zone: santiago}:     {"2024-09-07", "2024-09-08", "2024-09-09"},
		{Kind: KeyDateTime, Zone: santiago}: {"2024-09-07 23:30:00", "2024-09-08 00:30:00", "2024-09-08 01:30:00"},
	} {
		for _, v := range values {
			key, err := NewKeyer("d", []KeyColumn{column}).Key([]Field{text(v)})
			require.NoError(t, err)
			require.Equal(t, v, string(key))
		}
	}
}

// A server rejects a query with such a date, and with it all keys that are asked for together.
func TestInstantsOutsideTheCalendar(t *testing.T) {
	for _, v := range []string{"9999-12-31T23:59:59-10:00", "0000-01-01T00:00:00+10:00"} {
		for _, kind := range []KeyKind{KeyDate, KeyDateTime} {
			_, err := NewKeyer("d", []KeyColumn{{Kind: kind, Zone: time.UTC}}).Key([]Field{text(v)})
			var mismatch *KeyError
			require.ErrorAs(t, err, &mismatch, v)
		}
	}
}

// Keys that no row can have, and that would make the server reject the query of all others, are not asked for.
func TestKeysTheServerIsNotAskedFor(t *testing.T) {
	schema := &Schema{Keys: []KeyColumn{{Name: "a", Kind: KeyString}, {Name: "b", Kind: KeyBytes}}}
	key := func(a, b string) string { return string(appendPart(appendPart(nil, []byte(a)), []byte(b))) }
	good, bad := key("é", "\xff"), key("\xff", "x")
	out, ask := unanswered("d", schema, []string{bad, good})
	require.Equal(t, []string{good}, ask)
	require.Equal(t, &Result{}, out[good])
	var mismatch *KeyError
	require.ErrorAs(t, out[bad].Err, &mismatch)
	require.Equal(t, "a", mismatch.Column)

	for _, f := range []Field{text(strings.Repeat("x", LongestKey+1)), {jsonscan.Escaped, []byte(strings.Repeat(`\u0041`, LongestKey+1))}} {
		_, err := NewKeyer("d", schema.Keys).Key([]Field{text("x"), f})
		require.ErrorAs(t, err, &mismatch)
		require.Equal(t, "b", mismatch.Column)
		require.Less(t, len(mismatch.Value), 200)
	}
}

func TestInstantsOfEvents(t *testing.T) {
	at := time.Date(2024, 1, 1, 10, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		field Field
		unit  time.Duration
		want  int64
	}{
		{text("2024-01-01T12:00:00+02:00"), time.Second, at.UnixMicro()},
		{Field{jsonscan.Escaped, []byte(`2024-01-01T12:00:00\u002B02:00`)}, time.Second, at.UnixMicro()},
		{number("1704103200.5"), time.Second, at.UnixMicro() + 500_000},
		{number("1e15"), time.Second, Forever},
		{number("1000000000000000"), time.Second, Forever},
		{number("-1e15"), time.Second, Beginning},
	} {
		got, err := ParseInstant(tc.field, tc.unit, time.UTC)
		require.NoError(t, err)
		require.Equal(t, tc.want, got, "%s", tc.field.Text)
	}
}
