package change

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// told writes rows shortly: - for one taken away, + for one put, and the image.
func told(rows []Row) string {
	parts := make([]string, len(rows))
	for i, r := range rows {
		sign := "+"
		if r.Removes {
			sign = "-"
		}
		parts[i] = fmt.Sprintf("%s%d%s", sign, r.Ordinal, r.Image)
	}
	return strings.Join(parts, " ")
}

func newDecoder(t testing.TB, opts Options) *Decoder {
	t.Helper()
	if opts.Mode == "" {
		opts.Mode = Replacing
	}
	if opts.Keys == nil {
		opts.Keys = []string{"id"}
	}
	d, err := NewDecoder(opts)
	require.NoError(t, err)
	return d
}

const wholeRows = "the source has to log whole rows"

func TestDebezium(t *testing.T) {
	for name, test := range map[string]struct{ record, replacing, collapsing string }{
		"create":             {`{"before":null,"after":{"id":1},"op":"c"}`, `+1{"id":1}`, `+1{"id":1}`},
		"snapshot":           {`{"op":"r","after":{"id":1}}`, `+1{"id":1}`, `+1{"id":1}`},
		"update":             {`{"before":{"id":1,"a":1},"after":{"id":1,"a":2},"op":"u"}`, `+1{"id":1,"a":2}`, `-0{"id":1,"a":1} +1{"id":1,"a":2}`},
		"update of the key":  {`{"before":{"id":1},"after":{"id":2},"op":"u"}`, `-0{"id":1} +1{"id":2}`, `-0{"id":1} +1{"id":2}`},
		"update, key untold": {`{"before":{"a":1},"after":{"id":2},"op":"u"}`, `+1{"id":2}`, `-0{"a":1} +1{"id":2}`},
		"update without old": {`{"before":null,"after":{"id":2},"op":"u"}`, `+1{"id":2}`, wholeRows},
		"delete":             {`{"before":{"id":1},"after":null,"op":"d"}`, `-0{"id":1}`, `-0{"id":1}`},
		"delete without old": {`{"before":null,"after":null,"op":"d"}`, wholeRows, wholeRows},
		"wrapped":            {`{"schema":{"op":"x"},"payload":{"before":{"id":1},"after":{"id":1,"b":"}"},"op":"u","source":{"lsn":7}}}`, `+1{"id":1,"b":"}"}`, `-0{"id":1} +1{"id":1,"b":"}"}`},
		"wrapped tombstone":  {`{"schema":{},"payload":null}`, ``, ``},
		"message":            {`{"op":"m","message":{}}`, ``, ``},
		"truncate":           {`{"op":"t"}`, "TRUNCATE TABLE", "TRUNCATE TABLE"},
		"tombstone":          {``, ``, ``},
		"null":               {" null\n", ``, ``},
		"no operation":       {`{"id":1}`, "op is missing (is changes.format right?)", "op is missing"},
		"what operation":     {`{"op":"zz","after":{}}`, `op is "zz", which is no operation`, "no operation"},
		"no row":             {`{"op":"c","after":[1]}`, "after is array, not an object", "after is array"},
		"nothing put":        {`{"op":"c","after":null}`, "a change of kind insert without the row as it is", "without the row as it is"},
		"unlogged value":     {`{"op":"u","before":{"id":1},"after":{"id":1,"t":"__debezium_unavailable_value"}}`, "REPLICA IDENTITY FULL", "REPLICA IDENTITY FULL"},
		"unlogged bytes":     {`{"op":"u","before":{"id":1},"after":{"id":1,"t":"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ\u003d\u003d"}}`, "REPLICA IDENTITY FULL", "REPLICA IDENTITY FULL"},
		"unlogged hex":       {`{"op":"u","before":{"id":1},"after":{"id":1,"t":"5f5f646562657a69756d5f756e617661696c61626c655f76616c7565"}}`, "REPLICA IDENTITY FULL", "REPLICA IDENTITY FULL"},
		"not JSON":           {`{"op":"c","after":{"id":1}`, "reading", "reading"},
		"not an object":      {`[1]`, "not a JSON object", "not a JSON object"},
	} {
		t.Run(name, func(t *testing.T) { requireRows(t, FormatDebezium, test.record, test.replacing, test.collapsing) })
	}
}

