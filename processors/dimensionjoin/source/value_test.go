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
