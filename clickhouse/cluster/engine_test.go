package cluster

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseEngine(t *testing.T) {
	tests := map[string]struct {
		full     string
		name     string
		args     []argument
		settings map[string]string
	}{
		"as printed": {
			full: "Distributed('events_cluster', 'dw', 'events_local', cityHash64(id))", name: "Distributed",
			args: []argument{lit("'events_cluster'", "events_cluster"), lit("'dw'", "dw"), lit("'events_local'", "events_local"), {text: "cityHash64(id)"}},
		},
		"policy and settings": {
			full: "Distributed('c', '', 't', id % 4, 'default') SETTINGS fsync_after_insert = 1, bytes_to_throw_insert = '0'", name: "Distributed",
			args:     []argument{lit("'c'", "c"), lit("''", ""), lit("'t'", "t"), {text: "id % 4"}, lit("'default'", "default")},
			settings: map[string]string{"fsync_after_insert": "1", "bytes_to_throw_insert": "0"},
		},
		"names without quotes": {
			full: "Distributed(c, db, t)", name: "Distributed",
			args: []argument{lit("c", "c"), lit("db", "db"), lit("t", "t")},
		},
		"names quoted both ways": {
			full: "Distributed(`c-1`, \"d\"\"b\", `t``t`)", name: "Distributed",
			args: []argument{lit("`c-1`", "c-1"), lit("\"d\"\"b\"", "d\"b"), lit("`t``t`", "t`t")},
		},
		"escapes": {
			full: `Distributed('c', 'pro\'be', 'we` + "`" + `ird\\ \n\x41''\q t')`, name: "Distributed",
			args: []argument{lit("'c'", "c"), lit(`'pro\'be'`, "pro'be"), lit(`'we`+"`"+`ird\\ \n\x41''\q t'`, "we`ird\\ \nA'\\q t")},
		},
		"backslash before a control character": {
			full: "Distributed('c', 'a\\\tb', 't\\N')", name: "Distributed",
			args: []argument{lit("'c'", "c"), lit("'a\\\tb'", "a\tb"), lit("'t\\N'", "t")},
		},
		"macros and a function": {
			full: "Distributed('{cluster}', currentDatabase(), 't', rand())", name: "Distributed",
			args: []argument{lit("'{cluster}'", "{cluster}"), {text: "currentDatabase()"}, lit("'t'", "t"), {text: "rand()"}},
		},
		"nested commas, brackets and quotes in the key": {
			full: `Distributed('c', 'd', 't', cityHash64(id, 'a,b)(', [1, 2][1], (a, b), concat(')', "x,y")))`, name: "Distributed",
			args: []argument{lit("'c'", "c"), lit("'d'", "d"), lit("'t'", "t"), {text: `cityHash64(id, 'a,b)(', [1, 2][1], (a, b), concat(')', "x,y"))`}},
		},
		"comments": {
			full: "Distributed('c', /* ) */ 'd', 't' -- the end\n)", name: "Distributed",
			args: []argument{lit("'c'", "c"), {text: "/* ) */ 'd'", value: "d", constant: true}, {text: "'t' -- the end", value: "t", constant: true}},
		},
		"clauses before the settings": {
			full: "ReplicatedMergeTree('/tables/{shard}', '{replica}') PARTITION BY toYYYYMM(at) ORDER BY (id, `SETTINGS`) SETTINGS index_granularity = 8192, replicated_deduplication_window = 100",
			name: "ReplicatedMergeTree",
			args: []argument{lit("'/tables/{shard}'", "/tables/{shard}"), lit("'{replica}'", "{replica}")},
			settings: map[string]string{
				"index_granularity": "8192", "replicated_deduplication_window": "100",
			},
		},
		"no arguments": {full: "MergeTree ORDER BY id", name: "MergeTree"},
		"empty list":   {full: "MergeTree() ORDER BY tuple()", name: "MergeTree"},
		"nested value in settings": {
			full: "MergeTree ORDER BY id SETTINGS a = map('x', 1), b = 2", name: "MergeTree",
			settings: map[string]string{"a": "map(x,1)", "b": "2"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			def, err := parseEngine(test.full)
			require.NoError(t, err)
			require.Equal(t, test.name, def.name)
			require.Equal(t, test.args, def.args)
			if test.settings == nil {
				test.settings = map[string]string{}
			}
			require.Equal(t, test.settings, def.settings)
		})
	}
}

