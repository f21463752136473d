package lint

import (
	"errors"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/bloblang"
	"github.com/stretchr/testify/require"
)

const plugin = Plugin("test")

func run(t *testing.T, rule string, value any) any {
	t.Helper()
	exec, err := bloblang.Parse(rule)
	require.NoError(t, err)
	out, err := exec.Query(value)
	require.NoError(t, err)
	return out
}

func TestARuleAsksItsCheck(t *testing.T) {
	scalar := plugin.Check("a.b", Duration)
	require.Empty(t, run(t, scalar, "5s"))
	require.Equal(t, []any{`field a.b: "soon" is not a duration above zero, such as 30s`}, run(t, scalar, "soon"))
	require.Equal(t, []any{`field a.b: "" is not a duration above zero, such as 30s`}, run(t, scalar, nil))
	require.Empty(t, run(t, scalar, []any{"soon"}), "the items are asked of one by one")

	list := plugin.Items("c", func(items []string) error { return errors.New(items[0]) }, Pattern)
	require.Equal(t, []any{"field c: 7"}, run(t, list, []any{7}))
	require.Empty(t, run(t, list, "^a{1,2}$"))
	require.Len(t, run(t, list, "("), 1)
}

func TestSizes(t *testing.T) {
	n, err := ParseSize("1.5 KiB", 2000)
	require.NoError(t, err)
	require.Equal(t, int64(1536), n)
	for _, bad := range []string{"", "lots", "0", "2001B", "-1B"} {
		_, err := ParseSize(bad, 2000)
		require.ErrorContains(t, err, `"`+bad+`" is not a size`)
	}
}

func TestNumbers(t *testing.T) {
	require.NoError(t, AtLeast(1)("1"))
	require.Error(t, AtLeast(1)("0"))
	require.Error(t, AtLeast(0)(""))
}
