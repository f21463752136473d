package column

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
)

// documents are held, here and at the server, against what docs/types.md says of documents as a whole.
var documents = []struct {
	doc         string
	here, there bool // taken
}{
	{`{"n":1}`, true, true},
	{" {\t\"n\" : 1 \n, \"x\":[{}]}", true, true},
	{`{}`, true, true},
	{`{"\u006e":1}`, true, true},
	{`{"x":1,"x":2}`, true, true},
	{`{"n":null,"f":null,"s":null}`, true, true},
	{nested(999), true, true},
	{nested(1000), false, true},
	{nested(3000), false, false},
	{`{"f":nan}`, false, false},
	{`{"n":1,}`, false, false},
	{`{'n':1}`, false, false},
	{`{"n":1`, false, false},
	{`{"n":1}x`, false, false},
	{`[1]`, false, false},

	{`{"n":1,"n":2}`, true, false},
	{"{\"s\":\"a\tb\"}", false, true},
	{"{\"s\":\"a\nb\"}", false, true},
	{`{"s":"\x"}`, false, true},
	{`{"f":.5}`, false, true},
	{`{"n":+1}`, false, true},
	{`{"n":01}`, false, true},
	{`{"f":-inf}`, false, true},
	{"\xef\xbb\xbf{\"n\":1}", false, true},
}

// nested is a document of so many arrays within its object.
func nested(arrays int) string {
	return `{"x":` + strings.Repeat("[", arrays) + strings.Repeat("]", arrays) + `}`
}

func TestDocuments(t *testing.T) {
	mustPost(t, nil, "DROP TABLE IF EXISTS theirs")
	mustPost(t, nil, "CREATE TABLE theirs (n Int32, f Float64, s String) ENGINE = Memory")
	plan, err := column.NewPlan([]column.Field{{Column: "n", Type: "Int32"}, {Column: "f", Type: "Float64"}, {Column: "s", Type: "String"}}, options(t))
	require.NoError(t, err)
	r, b := plan.NewReader(), plan.NewBlock(0)
	for _, d := range documents {
		err := r.ReadJSON([]byte(d.doc))
		if err == nil {
			err = b.Append(r)
		}
		require.Equal(t, d.here, err == nil, "here: %.40q: %v", d.doc, err)
		_, err = post(t.Context(), reading, "INSERT INTO theirs FORMAT JSONEachRow", d.doc)
		require.Equal(t, d.there, err == nil, "there: %.40q: %v", d.doc, err)
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "types.md"))
	require.NoError(t, err)
	require.Contains(t, string(page), "Of a member that stands twice the last one counts, unless duplicates are rejected; ClickHouse refuses the row.")
	require.Contains(t, string(page), "ClickHouse also takes a byte order mark, control characters and unknown escapes in strings, and numbers such as `.5`, `+1`, `01` and `-inf`.")
}
