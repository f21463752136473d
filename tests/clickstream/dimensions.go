package clickstream

import (
	"fmt"
	"strings"
)

// Product is a row of dim_product.
type Product struct{ SKU, Name, Category, Brand string }

// Geo is a row of dim_geography.
type Geo struct {
	ID            int
	Country, City string
}

// Channel is a row of dim_channel.
type Channel struct{ Code, Name, Medium string }

var channels = []struct{ code, name, medium string }{
	{"direct", "Direct", "none"},
	{"seo", "Organic search", "organic"},
	{"sea-brand", "Search ads, brand", "cpc"},
	{"sea-generic", "Search ads, generic", "cpc"},
	{"mail-weekly", "Weekly \"best of\" mail", "email"},
	{"social-a", "Social A", "social"},
	{"social-b", "Social B", "social"},
	{"affiliate", "Affiliates", "referral"},
}

var (
	categories = []string{"Shoes", "Jackets", "Küche & Bad", "Toys", "Books", "Garden", "Audio", "Bikes"}
	brands     = []string{"Norr", "Alba", "Kestrel", "Öland", "Quill", "Tarn"}
	countries  = []string{"DE", "FR", "SE", "GB", "US", "JP", "BR", "IN"}
)

// ProductRows returns the rows of dim_product for the options.
func (o Options) ProductRows() []Product {
	o.setDefaults()
	rows := make([]Product, o.Products)
	for i := range rows {
		cat, brand := categories[i%len(categories)], brands[i%len(brands)]
		rows[i] = Product{string(appendSKU(nil, uint64(i))), fmt.Sprintf("%s %s no. %d", brand, cat, i), cat, brand}
	}
	return rows
}

// GeoRows returns the rows of dim_geography for the options.
func (o Options) GeoRows() []Geo {
	o.setDefaults()
	rows := make([]Geo, o.Geos)
	for i := range rows {
		c := countries[i%len(countries)]
		rows[i] = Geo{i + 1, c, fmt.Sprintf("%s-City %d", c, i)}
	}
	return rows
}

// ChannelRows returns the rows of dim_channel.
func ChannelRows() []Channel {
	rows := make([]Channel, len(channels))
	for i, c := range channels {
		rows[i] = Channel{c.code, c.name, c.medium}
	}
	return rows
}

// MySQLInserts returns statements that fill the three dimension tables, 500 rows each at the most.
func (o Options) MySQLInserts() []string {
	var products, geos, chans []string
	for _, p := range o.ProductRows() {
		products = append(products, tuple(p.SKU, p.Name, p.Category, p.Brand))
	}
	for _, g := range o.GeoRows() {
		geos = append(geos, fmt.Sprintf("(%d, %s", g.ID, tuple(g.Country, g.City)[1:]))
	}
	for _, c := range ChannelRows() {
		chans = append(chans, tuple(c.Code, c.Name, c.Medium))
	}
	var out []string
	out = append(out, inserts("dim_product", products)...)
	out = append(out, inserts("dim_geography", geos)...)
	return append(out, inserts("dim_channel", chans)...)
}

// tuple quotes the values as an SQL row; the literals mean the same to MySQL and to ClickHouse.
func tuple(values ...string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v) + "'"
	}
	return "(" + strings.Join(quoted, ", ") + ")"
}

func inserts(table string, rows []string) []string {
	const chunk = 500
	var out []string
	for len(rows) > 0 {
		n := min(chunk, len(rows))
		out = append(out, "INSERT INTO "+table+" VALUES "+strings.Join(rows[:n], ", "))
		rows = rows[n:]
	}
	return out
}
