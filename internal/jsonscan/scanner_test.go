package jsonscan

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func compile(t testing.TB, opts Options, paths ...string) *Fields {
	t.Helper()
	steps := make([][]Step, len(paths))
	for i, p := range paths {
		var err error
		steps[i], err = ParsePath(p)
		require.NoError(t, err)
	}
	f, err := Compile(steps, opts)
	require.NoError(t, err)
	return f
}

func TestScanFindsSpans(t *testing.T) {
	paths := []string{"a", "b", "c.d", "c", "e[1].f", "e[0]", "missing", "e.f", "a[0]", "b"}
	f := compile(t, Options{}, paths...)
	doc := `  {"a" : 12, "x":[{"y":[]},"]"], "b":"t\n", "c": {"q":{}, "d":null}, "e":[true ,{"f":"v"}, 3]  } ` + "\n"
	want := []string{"12", `t\n`, "null", `{"q":{}, "d":null}`, "v", "true", "", "", "", `t\n`}
	kinds := []Kind{Number, Escaped, Null, Object, String, True, Missing, Missing, Missing, Escaped}
	s := f.NewScanner()
	for range 3 { // the second and third time with predictions
		spans := make([]Span, len(paths))
		require.NoError(t, s.Scan([]byte(doc), spans))
		for i := range paths {
			require.Equal(t, want[i], string(spans[i].Bytes([]byte(doc))), paths[i])
			require.Equal(t, kinds[i], spans[i].Kind, paths[i])
		}
	}
}
