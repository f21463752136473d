package source

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSession(t *testing.T) {
	session := func(dsn string) string {
		db, cfg, err := Open(Options{DSN: dsn, MaxConnections: 1})
		require.NoError(t, err)
		require.NoError(t, db.Close())
		return Session(cfg)
	}
	same := session("ann:secret@tcp(db:3306)/shop?sql_mode=%27ANSI%27&div_precision_increment=8")
	require.NotContains(t, same, "secret")
	for _, dsn := range []string{
		"ann:another@tcp(db)/shop?div_precision_increment=8&sql_mode=%27ANSI%27",
		"ann@tcp(db:3306)/shop?sql_mode=%27ANSI%27&div_precision_increment=8&timeout=3s&parseTime=true&charset=latin1&time_zone=%27%2B09:00%27",
	} {
		require.Equal(t, same, session(dsn), dsn)
	}
	for _, dsn := range []string{
		"bob:secret@tcp(db:3306)/shop?sql_mode=%27ANSI%27&div_precision_increment=8",
		"ann:secret@tcp(other:3306)/shop?sql_mode=%27ANSI%27&div_precision_increment=8",
		"ann:secret@tcp(db:3306)/store?sql_mode=%27ANSI%27&div_precision_increment=8",
		"ann:secret@tcp(db:3306)/shop?sql_mode=%27ANSI%27&div_precision_increment=4",
		"ann:secret@tcp(db:3306)/shop?sql_mode=%27ANSI%27",
	} {
		require.NotEqual(t, same, session(dsn), dsn)
	}
}

func TestSplitAtKeys(t *testing.T) {
	for query, want := range map[string]int{
		"SELECT 1 FROM t WHERE k IN {keys}":                   1,
		"k IN {keys} OR k IN {keys}":                          2,
		"'{keys}' \"{keys}\" `{keys}` k IN {keys}":            1,
		`'it''s \' {keys}' "\" {keys}" k IN {keys}`:           1,
		"/* {keys} '*/ k IN {keys} /* ' */":                   1,
		"-- {keys} '\n# {keys} '\n--\n k IN {keys} -- {keys}": 1,
		"1--1 IN {keys}":                                      1,
		"SELECT '{keys}'":                                     0,
	} {
		parts := splitAtKeys(query)
		require.Len(t, parts, want+1, query)
		require.Equal(t, query, strings.Join(parts, "{keys}"))
	}
}
