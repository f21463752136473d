package jsonscan

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParsePath(t *testing.T) {
	for path, want := range map[string][]Step{
		`a`:             {{Name: "a"}},
		`a.b`:           {{Name: "a"}, {Name: "b"}},
		`a[0]`:          {{Name: "a"}, {Index: 0}},
		`a.b[10][2].c`:  {{Name: "a"}, {Name: "b"}, {Index: 10}, {Index: 2}, {Name: "c"}},
		`"a.b".c`:       {{Name: "a.b"}, {Name: "c"}},
		`"a[0]"[1]`:     {{Name: "a[0]"}, {Index: 1}},
		`a\.b.c\[0\]`:   {{Name: "a.b"}, {Name: "c[0]"}},
		`"q\"uo\\te"`:   {{Name: `q"uo\te`}},
		`\"q`:           {{Name: `"q`}},
		`@kafka_offset`: {{Name: "@kafka_offset"}},
		`a b`:           {{Name: "a b"}},
		`é.0`:           {{Name: "é"}, {Name: "0"}},
		`[3]`:           {{Index: 3}},
	} {
		steps, err := ParsePath(path)
		require.NoError(t, err, path)
		require.Equal(t, want, steps, path)
		again, err := ParsePath(formatPath(steps))
		require.NoError(t, err, formatPath(steps))
		require.Equal(t, steps, again)
	}
}

func TestParsePathErrors(t *testing.T) {
	for path, errContains := range map[string]string{
		``:                 "is empty",
		`.`:                "a name is empty",
		`.a`:               "a name is empty",
		`a.`:               "missing after a dot",
		`a..b`:             "a name is empty",
		`a.[0]`:            "missing after a dot",
		`a[`:               "not closed",
		`a[0`:              "not closed",
		`a[]`:              "an index",
		`a[-1]`:            "an index",
		`a[x]`:             "an index",
		`a[4294967296]`:    "an index",
		`a[0]b`:            "a dot is missing",
		`"a"b`:             "a dot is missing",
		`"a`:               "a quote is not closed",
		`""`:               "a name is empty",
		`a"b`:              "needs a backslash",
		`a]`:               "needs a backslash",
		`a\`:               "ends in a backslash",
		`a."unclosed\"and`: "a quote is not closed",
	} {
		_, err := ParsePath(path)
		require.ErrorContains(t, err, errContains, path)
		var pathErr *PathError
		require.ErrorAs(t, err, &pathErr)
		require.Equal(t, path, pathErr.Path)
	}
}
