package change

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzRows checks that whatever a record is, each row of it is a JSON object, and that the rows are the same the second time.
func FuzzRows(f *testing.F) {
	for _, seed := range []string{
		`{"payload":{"before":{"id":1},"after":{"id":2},"op":"u"}}`, `{"type":"UPDATE","data":[{"id":"1","a":"x"}],"old":[{"id":"0"}]}`,
		`{"data":{"id":1},"op":"-U"}`, `null`, ``, `{"type":"update","data":{"id":1,"a":[{}]},"old":{"a":"\u0000"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		for _, format := range []Format{FormatDebezium, FormatCanal, FormatFlink} {
			for _, mode := range []Mode{Replacing, Collapsing} {
				d := newDecoder(t, Options{Mode: mode, Format: format, Keys: []string{"id", "a"}})
				rows, err := d.Rows(Record{Value: record})
				if err != nil {
					continue
				}
				first := told(rows)
				for _, r := range rows {
					require.True(t, json.Valid(r.Image), "%s", r.Image)
					require.Equal(t, byte('{'), r.Image[0])
				}
				rows, err = d.Rows(Record{Value: record})
				require.NoError(t, err)
				require.Equal(t, first, told(rows))
			}
		}
	})
}
