package source

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// JSON is embedded as it is, but for its line breaks: an event that is one line stays one.
func TestJSONValuesStayOnOneLine(t *testing.T) {
	for text, want := range map[string]string{
		` {"a": [1, "x"]} `:          `{"a": [1, "x"]}`,
		"{\n  \"a\": \"<\\n>\"\r\n}": `{"a":"<\n>"}`,
		"\n1\n":                      `1`,
	} {
		got, err := appendJSON([]byte(`"v":`), []byte(text), nil)
		require.NoError(t, err)
		require.Equal(t, `"v":`+want, string(got))
	}
}

// The bits of a BIT column, which may look like digits, are no text.
func TestBool(t *testing.T) {
	for _, tc := range []struct {
		typ, value, want string
	}{
		{"BIT", "\x00", "false"},
		{"BIT", "\x00\x01", "true"},
		{"BIT", "0", "true"},
		{"BIT", ".", "true"},
		{"TINYINT", "0", "false"},
		{"TINYINT", "-1", "true"},
		{"INT", "000", "false"},
		{"INT", "010", "true"},
		{"DECIMAL", "0.00", "false"},
		{"DECIMAL", "-0.01", "true"},
		{"DOUBLE", "-0", "false"},
		{"DOUBLE", "1e-20", "true"},
		{"VARCHAR", "", "false"},
		{"VARCHAR", "0", "false"},
		{"VARCHAR", "no", "true"},
		{"VARCHAR", "-", "true"},
	} {
		encode, err := encoder(&Config{}, Column{As: Bool}, tc.typ, false)
		require.NoError(t, err)
		got, err := encode(nil, []byte(tc.value))
		require.NoError(t, err)
		require.Equal(t, tc.want, string(got), "%s %q", tc.typ, tc.value)
	}
}
