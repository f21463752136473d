package jsonscan

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// splice puts members before the closing brace, as those do who ask where it is.
func splice(doc, members string) (string, error) {
	pos, empty, err := Close([]byte(doc))
	if err != nil {
		return "", err
	}
	if !empty {
		members = "," + members
	}
	return doc[:pos] + members + doc[pos:], nil
}

func TestCloseIsWhereMembersGo(t *testing.T) {
	const members = `"k":1,"k2":"v"`
	for doc, want := range map[string]string{
		`{}`:                  `{"k":1,"k2":"v"}`,
		"{ }":                 `{ "k":1,"k2":"v"}`,
		" {\n} \n":            " {\n\"k\":1,\"k2\":\"v\"} \n",
		`{"a":1}`:             `{"a":1,"k":1,"k2":"v"}`,
		"{\"a\":1 \n }\n":     "{\"a\":1 \n ,\"k\":1,\"k2\":\"v\"}\n",
		`{"a":{}}`:            `{"a":{},"k":1,"k2":"v"}`,
		`{"a":{} }`:           `{"a":{} ,"k":1,"k2":"v"}`,
		`{"a":"}"}`:           `{"a":"}","k":1,"k2":"v"}`,
		`{"a":"{"}`:           `{"a":"{","k":1,"k2":"v"}`,
		`{"k":0}`:             `{"k":0,"k":1,"k2":"v"}`,
		`{"a":[{"b":"\\"}]} `: `{"a":[{"b":"\\"}],"k":1,"k2":"v"} `,
	} {
		got, err := splice(doc, members)
		require.NoError(t, err, doc)
		require.Equal(t, want, got)

		var merged, structured map[string]any
		require.NoError(t, json.Unmarshal([]byte(got), &merged))
		require.NoError(t, json.Unmarshal([]byte(doc), &structured))
		require.NoError(t, json.Unmarshal([]byte("{"+members+"}"), &structured))
		require.Equal(t, structured, merged)
	}
	for _, doc := range []string{``, ` `, `[]`, `{`, `}`, `"{}"`, `1`, `[{}]`, `x{}`, `{}x`} {
		_, _, err := Close([]byte(doc))
		require.ErrorIs(t, err, ErrNotObject, doc)
	}
}

func TestClose(t *testing.T) {
	for doc, want := range map[string]struct {
		pos   int
		empty bool
	}{
		`{}`: {1, true}, " {\t} ": {3, true}, `{"a":{}}`: {7, false}, `{"a":1 }`: {7, false},
	} {
		pos, empty, err := Close([]byte(doc))
		require.NoError(t, err)
		require.Equal(t, want.pos, pos, doc)
		require.Equal(t, want.empty, empty, doc)
	}
}
