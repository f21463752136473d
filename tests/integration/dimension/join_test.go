package dimension

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/delivery"
	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/lookup"
	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/source"
	"github.com/benthos-clickhouse/connect/tests/services"
)

func TestSeveralDimensions(t *testing.T) {
	server.Exec(t, `
		CREATE OR REPLACE TABLE md_product (sku VARCHAR(32) PRIMARY KEY, name VARCHAR(50), category_id INT);
		CREATE OR REPLACE TABLE md_category (id INT PRIMARY KEY, title VARCHAR(50));
		CREATE OR REPLACE TABLE md_price (shop INT, sku VARCHAR(32), price DECIMAL(10,2), PRIMARY KEY (shop, sku));
		INSERT INTO md_product VALUES ('a','Apple',1), ('b','Bread',2), ('c','Car',NULL);
		INSERT INTO md_category VALUES (1,'Fruit'), (2,'Bakery');
		INSERT INTO md_price VALUES (1,'a',1.50), (2,'a',1.75), (1,'b',3.00)`)
	p := join(t, `
dsn: "$DSN"
dimensions:
  - name: category
    table: md_category
    key: { id: this.product_category_id }
    target: category
  - name: product
    table: md_product
    key: { sku: this.item.sku }
    columns: [ name, category_id ]
    prefix: product_
    rename: { name: title }
  - name: price
    table: md_price
    key: { sku: this.item.sku, shop: this.shop }
    columns: [ price ]
    on_missing: default
    defaults: { price: 0 }
`)
	out := run(t, p,
		`{"item":{"sku":"a"},"shop":2}`,
		`{"item":{"sku":"b"},"shop":1}`,
		` { "item" : { "sku" : "c" } , "shop" : "1" } `,
		`{"item":{"sku":"zzz"},"shop":1}`,
		`{}`)
	require.Equal(t, []string{
		`{"item":{"sku":"a"},"shop":2,"category":{"title":"Fruit"},"title":"Apple","product_category_id":1,"price":1.75}`,
		`{"item":{"sku":"b"},"shop":1,"category":{"title":"Bakery"},"title":"Bread","product_category_id":2,"price":3.00}`,
		` { "item" : { "sku" : "c" } , "shop" : "1" ,"category":{"title":null},"title":"Car","product_category_id":null,"price":0} `,
		`{"item":{"sku":"zzz"},"shop":1,"category":{"title":null},"title":null,"product_category_id":null,"price":0}`,
		`{"category":{"title":null},"title":null,"product_category_id":null,"price":0}`,
	}, out)
}

func TestQueryWithComputedKey(t *testing.T) {
	server.Exec(t, `
		CREATE OR REPLACE TABLE q_item (code VARCHAR(32), brand_id INT);
		CREATE OR REPLACE TABLE q_brand (id INT PRIMARY KEY, brand VARCHAR(50));
		INSERT INTO q_item VALUES ('X1', 7), ('X2', 8), ('X2', 9);
		INSERT INTO q_brand VALUES (7,'Seven'), (8,'Eight'), (9,'Nine')`)
	p := join(t, `
dsn: "$DSN"
dimensions:
  - name: item
    query: "SELECT code, brand FROM q_item JOIN q_brand ON brand_id = id WHERE code IN {keys}"
    key: { code: 'this.code.uppercase()' }
`)
	batch := process(t, p, `{"code":"x1"}`, `{"code":"x2"}`, `{"code":"x3"}`, `{"code":5}`)
	require.NoError(t, batch[0].GetError())
	require.Equal(t, `{"code":"x1","brand":"Seven"}`, content(t, batch[0]))
	require.Equal(t, `{"code":"x2"}`, content(t, batch[1]), "left as it was")
	var duplicate *source.DuplicateError
	require.ErrorAs(t, batch[1].GetError(), &duplicate)
	require.ErrorContains(t, batch[1].GetError(), `dimension "item": more than one row has the key "X2"`)
	require.Equal(t, `{"code":"x3","brand":null}`, content(t, batch[2]))
	require.ErrorContains(t, batch[3].GetError(), "expected string")
}

func TestQueryWithSeveralKeys(t *testing.T) {
	server.Exec(t, `
		CREATE OR REPLACE TABLE q2 (a VARCHAR(10), b INT, v INT, PRIMARY KEY (a, b));
		INSERT INTO q2 VALUES ('x', 1, 10), ('x', 2, 20), ('?', 1, 30)`)
	p := join(t, `
dsn: "$DSN"
dimensions:
  - { name: q2, query: "SELECT a, b, v FROM q2 WHERE (a, b) IN {keys} AND '?' <> ''", key: { b: this.b, a: this.a } }
`)
	require.Equal(t, []string{`{"a":"x","b":2,"v":20}`, `{"a":"?","b":1,"v":30}`, `{"a":"x","b":3,"v":null}`},
		run(t, p, `{"a":"x","b":2}`, `{"a":"?","b":1}`, `{"a":"x","b":3}`))
}

