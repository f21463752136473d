package jsonscan

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/go-faster/jx"
	"github.com/stretchr/testify/require"
)

// event is a typical clickstream event: 21 fields, 490 bytes.
const event = `{"event_id":"018f3c1a-7b2e-7c41-9d55-0a1b2c3d4e5f","event_type":"product_view","ts":"2026-03-14T09:26:53.589Z","user_id":184467440,` +
	`"session_id":"a81bc81b-dead-4e5d-abff-90865d1e13b1","sku":"SKU-004217","price":129.95,"quantity":2,"currency":"EUR","country":"DE","city":"Berlin",` +
	`"channel":"email","device":"mobile","os":"Android 15","browser":"Chrome","referrer":"https://example.com/","url":"/p/4217","is_new":true,` +
	`"duration_ms":5321,"tags":["sale","new"],"props":{"ab":"B"}}`

func eventPaths() []string {
	var paths []string
	span, _ := Value([]byte(event))
	for m := NewMembers([]byte(event), span); ; {
		name, _, ok := m.Next()
		if !ok {
			return paths
		}
		paths = append(paths, string(name.Bytes([]byte(event))))
	}
}

// shuffled returns the object with its members in another order.
func shuffled(doc string, seed uint64) string {
	var members []string
	span, _ := Value([]byte(doc))
	for m := NewMembers([]byte(doc), span); ; {
		name, value, ok := m.Next()
		if !ok {
			break
		}
		text := string(value.Bytes([]byte(doc)))
		if value.Kind == String || value.Kind == Escaped {
			text = `"` + text + `"`
		}
		members = append(members, `"`+string(name.Bytes([]byte(doc)))+`":`+text)
	}
	rand.New(rand.NewPCG(seed, seed)).Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	return "{" + strings.Join(members, ",") + "}"
}

func repeat(n int, doc func(i int) string) [][]byte {
	docs := make([][]byte, n)
	for i := range docs {
		docs[i] = []byte(doc(i))
	}
	return docs
}

// varied returns events of one shape whose values differ in content and length, as a topic's do.
func varied() [][]byte {
	return repeat(64, func(i int) string {
		r := rand.New(rand.NewPCG(uint64(i), 0))
		word := func(n int) string { return strings.Repeat("abcdefghij", 5)[:1+r.IntN(n)] }
		return fmt.Sprintf(`{"event_id":"018f3c1a-7b2e-7c41-9d55-%012x","event_type":"%s","ts":"2026-03-14T09:26:53.%03dZ","user_id":%d,`+
			`"session_id":"a81bc81b-dead-4e5d-abff-%012x","sku":"SKU-%06d","price":%.2f,"quantity":%d,"currency":"EUR","country":"DE","city":"%s",`+
			`"channel":"%s","device":"%s","os":"%s","browser":"%s","referrer":"https://%s","url":"/p/%d","is_new":%t,`+
			`"duration_ms":%d,"tags":["%s","new"],"props":{"ab":"B"}}`,
			r.Uint64()>>16, word(16), r.IntN(1000), r.Uint32()>>r.IntN(16), r.Uint64()>>16, r.IntN(1e6), r.Float64()*1000, r.IntN(20),
			word(12), word(8), word(8), word(12), word(8), word(20), r.IntN(1e5), r.IntN(2) == 0, r.IntN(1e5), word(6))
	})
}

func benchmarkScan(b *testing.B, docs [][]byte, opts Options, paths ...string) {
	b.Helper()
	s := compile(b, opts, paths...).NewScanner()
	spans := make([]Span, len(paths))
	total := 0
	for _, doc := range docs {
		require.NoError(b, s.Scan(doc, spans))
		total += len(doc)
	}
	b.SetBytes(int64(total / len(docs)))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if err := s.Scan(docs[i], spans); err != nil {
			b.Fatal(err)
		}
		if i++; i == len(docs) {
			i = 0
		}
	}
}