func lit(text, value string) argument { return argument{text: text, value: value, constant: true} }

func TestParseEngineRefuses(t *testing.T) {
	tests := map[string]struct{ full, errContains string }{
		"nothing, as for a table function": {"", "no engine is named"},
		"a literal":                        {"'Distributed'('a')", "no engine is named"},
		"open list":                        {"Distributed('c', 'd'", "not closed"},
		"open quotation":                   {"Distributed('c', 'd)", "quotation is not closed"},
		"open comment":                     {"Distributed('c' /* , 'd')", "comment is not closed"},
		"empty argument":                   {"Distributed('c', , 't')", "argument 2 is empty"},
		"trailing comma":                   {"Distributed('c', 'd', )", "argument 3 is empty"},
		"brackets":                         {"Distributed('c', ])", "brackets do not match"},
		"half an escape":                   {`Distributed('\x4')`, "is not complete"},
		"ends in a backslash":              {`Distributed('\`, "not closed"},
		"settings without a value":         {"MergeTree SETTINGS a, b = 1", "cannot be read"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parseEngine(test.full)
			require.ErrorContains(t, err, test.errContains)
			var engine *EngineError
			require.ErrorAs(t, err, &engine)
			require.True(t, Fatal(err))
		})
	}
}

// FuzzParseEngine: whatever the text, the parser ends, and what it takes for literals reads the same when written again.
func FuzzParseEngine(f *testing.F) {
	for _, s := range []string{
		"Distributed('events_cluster', 'dw', 'events_local', cityHash64(id, 'a,b)('), 'default') SETTINGS fsync_after_insert = 1",
		"Distributed('{cluster}', currentDatabase(), `t``t`, \"x\\\"y\")", "MergeTree() ORDER BY tuple()", "Distributed(a, [1, (2)], {'x': 1})",
		"Distributed('\\x41\\N\\0\\q''', /* c */ b -- d\n)", "Null", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, full string) {
		def, err := parseEngine(full)
		if err != nil {
			return
		}
		require.NotEmpty(t, def.name+"x")
		again := quoteIdentifier(def.name) + "("
		for i, a := range def.args {
			if i > 0 {
				again += ", "
			}
			if a.constant {
				again += quoteString(a.value)
			} else {
				again += a.text + "\n" // a comment may end it
			}
		}
		second, err := parseEngine(again + ")")
		require.NoError(t, err, again)
		require.Len(t, second.args, len(def.args))
		for i, a := range def.args {
			require.Equal(t, a.constant, second.args[i].constant)
			require.Equal(t, a.value, second.args[i].value)
		}
	})
}

func TestExpandMacros(t *testing.T) {
	macros := map[string]string{"cluster": "events", "env": "prod", "deep": "{env}-x", "loop": "{loop}"}
	tests := map[string]struct {
		in, want, missing string
		bad               bool
	}{
		"none":         {"events", "events", "", false},
		"one":          {"{cluster}", "events", "", false},
		"several":      {"a_{env}_{cluster}_z", "a_prod_events_z", "", false},
		"nested":       {"{deep}", "prod-x", "", false},
		"unknown":      {"a{b}c", "", "b", true},
		"not closed":   {"a{b", "a{b", "", false},
		"itself":       {"{loop}", "{loop}", "", false},
		"empty braces": {"{}", "", "", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, missing, ok := expandMacros(test.in, macros)
			require.Equal(t, !test.bad, ok)
			require.Equal(t, test.want, got)
			require.Equal(t, test.missing, missing)
		})
	}
}

func TestQuote(t *testing.T) {
	for _, s := range []string{"", "a", "a`b", `a\b`, "a'b", "a\x00b", "\xff", "ä\n"} {
		def, err := parseEngine("X(" + quoteIdentifier(s) + ", " + quoteString(s) + ")")
		require.NoError(t, err)
		require.Equal(t, s, def.args[0].value)
		require.Equal(t, s, def.args[1].value)
	}
}