func content(t testing.TB, msg *service.Message) string {
	t.Helper()
	b, err := msg.AsBytes()
	require.NoError(t, err)
	return string(b)
}

// Keys compare exactly, whatever the collation says, and nothing in a key can become a part of the query.
func TestKeysAreExact(t *testing.T) {
	server.Exec(t, `
		CREATE OR REPLACE TABLE k_ci (k VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY, v INT);
		INSERT INTO k_ci VALUES ('ABC', 1), ('straße', 2), ('x''y\\z', 3), ('', 4), ('1', 5), ('?', 6)`)
	p := join(t, `
dsn: "$DSN"
dimensions: [ { name: k, table: k_ci, key: { k: this.k } } ]
`)
	for key, want := range map[string]string{
		"ABC": "1", "abc": "null", "ABC ": "null", "straße": "2", "strasse": "null", `x'y\z`: "3", "": "4",
		`' OR 1=1 -- `: "null", `\' OR 1=1 -- `: "null", "?": "6", "1": "5", "01": "null",
	} {
		k, err := json.Marshal(key)
		require.NoError(t, err)
		require.Equal(t, []string{fmt.Sprintf(`{"k":%s,"v":%s}`, k, want)}, run(t, p, fmt.Sprintf(`{"k":%s}`, k)))
	}
	// The spellings together in one query, too.
	require.Equal(t, []string{`{"k":"abc","v":null}`, `{"k":"ABC","v":1}`, `{"k":"Abc","v":null}`},
		run(t, p, `{"k":"abc"}`, `{"k":"ABC"}`, `{"k":"Abc"}`))
	require.Equal(t, []string{`{"k":1,"v":5}`}, run(t, p, `{"k":1}`), "a number finds its text")
}

// An event whose key makes a server reject a query, or could, does not keep those beside it waiting.
func TestKeysThatAServerRejects(t *testing.T) { onBoth(t, testKeysThatAServerRejects) }