// requireRows compares with rows as told writes them, or with a part of the error.
func requireRows(t *testing.T, format Format, record, replacing, collapsing string) {
	t.Helper()
	for mode, want := range map[Mode]string{Replacing: replacing, Collapsing: collapsing} {
		d := newDecoder(t, Options{Mode: mode, Format: format})
		for range 2 { // whatever the record before was
			rows, err := d.Rows(Record{Value: []byte(record)})
			if want != "" && want[0] != '+' && want[0] != '-' {
				var refused *RecordError
				require.ErrorAs(t, err, &refused, "%s", mode)
				require.ErrorContains(t, err, want, "%s", mode)
				continue
			}
			require.NoError(t, err, "%s", mode)
			require.Equal(t, want, told(rows), "%s", mode)
		}
	}
}

func TestCanal(t *testing.T) {
	for name, test := range map[string]struct{ record, replacing, collapsing string }{
		"insert": {`{"data":[{"id":"1"},{"id":"2"}],"old":null,"type":"INSERT","isDdl":false}`, `+1{"id":"1"} +3{"id":"2"}`, `+1{"id":"1"} +3{"id":"2"}`},
		"update": {
			`{"type":"UPDATE","data":[{"id":"1","a":"x","b":null}],"old":[{"b":"y"}]}`,
			`+1{"id":"1","a":"x","b":null}`, `-0{"id":"1","a":"x","b":"y"} +1{"id":"1","a":"x","b":null}`,
		},
		"update of keys": {
			`{"type":"UPDATE","data":[{"id":"2","a":"x"},{"id":"4","a":"z"}],"old":[{"id":"1"},{"id":"3","a":"\"q\""}]}`,
			`-0{"id":"1","a":"x"} +1{"id":"2","a":"x"} -2{"id":"3","a":"\"q\""} +3{"id":"4","a":"z"}`,
			`-0{"id":"1","a":"x"} +1{"id":"2","a":"x"} -2{"id":"3","a":"\"q\""} +3{"id":"4","a":"z"}`,
		},
		"column gone":     {`{"type":"UPDATE","data":[{"id":"2"}],"old":[{"id":"1","x":1}]}`, `-0{"id":"1","x":1} +1{"id":"2"}`, `-0{"id":"1","x":1} +1{"id":"2"}`},
		"without old":     {`{"type":"UPDATE","data":[{"id":"2"}],"old":null}`, `+1{"id":"2"}`, wholeRows},
		"delete":          {`{"type":"DELETE","data":[{"id":"1"},{"id":"2"}]}`, `-0{"id":"1"} -2{"id":"2"}`, `-0{"id":"1"} -2{"id":"2"}`},
		"schema":          {`{"type":"ALTER","data":null,"isDdl":true,"sql":"ALTER TABLE t"}`, ``, ``},
		"truncate":        {`{"type":"TRUNCATE","data":null,"isDdl":true}`, "TRUNCATE TABLE", "TRUNCATE TABLE"},
		"watermark":       {`{"type":"TIDB_WATERMARK","data":null}`, ``, ``},
		"Maxwell insert":  {`{"type":"insert","data":{"id":1}}`, `+1{"id":1}`, `+1{"id":1}`},
		"Maxwell update":  {`{"type":"update","data":{"id":1,"a":2},"old":{"a":1}}`, `+1{"id":1,"a":2}`, `-0{"id":1,"a":1} +1{"id":1,"a":2}`},
		"Maxwell delete":  {`{"type":"delete","data":{"id":1}}`, `-0{"id":1}`, `-0{"id":1}`},
		"Maxwell schema":  {`{"type":"table-alter","database":"d","table":"t","old":{"columns":[]},"def":{}}`, ``, ``},
		"Maxwell start":   {`{"type":"bootstrap-start","data":{}}`, ``, ``},
		"no rows":         {`{"type":"INSERT","data":[]}`, ``, ``},
		"not rows":        {`{"type":"INSERT","data":[1]}`, "row 0 of data is number", "row 0 of data is number"},
		"second is wrong": {`{"type":"INSERT","data":[{"id":1},null]}`, "row 1 of data is null", "row 1 of data"},
		"no type":         {`{"data":[{"id":1}]}`, "type is missing", "type is missing"},
		"other type":      {`{"type":"MERGE","data":[{"id":1}]}`, `type is "MERGE"`, "no operation"},
	} {
		t.Run(name, func(t *testing.T) { requireRows(t, FormatCanal, test.record, test.replacing, test.collapsing) })
	}
}