func BenchmarkScan(b *testing.B) {
	all := eventPaths()
	one := [][]byte{[]byte(event)}
	b.Run("event", func(b *testing.B) { benchmarkScan(b, one, Options{}, all...) })
	b.Run("varied", func(b *testing.B) { benchmarkScan(b, varied(), Options{}, all...) })
	b.Run("shuffled", func(b *testing.B) {
		benchmarkScan(b, repeat(64, func(i int) string { return shuffled(event, uint64(i)) }), Options{}, all...)
	})
	b.Run("optional", func(b *testing.B) { // each event lacks some of the members
		benchmarkScan(b, repeat(64, func(i int) string {
			return strings.Replace(strings.Replace(event, `"channel":"email",`, "", i%2), `"price":129.95,"quantity":2,`, "", i/2%2)
		}), Options{}, all...)
	})
	b.Run("spaced", func(b *testing.B) {
		benchmarkScan(b, [][]byte{[]byte(strings.NewReplacer(`":`, `": `, `,"`, `, "`).Replace(event))}, Options{}, all...)
	})
	b.Run("escapes", func(b *testing.B) {
		benchmarkScan(b, [][]byte{[]byte(strings.NewReplacer("/", `\/`, "Berlin", `Z\u00fcrich`, "Android ", `Android\t`).Replace(event))}, Options{}, all...)
	})
	b.Run("non-ascii", func(b *testing.B) {
		benchmarkScan(b, [][]byte{[]byte(strings.NewReplacer("Berlin", "Москва", "Chrome", "浏览器", "sale", "распродажа").Replace(event))}, Options{}, all...)
	})
	b.Run("nested", func(b *testing.B) {
		doc := `{"id":1,"user":{"id":42,"name":{"first":"Ada","last":"L"},"roles":["a","b",{"x":1}]},"geo":{"pos":[52.5,13.4]},"payload":` + event + `}`
		benchmarkScan(b, [][]byte{[]byte(doc)}, Options{}, "id", "user.id", "user.name.first", "user.roles[1]", "geo.pos[0]", "geo.pos[1]", "payload.sku", "payload.tags")
	})
	b.Run("few", func(b *testing.B) { benchmarkScan(b, one, Options{}, "sku", "country", "channel") })
	b.Run("few-early", func(b *testing.B) { benchmarkScan(b, one, Options{StopEarly: true}, "sku", "country", "channel") })
	b.Run("few-varied", func(b *testing.B) { benchmarkScan(b, varied(), Options{}, "sku", "country", "channel") })
	b.Run("none", func(b *testing.B) { benchmarkScan(b, one, Options{}) })
	b.Run("big-skip", func(b *testing.B) {
		doc := `{"a":1,"payload":[` + strings.Repeat(event+",", 200) + `null]}`
		benchmarkScan(b, [][]byte{[]byte(doc)}, Options{}, "a")
	})
	b.Run("long-string", func(b *testing.B) {
		benchmarkScan(b, [][]byte{[]byte(`{"a":"` + strings.Repeat("x", 100_000) + `"}`)}, Options{}, "a")
	})
}

// BenchmarkOthers is the yardstick for BenchmarkScan on the same events.
func BenchmarkOthers(b *testing.B) {
	docs := varied()
	run := func(name string, do func(doc []byte) error) {
		b.Run(name, func(b *testing.B) {
			total := 0
			for _, doc := range docs {
				total += len(doc)
			}
			b.SetBytes(int64(total / len(docs)))
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if err := do(docs[i]); err != nil {
					b.Fatal(err)
				}
				if i++; i == len(docs) {
					i = 0
				}
			}
		})
	}
	var d jx.Decoder
	run("jx-skip", func(doc []byte) error {
		d.ResetBytes(doc)
		return d.Skip()
	})
	run("jx-spans", func(doc []byte) error {
		d.ResetBytes(doc)
		return d.ObjBytes(func(d *jx.Decoder, key []byte) error {
			_, err := d.Raw()
			return err
		})
	})
	run("stdlib-valid", func(doc []byte) error {
		if !json.Valid(doc) {
			return ErrNotObject
		}
		return nil
	})
	run("stdlib-map", func(doc []byte) error {
		var m map[string]any
		return json.Unmarshal(doc, &m)
	})
}

func BenchmarkNumbers(b *testing.B) {
	for _, text := range []string{"2", "5321", "184467440", "1700000000123", "1e3", "129.95", "3.141592653589793"} {
		b.Run("int/"+text, func(b *testing.B) {
			for b.Loop() {
				_, _ = ParseInt64([]byte(text))
			}
		})
		b.Run("float/"+text, func(b *testing.B) {
			for b.Loop() {
				_, _ = ParseFloat([]byte(text), 64)
			}
		})
	}
}

func BenchmarkUnescape(b *testing.B) {
	raw := []byte(`Z\u00fcrich, \"Bahnhofstrasse\" 12\/3, a text of some length that is mostly plain`)
	var out []byte
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		out, _ = Unescape(out[:0], raw)
	}
}

func TestEventIsWhatTheBenchmarksSay(t *testing.T) {
	require.Len(t, eventPaths(), 21)
	require.InDelta(t, 490, len(event), 25)
}