func testKeysThatAServerRejects(t *testing.T, server *services.MySQL) {
	t.Helper()
	server.Exec(t, `
		DROP TABLE IF EXISTS rejected;
		CREATE TABLE rejected (k VARCHAR(100) CHARACTER SET utf8mb4 PRIMARY KEY, d DATETIME, v INT);
		INSERT INTO rejected VALUES ('é', '2026-02-03 04:05:06', 1)`)
	for column, keys := range map[string][]string{
		"k": {`"é"`, "\"\xff\"", `"` + strings.Repeat("x", 17<<20) + `"`},
		"d": {`"2026-02-03T04:05:06Z"`, `"9999-12-31T23:59:59-10:00"`, `"0000-01-01T00:00:00+10:00"`},
	} {
		p := joinWith(t, server.DSN(), fmt.Sprintf(`
dsn: "$DSN"
dimensions: [ { name: rejected, table: rejected, key: { %s: this.k }, columns: [ v ] } ]
`, column))
		docs := make([]string, len(keys))
		for i, k := range keys {
			docs[i] = `{"k":` + k + `}`
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		batch, err := tryProcess(ctx, p, docs...)
		require.NoError(t, err)
		require.Equal(t, `{"k":`+keys[0]+`,"v":1}`, content(t, batch[0]))
		for i := 1; i < len(keys); i++ {
			var key *source.KeyError
			require.ErrorAs(t, batch[i].GetError(), &key)
			require.Equal(t, docs[i], content(t, batch[i]), "it is as it was")
		}
	}
}

func TestKeyTypes(t *testing.T) {
	server.Exec(t, `
		CREATE OR REPLACE TABLE kt (i INT UNSIGNED, d DECIMAL(10,3), b BINARY(16), vb VARBINARY(20), dt DATE, dtm DATETIME, ts TIMESTAMP NULL, u UUID, y YEAR, e ENUM('a','b'), n INT);
		SET time_zone = '+00:00';
		INSERT INTO kt VALUES (4000000000, 12.500, UNHEX('00112233445566778899aabbccddeeff'), 'raw', '2026-02-03', '2026-02-03 04:05:06', '2026-02-03 04:05:06',
			'123e4567-e89b-12d3-a456-426614174000', 1999, 'b', 1);
		SET time_zone = DEFAULT`)
	for _, tc := range []struct{ column, field, bad string }{
		{"i", `4000000000`, `-1`},
		{"i", `"4000000000"`, `"4000000000x"`},
		{"i", `4e9`, `4000000000.5`},
		{"d", `12.5`, `"twelve"`},
		{"d", `"12.50000"`, `[]`},
		{"b", `"00112233-4455-6677-8899-aabbccddeeff"`, `12`},
		{"b", `"00112233445566778899AABBCCDDEEFF"`, `{}`},
		{"vb", `"raw"`, `true`},
		{"dt", `"2026-02-03"`, `20260203`},
		{"dt", `"2026-02-03T03:00:00+09:00"`, `"3.2.2026"`},
		{"dtm", `"2026-02-03 04:05:06"`, `"soon"`},
		{"dtm", `"2026-02-03T03:05:06Z"`, `"2026-13-03T03:05:06Z"`},
		{"ts", `"2026-02-03T04:05:06Z"`, `1`},
		{"u", `"123E4567-E89B-12D3-A456-426614174000"`, `"123"`},
		{"y", `1999`, `"x"`},
		{"e", `"b"`, `[]`},
	} {
		t.Run(tc.column+" "+tc.field, func(t *testing.T) {
			p := join(t, fmt.Sprintf(`
dsn: "$DSN"
dimensions: [ { name: kt, table: kt, key: { %s: this.k }, columns: [ n ], time_zone: Europe/Berlin } ]
`, tc.column))
			batch := process(t, p, `{"k":`+tc.field+`}`, `{"k":`+tc.bad+`}`, `{"k":null}`)
			want := `{"k":` + tc.field + `,"n":1}`
			if tc.field == `"2026-02-03T03:00:00+09:00"` {
				want = `{"k":` + tc.field + `,"n":null}` // still the day before in Berlin
			}
			require.Equal(t, want, content(t, batch[0]))
			require.NoError(t, batch[0].GetError())
			require.Equal(t, `{"k":`+tc.bad+`}`, content(t, batch[1]))
			var key *source.KeyError
			require.ErrorAs(t, batch[1].GetError(), &key)
			require.ErrorContains(t, batch[1].GetError(), `dimension "kt": key `+shown(tc.bad)+` cannot match column "`+tc.column+`"`)
			require.Equal(t, `{"k":null,"n":null}`, content(t, batch[2]))
		})
	}
}

func TestOnMissing(t *testing.T) {
	server.Exec(t, `
		CREATE OR REPLACE TABLE om (id INT PRIMARY KEY, v VARCHAR(10));
		INSERT INTO om VALUES (1,'one'), (3,'three')`)
	yaml := `
dsn: "$DSN"
dimensions: [ { name: om, table: om, key: { id: this.id }, on_missing: %s } ]
`
	docs := []string{`{"id":1}`, `{"id":2}`, `{}`, `{"id":3}`, `not json`, `[1]`}
	t.Run("drop", func(t *testing.T) {
		p := join(t, fmt.Sprintf(yaml, "drop"))
		require.Equal(t, []string{`{"id":1,"v":"one"}`, `{"id":3,"v":"three"}`, `not json`, `[1]`}, run(t, p, docs...))
		require.Empty(t, run(t, p, `{"id":2}`), "every event dropped")
	})
	t.Run("error", func(t *testing.T) {
		p := join(t, fmt.Sprintf(yaml, "error"))
		batch := process(t, p, docs...)
		require.Len(t, batch, len(docs))
		var missing *lookup.MissingError
		require.ErrorAs(t, batch[1].GetError(), &missing)
		require.Equal(t, `"2"`, missing.Key)
		require.ErrorContains(t, batch[2].GetError(), "the event has no key")
		require.ErrorContains(t, batch[4].GetError(), "joining dimensions")
		require.ErrorIs(t, batch[5].GetError(), lookup.ErrNotObject)
		for i, want := range []string{`{"id":1,"v":"one"}`, docs[1], docs[2], `{"id":3,"v":"three"}`, docs[4], docs[5]} {
			require.Equal(t, want, content(t, batch[i]))
		}
	})
}

// Late rows are waited for, within a bound; what is still not there then is missing like any other.
func TestRetryMissing(t *testing.T) {
	for onMissing, want := range map[string][]string{
		"'null'":  {`{"id":2,"v":null}`},
		"default": {`{"id":2,"v":"?"}`},
		"drop":    nil,
		"error":   {`{"id":2}`},
	} {
		t.Run(onMissing, func(t *testing.T) {
			server.Exec(t, `CREATE OR REPLACE TABLE late (id INT PRIMARY KEY, v VARCHAR(10)); INSERT INTO late VALUES (1,'one')`)
			defaults := "{}"
			if onMissing == "default" {
				defaults = "{ v: '?' }"
			}
			p := join(t, fmt.Sprintf(`
dsn: "$DSN"
dimensions: [ { name: late, table: late, key: { id: this.id }, on_missing: %s, defaults: %s, retry_missing: { attempts: 200, delay: 10ms } } ]
`, onMissing, defaults))
			run(t, p, `{"id":1}`)
			out := later(t, p, `{"id":1}`, `{"id":3}`, `{"id":1}`)
			require.Never(t, func() bool { return len(out) > 0 }, 200*time.Millisecond, 20*time.Millisecond, "the row may still come")
			server.Exec(t, `INSERT INTO late VALUES (3, 'late')`)
			require.Equal(t, []string{`{"id":1,"v":"one"}`, `{"id":3,"v":"late"}`, `{"id":1,"v":"one"}`}, <-out)

			short := join(t, fmt.Sprintf(`
dsn: "$DSN"
dimensions: [ { name: late, table: late, key: { id: this.id }, on_missing: %s, defaults: %s, retry_missing: { attempts: 2, delay: 10ms } } ]
`, onMissing, defaults))
			batch := process(t, short, `{"id":1}`, `{"id":2}`)
			require.Equal(t, `{"id":1,"v":"one"}`, content(t, batch[0]))
			require.Len(t, batch[1:], len(want))
			for i, msg := range batch[1:] {
				require.Equal(t, want[i], content(t, msg))
				require.Equal(t, onMissing == "error", msg.GetError() != nil)
			}
		})
	}
}

// packed makes a message of several records.
func packed(values ...string) *service.Message {
	r := &delivery.Records{Topic: "clicks", Partition: 3}
	var content []byte
	for i, v := range values {
		content = append(content, v...)
		r.Ends = append(r.Ends, len(content))
		content = append(content, '\n')
		r.Offsets = append(r.Offsets, int64(100+i))
		r.Timestamps = append(r.Timestamps, int64(1000+i))
		r.Keys = append(r.Keys, []byte{byte('a' + i)})
	}
	msg := service.NewMessage(content)
	msg.MetaSetMut(delivery.MetaRecords, r)
	return msg
}

func TestRecords(t *testing.T) {
	server.Exec(t, `
		CREATE OR REPLACE TABLE rec (id INT PRIMARY KEY, v VARCHAR(10));
		INSERT INTO rec VALUES (1,'one'), (3,'three')`)
	values := []string{`{"id":1}`, "{\n\"id\":2}", ``, `{"id":"x"}`, `{"id":3}`, `{"id":1,"v":"old"}`}
	for _, tc := range []struct {
		onMissing string
		values    []string
		offsets   []int64
		errs      map[int]string
	}{
		{
			"'null'",
			[]string{`{"id":1,"v":"one"}`, "{\n\"id\":2,\"v\":null}", ``, `{"id":"x"}`, `{"id":3,"v":"three"}`, `{"id":1,"v":"one"}`},
			[]int64{100, 101, 102, 103, 104, 105},
			map[int]string{2: "joining dimensions", 3: `key "x" cannot match`},
		},
		{
			"drop",
			[]string{`{"id":1,"v":"one"}`, ``, `{"id":"x"}`, `{"id":3,"v":"three"}`, `{"id":1,"v":"one"}`},
			[]int64{100, 102, 103, 104, 105},
			map[int]string{1: "joining dimensions", 2: `key "x" cannot match`},
		},
		{
			"error",
			[]string{`{"id":1,"v":"one"}`, "{\n\"id\":2}", ``, `{"id":"x"}`, `{"id":3,"v":"three"}`, `{"id":1,"v":"one"}`},
			[]int64{100, 101, 102, 103, 104, 105},
			map[int]string{1: "there is no row", 2: "joining dimensions", 3: `key "x" cannot match`},
		},
	} {
		t.Run(tc.onMissing, func(t *testing.T) {
			p := join(t, fmt.Sprintf(`
dsn: "$DSN"
dimensions: [ { name: rec, table: rec, key: { id: this.id }, on_missing: %s } ]
`, tc.onMissing))
			type lease struct{}
			leased := packed(values...).WithContext(context.WithValue(t.Context(), lease{}, "held"))
			batches, err := p.ProcessBatch(t.Context(), service.MessageBatch{leased, packed(values[0]), packed()})
			require.NoError(t, err)
			require.Len(t, batches, 1)
			require.Len(t, batches[0], 3)
			msg := batches[0][0]
			require.Equal(t, "held", msg.Context().Value(lease{}), "the context goes on to the output")
			require.NoError(t, msg.GetError())
			v, ok := msg.MetaGetMut(delivery.MetaRecords)
			require.True(t, ok)
			r := v.(*delivery.Records)
			b, err := msg.AsBytes()
			require.NoError(t, err)
			require.NoError(t, r.Check(b))
			require.Equal(t, tc.offsets, r.Offsets)
			for i, want := range tc.values {
				require.Equal(t, want, string(r.Value(b, i)))
				require.Equal(t, r.Offsets[i]+900, r.Timestamps[i])
				require.Equal(t, []byte{byte('a' + r.Offsets[i] - 100)}, r.Keys[i])
			}
			require.Len(t, r.Errors, len(tc.errs))
			for i, text := range tc.errs {
				require.ErrorContains(t, r.Errors[i], text)
			}
			require.Equal(t, "clicks", r.Topic)
			require.Equal(t, `{"id":1,"v":"one"}`+"\n", content(t, batches[0][1]))
		})
	}
}

func TestRecordsThatNoLongerFit(t *testing.T) {
	server.Exec(t, `CREATE OR REPLACE TABLE fit (id INT PRIMARY KEY, v VARCHAR(10))`)
	p := join(t, `
dsn: "$DSN"
dimensions: [ { name: fit, table: fit, key: { id: this.id } } ]
`)
	msg := packed(`{"id":1}`, `{"id":2}`)
	msg.SetBytes([]byte("changed"))
	batches, err := p.ProcessBatch(t.Context(), service.MessageBatch{msg})
	require.NoError(t, err)
	require.ErrorIs(t, batches[0][0].GetError(), delivery.ErrRecords)
	require.Equal(t, "changed", content(t, batches[0][0]))
}

// An error of one event is never an error of the batch.
func TestStructuredMessages(t *testing.T) {
	server.Exec(t, `
		CREATE OR REPLACE TABLE str (id INT PRIMARY KEY, v JSON, n DECIMAL(5,2));
		INSERT INTO str VALUES (1,'{"a":[1]}', 1.50)`)
	p := join(t, `
dsn: "$DSN"
dimensions: [ { name: str, table: str, key: { id: this.id }, target: row } ]
`)
	object := map[string]any{"id": 1, "x": "y"}
	mutable, shared, list := service.NewMessage(nil), service.NewMessage(nil), service.NewMessage(nil)
	mutable.SetStructuredMut(map[string]any{"id": json.Number("1")})
	shared.SetStructured(object)
	list.SetStructuredMut([]any{1})
	batches, err := p.ProcessBatch(t.Context(), service.MessageBatch{mutable, shared, list})
	require.NoError(t, err)
	got := batches[0]
	require.False(t, got[0].HasBytes(), "nothing was written as bytes")
	require.Equal(t, map[string]any{"id": 1, "x": "y"}, object, "a structure that others hold is not touched")
	require.JSONEq(t, `{"id":1,"row":{"v":{"a":[1]},"n":1.50}}`, content(t, got[0]))
	require.JSONEq(t, `{"id":1,"x":"y","row":{"v":{"a":[1]},"n":1.50}}`, content(t, got[1]))
	require.ErrorIs(t, got[2].GetError(), lookup.ErrNotObject)
}

// shown is how an error prints a key.
func shown(literal string) string {
	switch literal[0] {
	case '{':
		return "that is an object"
	case '[':
		return "that is an array"
	default:
		return literal
	}
}

// A server's own limit to the rows of an answer would make those beyond it look missing.
func TestNoRowIsCutOff(t *testing.T) {
	onBoth(t, func(t *testing.T, server *services.MySQL) {
		t.Helper()
		server.Exec(t, `DROP TABLE IF EXISTS cut_off; CREATE TABLE cut_off (k INT PRIMARY KEY, v INT); INSERT INTO cut_off VALUES (1,10), (2,20), (3,30)`)
		server.Exec(t, `SET GLOBAL sql_select_limit = 1`)
		defer server.Exec(t, `SET GLOBAL sql_select_limit = 18446744073709551615`)
		for _, load := range []string{"lazy", "full"} {
			p := joinWith(t, server.DSN(), fmt.Sprintf(`
dsn: "$DSN"
dimensions: [ { name: c, table: cut_off, key: { k: this.k }, load: %s } ]
`, load))
			require.Equal(t, []string{`{"k":1,"v":10}`, `{"k":2,"v":20}`, `{"k":3,"v":30}`}, run(t, p, `{"k":1}`, `{"k":2}`, `{"k":3}`), load)
		}
	})
}
