package jsonscan

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUnescape(t *testing.T) {
	for raw, want := range map[string]string{
		``:                        "",
		`plain`:                   "plain",
		`\"\\\/\b\f\n\r\t`:        "\"\\/\b\f\n\r\t",
		`\u0041\u00e9\u20AC`:      "Aé€",
		`a\u0000b`:                "a\x00b",
		`\ud834\udd1e`:            "𝄞",
		`\ud834`:                  "\ufffd",
		`\ud834x`:                 "\ufffdx",
		`\udd1e`:                  "\ufffd",
		`\udd1e\ud834`:            "\ufffd\ufffd",
		`\ud834\ud834\udd1e`:      "\ufffd𝄞",
		`\ud834\n`:                "\ufffd\n",
		`\ud834\u0041`:            "\ufffdA",
		`\ud834:udd1e`:            "\ufffd:udd1e",
		`\uffff\ufffe`:            "\uffff\ufffe",
		"\xff\\n\xc0":             "\xff\n\xc0",
		`text before\nand\tafter`: "text before\nand\tafter",
	} {
		got, err := Unescape([]byte("dst:"), []byte(raw))
		require.NoError(t, err, raw)
		require.Equal(t, "dst:"+want, string(got), raw)
	}
	for _, raw := range []string{`\`, `a\`, `\x`, `\u`, `\u12`, `\u123g`, `\ud834\u12`} {
		_, err := Unescape(nil, []byte(raw))
		require.ErrorIs(t, err, ErrEscape, raw)
	}
}

func TestAppendString(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, s := range []string{"", "a", "plain text of some length", "quote\" back\\slash", "\b\f\n\r\t\x00\x1f\x7f", "é€𝄞", "\xff\xfe", string(all)} {
		got := AppendString([]byte("x"), s)
		require.Equal(t, got, AppendString([]byte("x"), []byte(s)))
		require.True(t, json.Valid(got[1:]), "%q", got)
		span, err := Value(got[1:])
		require.NoError(t, err)
		back, err := Unescape(nil, span.Bytes(got[1:]))
		require.NoError(t, err)
		require.Equal(t, s, string(back))
	}
	require.Equal(t, `"\"\\\n\r\t\u0000\u001f/"`, string(AppendString(nil, "\"\\\n\r\t\x00\x1f/")))
}