func TestFlink(t *testing.T) {
	for name, test := range map[string]struct{ record, want string }{
		"insert":        {`{"data":{"id":1},"op":"+I"}`, `+1{"id":1}`},
		"update before": {`{"data":{"id":1},"op":"-U"}`, `-0{"id":1}`},
		"update after":  {`{"data":{"id":1},"op":"+U"}`, `+1{"id":1}`},
		"delete":        {`{"data":{"id":1},"op":"-D"}`, `-0{"id":1}`},
		"long name":     {`{"data":{"id":1},"op":"UPDATE_BEFORE"}`, `-0{"id":1}`},
		"no data":       {`{"id":1,"op":"+I"}`, "without the row as it is"},
	} {
		t.Run(name, func(t *testing.T) { requireRows(t, FormatFlink, test.record, test.want, test.want) })
	}
}

func TestMapping(t *testing.T) {
	for name, test := range map[string]struct {
		result any
		want   string
	}{
		"upsert":  {"upsert", `+1{"id":1}`},
		"update":  {"update", `+1{"id":1}`},
		"delete":  {"DELETE", `-0{"id":1}`},
		"ignore":  {"ignore", ``},
		"images":  {map[string]any{"op": "u", "before": map[string]any{"id": 5}, "after": map[string]any{"id": 6}}, `-0{"id":5} +1{"id":6}`},
		"values":  {map[string]any{"op": "c", "after": map[string]any{"id": json.Number("18446744073709551615"), "b": []byte("a\"\xff"), "f": math.Inf(1)}}, "+1{\"b\":\"a\\\"\xff\",\"f\":\"inf\",\"id\":18446744073709551615}"},
		"nothing": {nil, "changes.operation has no result"},
		"number":  {7, "changes.operation made int"},
		"word":    {"remove", `changes.operation is "remove"`},
		"no row":  {map[string]any{"op": "c", "after": 7}, "after of changes.operation is a int"},
	} {
		t.Run(name, func(t *testing.T) {
			rows, err := newDecoder(t, Options{Format: FormatMapping}).Rows(Record{Value: []byte(`{"id":1}`), Operation: test.result})
			if test.want != "" && test.want[0] != '+' && test.want[0] != '-' {
				require.ErrorContains(t, err, test.want)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, told(rows))
		})
	}
}

// An upsert may replace a row, which collapsing has to take back.
func TestUpsertsThatCollapse(t *testing.T) {
	d := newDecoder(t, Options{Mode: Collapsing, Format: FormatMapping})
	for _, unknown := range []any{"upsert", map[string]any{"op": "upsert", "after": map[string]any{"id": 1}}} {
		_, err := d.Rows(Record{Value: []byte(`{"id":1}`), Operation: unknown})
		require.ErrorContains(t, err, "an upsert without the row as it was")
	}
	rows, err := d.Rows(Record{Value: []byte(`{"id":1}`), Operation: map[string]any{"op": "upsert", "before": map[string]any{"id": 1}, "after": map[string]any{"id": 2}}})
	require.NoError(t, err)
	require.Equal(t, `-0{"id":1} +1{"id":2}`, told(rows))
}

// A row that is taken away without all of its key would be looked for under a key that has defaults in it.
func TestRowsTakenAwayAreWhole(t *testing.T) {
	d := newDecoder(t, Options{Keys: []string{"id", "tenant", "region"}, Complete: []string{"id", "tenant"}, Tombstones: PolicyDelete})
	for _, record := range []Record{
		{Value: []byte(`{"op":"d","before":{"id":1}}`)},
		{Key: []byte(`{"id":1}`)},
		{Value: []byte(`{"op":"u","before":{"id":1},"after":{"id":2,"tenant":1}}`)},
	} {
		_, err := d.Rows(record)
		require.ErrorContains(t, err, `does not have tenant, which the table is ordered by`)
	}
	for _, record := range []Record{
		{Value: []byte(`{"op":"d","before":{"id":1,"tenant":null}}`)},
		{Key: []byte(`{"id":1,"tenant":2}`)},
		{Value: []byte(`{"op":"c","after":{"id":1}}`)},
		{Value: []byte(`{"op":"u","before":{"id":1},"after":{"id":1}}`)},
	} {
		rows, err := d.Rows(record)
		require.NoError(t, err)
		require.Len(t, rows, 1)
	}
}

