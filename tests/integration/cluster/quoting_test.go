package cluster

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/insert"
)

// oddNames are what a server takes for a name, and has to print so that it can be read back.
var oddNames = map[string]string{
	"a dot": "a.b", "a space": "a b", "an apostrophe": "it's", "quotes": `a"b` + "`c", "a backslash": `a\b`, "an escape": `a\'b\n`, "a line break": "a\nb\tc",
	"brackets and commas": "a,b)('c", "not ASCII": "täble\u2028", "a keyword": "SETTINGS", "a digit": "1a", "a macro": "{b}", "a comment": "a--b/*", "a dollar": "$a$b",
	"a control character": "a\x01b\x1bc", "not UTF-8": "a\xffb", "a percent sign": "a%2Eb", "a zero byte": "a\x00b",
}

// name and text write a name and a string so that no rule of quoting is in doubt: byte by byte.
func name(s string) string { return "`" + bytewise(s) + "`" }
func text(s string) string { return "'" + bytewise(s) + "'" }

func bytewise(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, `\x%02X`, s[i])
	}
	return b.String()
}

// TestOddNamesEverywhere gives such a name to the database, to both tables, to the columns of the key and to a string in it.
func TestOddNamesEverywhere(t *testing.T) {
	for what, odd := range oddNames {
		t.Run(what, func(t *testing.T) {
			db := "odd " + odd
			local, id := name(db)+"."+name(odd), name("id"+odd)
			servers.Exec(t, fmt.Sprintf(`DROP DATABASE IF EXISTS %[1]s SYNC; CREATE DATABASE %[1]s ENGINE = Atomic;
				CREATE TABLE %[2]s (%[3]s UInt64, %[4]s String) ENGINE = MergeTree ORDER BY %[3]s;
				CREATE TABLE %[1]s.%[5]s AS %[2]s ENGINE = Distributed('events_cluster', %[6]s, %[7]s, cityHash64(%[3]s, %[4]s, %[7]s))`,
				name(db), local, id, name(odd), name("d"+odd), text(db), text(odd)))
			c := open(t, config(db, "d"+odd))
			require.Equal(t, odd, c.Layout().Table.Name)
			require.Equal(t, db, c.Layout().Table.Database)

			w, err := insert.Open(t.Context(), insert.Options{Cluster: c})
			require.NoError(t, err, "the sharding key is proved against the server")
			t.Cleanup(w.Close)
			var rows documents
			for n := range 64 {
				rows = append(rows, fmt.Sprintf(`{"id%[1]s":%[2]d,"%[1]s":"v%[2]d"}`, jsonText(odd), n))
			}
			_, err = w.Write(t.Context(), rows, nil)
			require.NoError(t, err)
			placed := placedOn(t, local, id)
			servers.Exec(t, "TRUNCATE TABLE "+local)
			servers.Servers[0].Exec(t, fmt.Sprintf("INSERT INTO %s.%s SELECT number, concat('v', number) FROM numbers(64) SETTINGS distributed_foreground_insert = 1", name(db), name("d"+odd)))
			require.Equal(t, placedOn(t, local, id), placed)
			servers.Exec(t, "DROP DATABASE "+name(db)+" SYNC")
		})
	}
}

// placedOn lists which rows each shard has.
func placedOn(t *testing.T, local, id string) (shards [2]string) {
	t.Helper()
	for i, nodes := range servers.Nodes {
		for _, n := range nodes {
			shards[i] += n.Value(t, fmt.Sprintf("SELECT arrayStringConcat(groupArray(%[1]s), ',') FROM (SELECT %[1]s FROM %[2]s ORDER BY %[1]s)", id, local))
		}
	}
	return shards
}

// jsonText escapes what JSON does not take in a string, and leaves bytes that are not UTF-8 as they are.
func jsonText(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' {
			fmt.Fprintf(&b, `\u%04x`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// documents are JSON without provenance.
type documents []string

func (d documents) Len() int { return len(d) }

func (d documents) Record(i int, rec *insert.Record) error {
	rec.JSON = []byte(d[i])
	return nil
}
