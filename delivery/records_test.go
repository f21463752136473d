package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func packed(values ...string) ([]byte, *Records) {
	rs := &Records{Topic: "clicks", Partition: 3}
	var content []byte
	for i, v := range values {
		content = append(content, v...)
		rs.Ends = append(rs.Ends, len(content))
		rs.Offsets = append(rs.Offsets, int64(10+i))
		content = append(content, '\n')
	}
	return content, rs
}

func TestRecordsKeepBoundaries(t *testing.T) {
	content, rs := packed("one", "", "with\nnewline", "last")
	require.NoError(t, rs.Check(content))
	require.Equal(t, 4, rs.Len())
	require.Equal(t, "one", string(rs.Value(content, 0)))
	require.Empty(t, rs.Value(content, 1))
	require.Equal(t, "with\nnewline", string(rs.Value(content, 2)))
	require.Equal(t, "last", string(rs.Value(content, 3)))
}

func TestRecordsCheck(t *testing.T) {
	content, rs := packed("one", "two")
	for name, c := range map[string]struct {
		content []byte
		records *Records
		ok      bool
	}{
		"as packed":             {content, rs, true},
		"nothing":               {nil, &Records{}, true},
		"bytes without any":     {[]byte("x"), &Records{}, false},
		"newline trimmed":       {content[:len(content)-1], rs, false},
		"longer":                {append([]byte("x"), content...), rs, false},
		"separator overwritten": {[]byte("one two\n"), rs, false},
		"offsets missing":       {content, &Records{Ends: rs.Ends}, false},
		"ends do not ascend":    {content, &Records{Ends: []int{7, 7}, Offsets: rs.Offsets}, false},
		"end beyond content":    {content, &Records{Ends: []int{9, 7}, Offsets: rs.Offsets}, false},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.records.Check(c.content)
			if c.ok {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, ErrRecords)
		})
	}
}

func TestRebuiltLeavesTheOriginal(t *testing.T) {
	content, rs := packed("one", "two")
	other := rs.Rebuilt([]int{1, 3}, map[int]error{1: errors.New("no such product")})
	require.NoError(t, rs.Check(content))
	require.NoError(t, other.Check([]byte("1\n2\n")))
	require.Nil(t, rs.Errors)
	require.Equal(t, rs.Offsets, other.Offsets)
}

func TestRecordsPrintShort(t *testing.T) {
	_, rs := packed("one", "two")
	text, err := json.Marshal(rs)
	require.NoError(t, err)
	require.JSONEq(t, `{"topic":"clicks","partition":3,"records":2,"first_offset":10,"last_offset":11}`, string(text))
}

func TestRangeNames(t *testing.T) {
	r := Range{Group: "g", Topic: "clicks", Partition: 3, From: 100, To: 250}
	require.Equal(t, "g/clicks/3/100-250", r.Name())
	r.TopicID[15] = 0xab
	require.Equal(t, "g/000000000000000000000000000000ab/3/100-250", r.Name())
	require.Equal(t, `clicks/3 [100, 250) of group "g"`, r.String())
}

type fakeLease struct{ Lease }

func TestContextCarriesTheLease(t *testing.T) {
	require.Nil(t, FromContext(context.Background()))
	l := &fakeLease{}
	require.Same(t, l, FromContext(NewContext(t.Context(), l)))
}
