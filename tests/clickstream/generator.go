// Package clickstream makes the events and dimensions that the demo, the benchmark and the chaos suite run on, the same for
// the same seed, and keeps count of what a correct pipeline must leave in ClickHouse.
//
// It owns the shape of an event (config/clickhouse/01_events.sql is its table); it must never read what the pipeline wrote.
package clickstream

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// Options sizes a generated stream. Zero values take the defaults given.
type Options struct {
	Seed       uint64
	Users      int       // distinct users, 50,000; their ids are FirstUser … FirstUser+Users-1
	Products   int       // rows of dim_product, 10,000
	Geos       int       // rows of dim_geography, 400
	Start      time.Time // time of the first event
	Malformed  int       // one malformed event in this many, 10,000; negative for none
	UnknownSKU int       // one event in this many names a product that MySQL does not have, 200
	Late       int       // one event in this many is hours late, 250
}

// FirstUser is the lowest user id.
const FirstUser = 1_000_000

func (o *Options) setDefaults() {
	setDefault(&o.Users, 50_000)
	setDefault(&o.Products, 10_000)
	setDefault(&o.Geos, 400)
	setDefault(&o.Malformed, 10_000)
	setDefault(&o.UnknownSKU, 200)
	setDefault(&o.Late, 250)
	if o.Start.IsZero() {
		o.Start = time.Date(2026, 3, 28, 22, 0, 0, 0, time.UTC)
	}
}

func setDefault(v *int, d int) {
	if *v == 0 {
		*v = d
	}
}

// Generator makes events one after the other. It is not safe for concurrent use.
type Generator struct {
	opts     Options
	rng      *rand.Rand
	users    *rand.Zipf
	products *rand.Zipf
	n        int
}

// New returns a generator that starts at the first event.
func New(opts Options) *Generator {
	opts.setDefaults()
	rng := rand.New(rand.NewPCG(opts.Seed, 0x9e3779b97f4a7c15))
	return &Generator{
		opts:     opts,
		rng:      rng,
		users:    rand.NewZipf(rng, 1.1, 50, uint64(opts.Users-1)),
		products: rand.NewZipf(rng, 1.2, 20, uint64(opts.Products-1)),
	}
}

// Event is one generated event: what a correct pipeline keeps of it.
type Event struct {
	ID         [16]byte
	Type       string
	UserID     uint64
	PriceCents int64
	Quantity   int64
	DurationMs int64
	// Malformed says why the event cannot be inserted; empty for a good one.
	Malformed string
}

var (
	platforms  = []string{"web", "ios", "android", "tv"}
	versions   = []string{"5.12.3", "5.12.4", "5.13.0", "6.0.0-rc1"}
	currencies = []string{"EUR", "USD", "GBP", "JPY"}
	tests      = []string{"cart_v2", "rank_b", "ship_free", "hero", "reco"}
	malformed  = []string{"truncated", "not an object", "not a number", "not a time"}
)

// Next appends the next event's JSON to dst and returns it with the event. One call in Options.Malformed makes an event
// that no table takes, of each kind in turn.
func (g *Generator) Next(dst []byte) ([]byte, Event) {
	i := g.n
	g.n++
	ev := g.draw()
	bad := ""
	if g.opts.Malformed > 0 && i%g.opts.Malformed == g.opts.Malformed-1 {
		bad = malformed[(i/g.opts.Malformed)%len(malformed)]
	}
	ev.Malformed = bad
	if bad == "not an object" {
		return append(dst, `["not", "an", "object"]`...), ev
	}
	start := len(dst)
	dst = g.append(dst, i, &ev)
	if bad == "truncated" {
		dst = dst[:start+(len(dst)-start)*2/3]
	}
	return dst, ev
}

func (g *Generator) draw() Event {
	var ev Event
	hi, lo := g.rng.Uint64(), g.rng.Uint64()
	for b := range 8 {
		ev.ID[b], ev.ID[8+b] = byte(hi>>(8*b)), byte(lo>>(8*b))
	}
	ev.ID[6], ev.ID[8] = ev.ID[6]&0x0f|0x40, ev.ID[8]&0x3f|0x80 // version 4
	ev.UserID = FirstUser + g.users.Uint64()
	switch p := g.rng.IntN(100); {
	case p < 80:
		ev.Type = "page_view"
	case p < 92:
		ev.Type = "add_to_cart"
	case p < 95:
		ev.Type = "checkout"
	default:
		ev.Type = "purchase"
	}
	ev.Quantity = int64(1 + g.rng.IntN(3))
	ev.PriceCents = int64(99 + g.rng.IntN(40_000))
	ev.DurationMs = int64(g.rng.IntN(120_000))
	return ev
}