func TestTombstones(t *testing.T) {
	for name, test := range map[string]struct {
		policy    Policy
		key, want string
		err       string
	}{
		"ignored":     {policy: PolicyIgnore, key: `{"id":1}`},
		"refused":     {policy: PolicyReject, key: `{"id":1}`, err: "no value"},
		"deleted":     {policy: PolicyDelete, key: `{"id":1}`, want: `-0{"id":1}`},
		"wrapped key": {policy: PolicyDelete, key: `{"schema":{},"payload":{"id":1}}`, want: `-0{"id":1}`},
		"own payload": {policy: PolicyDelete, key: `{"payload":{"id":1}}`, want: `-0{"payload":{"id":1}}`},
		"no key":      {policy: PolicyDelete, err: "is not a JSON object"},
		"text key":    {policy: PolicyDelete, key: `abc`, err: `its key "abc" is not a JSON object`},
	} {
		t.Run(name, func(t *testing.T) {
			rows, err := newDecoder(t, Options{Tombstones: test.policy}).Rows(Record{Key: []byte(test.key)})
			if test.err != "" {
				require.ErrorContains(t, err, test.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, told(rows))
		})
	}
}

func TestTruncationsMayBePassedOver(t *testing.T) {
	d := newDecoder(t, Options{Truncations: PolicyIgnore})
	rows, err := d.Rows(Record{Value: []byte(`{"op":"t"}`)})
	require.NoError(t, err)
	require.Empty(t, rows)
}

func TestEnvelope(t *testing.T) {
	for name, record := range map[string]string{
		"bare":    `{"op":"c","after":{"id":1},"source":{"lsn":12345678901234567890,"db":"sh\u006fp","snapshot":null},"ts_ms":5}`,
		"wrapped": `{"payload":{"op":"c","after":{"id":1},"source":{"lsn":12345678901234567890,"db":"sh\u006fp","snapshot":null},"ts_ms":5},"ts_ms":9}`,
	} {
		t.Run(name, func(t *testing.T) {
			d := newDecoder(t, Options{Envelope: []string{"source.lsn", "source.db", "op", "ts_ms", "source.snapshot", "nowhere", "source"}})
			_, err := d.Rows(Record{Value: []byte(record)})
			require.NoError(t, err)
			var got []string
			for i := range 6 {
				v, ok := d.Envelope(i)
				got = append(got, fmt.Sprintf("%v %v", v, ok))
			}
			require.Equal(t, []string{"12345678901234567890 true", "shop true", "c true", "5 true", "<nil> true", "<nil> false"}, got)
			_, err = d.Rows(Record{})
			require.NoError(t, err)
			_, ok := d.Envelope(0)
			require.False(t, ok, "a tombstone has no envelope")
		})
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, test := range map[string]struct {
		opts        Options
		errContains string
	}{
		"mode":       {Options{Mode: "append"}, "write_mode"},
		"format":     {Options{Mode: Replacing, Format: "avro"}, "changes.format"},
		"tombstones": {Options{Mode: Replacing, Tombstones: "keep"}, "changes.tombstones"},
		"collapsing": {Options{Mode: Collapsing, Tombstones: PolicyDelete}, "does not go with write_mode collapsing"},
		"truncation": {Options{Mode: Replacing, Truncations: PolicyDelete}, "changes.truncations"},
		"envelope":   {Options{Mode: Replacing, Envelope: []string{"a."}}, "path of an envelope"},
		"key":        {Options{Mode: Replacing, Keys: []string{"a."}}, "path of a key"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewDecoder(test.opts)
			require.ErrorContains(t, err, test.errContains)
		})
	}
}

func BenchmarkDebezium(b *testing.B) {
	row := func(n int) string {
		return fmt.Sprintf(`{"id":%d,"customer_id":42,"status":"shipped","amount":"19.99","note":"left at the door","created_at":1700000000000,"updated_at":1700000000000}`, n)
	}
	record := []byte(`{"before":` + row(1) + `,"after":` + row(1) + `,"source":{"version":"3.0","connector":"postgresql","name":"shop","ts_ms":1700000000000,"db":"shop","schema":"public","table":"orders","lsn":123456},"op":"u","ts_ms":1700000000001}`)
	for _, mode := range []Mode{Replacing, Collapsing} {
		b.Run(string(mode), func(b *testing.B) {
			d := newDecoder(b, Options{Mode: mode})
			b.SetBytes(int64(len(record)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Rows(Record{Value: record}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
