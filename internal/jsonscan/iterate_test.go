package jsonscan

import (
	"testing"

	"github.com/stretchr/testify/require"
)

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