// append writes the 21 fields of an event, in the order in which a producer's encoder always does.
func (g *Generator) append(dst []byte, i int, ev *Event) []byte {
	r := g.rng
	sku := g.products.Uint64()
	if i%g.opts.UnknownSKU == g.opts.UnknownSKU-1 {
		sku += uint64(g.opts.Products) // not in MySQL
	}
	at := g.opts.Start.Add(time.Duration(i) * time.Millisecond)
	if i%g.opts.Late == g.opts.Late-1 {
		at = at.Add(-time.Duration(1+r.IntN(72)) * time.Hour)
	}
	dst = append(dst, `{"event_id":"`...)
	dst = appendUUID(dst, ev.ID)
	dst = append(dst, `","ts":"`...)
	if ev.Malformed == "not a time" {
		dst = append(dst, "the day before yesterday"...)
	} else {
		dst = at.AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	}
	dst = append(dst, `","event_type":"`...)
	dst = append(dst, ev.Type...)
	dst = append(dst, `","user_id":`...)
	if ev.Malformed == "not a number" {
		dst = append(dst, `"anonymous"`...)
	} else {
		dst = strconv.AppendUint(dst, ev.UserID, 10)
	}
	dst = append(dst, `,"session_id":"s-`...)
	dst = strconv.AppendUint(dst, ev.UserID*31+uint64(i/5000), 16)
	dst = append(dst, `","device_id":"d-`...)
	dst = strconv.AppendUint(dst, ev.UserID*2_654_435_761%(1<<28), 16)
	dst = append(dst, `","platform":"`...)
	dst = append(dst, platforms[ev.UserID%uint64(len(platforms))]...)
	dst = append(dst, `","app_version":"`...)
	dst = append(dst, versions[r.IntN(len(versions))]...)
	dst = append(dst, `","url":"https://a.example/`...)
	dst = appendSKU(dst, sku)
	dst = append(dst, `","referrer":"https://s.example/","sku":"`...)
	dst = appendSKU(dst, sku)
	dst = append(dst, `","geo_id":`...)
	dst = strconv.AppendInt(dst, int64(1+ev.UserID%uint64(g.opts.Geos)), 10)
	dst = append(dst, `,"channel_code":"`...)
	dst = append(dst, channels[r.IntN(len(channels))].code...)
	dst = append(dst, `","price":`...)
	dst = appendCents(dst, ev.PriceCents)
	dst = append(dst, `,"quantity":`...)
	dst = strconv.AppendInt(dst, ev.Quantity, 10)
	dst = append(dst, `,"currency":"`...)
	dst = append(dst, currencies[ev.UserID%uint64(len(currencies))]...)
	dst = append(dst, `","duration_ms":`...)
	dst = strconv.AppendInt(dst, ev.DurationMs, 10)
	dst = append(dst, `,"is_new_user":`...)
	dst = strconv.AppendBool(dst, ev.UserID%17 == 0)
	dst = append(dst, `,"experiments":["`...)
	dst = append(dst, tests[r.IntN(len(tests))]...)
	dst = append(dst, `","`...)
	dst = append(dst, tests[r.IntN(len(tests))]...)
	dst = append(dst, `"],"attributes":{"page":"`...)
	dst = strconv.AppendInt(dst, int64(r.IntN(40)), 10)
	dst = append(dst, `","v":"2"},"ip":"203.0.113.`...)
	dst = strconv.AppendInt(dst, int64(r.IntN(256)), 10)
	return append(dst, `"}`...)
}

func appendUUID(dst []byte, id [16]byte) []byte {
	for k, part := range [...][]byte{id[0:4], id[4:6], id[6:8], id[8:10], id[10:16]} {
		if k > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, part)
	}
	return dst
}

func appendSKU(dst []byte, n uint64) []byte { return fmt.Appendf(dst, "sku-%05d", n) }

func appendCents(dst []byte, c int64) []byte {
	dst = strconv.AppendInt(dst, c/100, 10)
	dst = append(dst, '.', byte('0'+c/10%10), byte('0'+c%10))
	return dst
}
