package jsonscan

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSplice(t *testing.T) {
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
		got, err := Splice([]byte("dst"), []byte(doc), []byte(members))
		require.NoError(t, err, doc)
		require.Equal(t, "dst"+want, string(got))

		var merged, structured map[string]any
		require.NoError(t, json.Unmarshal(got[3:], &merged))
		require.NoError(t, json.Unmarshal([]byte(doc), &structured))
		require.NoError(t, json.Unmarshal([]byte("{"+members+"}"), &structured))
		require.Equal(t, structured, merged)

		got, err = Splice(nil, []byte(doc), nil)
		require.NoError(t, err)
		require.Equal(t, doc, string(got))
	}
	for _, doc := range []string{``, ` `, `[]`, `{`, `}`, `"{}"`, `1`, `[{}]`, `x{}`, `{}x`} {
		got, err := Splice([]byte("dst"), []byte(doc), []byte(members))
		require.ErrorIs(t, err, ErrNotObject, doc)
		require.Equal(t, "dst", string(got))
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

func TestIterators(t *testing.T) {
	doc := []byte(` [ 1 , "two" ,"t\"hree", [4,"]"],{"five":{"]":"}"}} ,true,false,null,-6e1 ] `)
	span, err := Value(doc)
	require.NoError(t, err)
	var got []string
	var kinds []Kind
	for e := NewElements(doc, span); ; {
		element, ok := e.Next()
		if !ok {
			break
		}
		got, kinds = append(got, string(element.Bytes(doc))), append(kinds, element.Kind)
	}
	require.Equal(t, []string{"1", "two", `t\"hree`, `[4,"]"]`, `{"five":{"]":"}"}}`, "true", "false", "null", "-6e1"}, got)
	require.Equal(t, []Kind{Number, String, Escaped, Array, Object, True, False, Null, Number}, kinds)

	doc = []byte(`{ "a" : 1 ,"b\n":[],"":"x" , "a":{} }`)
	span, err = Value(doc)
	require.NoError(t, err)
	got = nil
	for m := NewMembers(doc, span); ; {
		name, value, ok := m.Next()
		if !ok {
			break
		}
		got = append(got, name.Kind.String()+" "+string(name.Bytes(doc))+"="+string(value.Bytes(doc)))
	}
	require.Equal(t, []string{`string a=1`, `string with escapes b\n=[]`, `string =x`, `string a={}`}, got)

	for _, none := range []string{"[]", "{}", "[ ]", "{\n}", "1", `"[1]"`, "null"} {
		span, err := Value([]byte(none))
		require.NoError(t, err)
		e, m := NewElements([]byte(none), span), NewMembers([]byte(none), span)
		_, ok := e.Next()
		require.False(t, ok)
		_, _, ok = m.Next()
		require.False(t, ok)
	}
}
