package services_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/tests/services"
)

func TestStatements(t *testing.T) {
	for script, want := range map[string][]string{
		"":                                  nil,
		" ; \n;-- nothing; here\n":          nil,
		"SELECT 1":                          {"SELECT 1"},
		"SELECT 1; SELECT ';' ;":            {"SELECT 1", "SELECT ';'"},
		`SELECT '\';', "a;b", ` + "`;`;X":   {`SELECT '\';', "a;b", ` + "`;`", "X"},
		"SELECT 'it''s;' -- a;b\n; /*;*/ Y": {"SELECT 'it''s;' -- a;b", "/*;*/ Y"},
		"SELECT 'open;":                     {"SELECT 'open;"},
	} {
		require.Equal(t, want, services.Statements(script), script)
	}
}
