package embedded

import (
	"database/sql"
	"os"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/tests/clickstream"
)

func TestMySQLServesTheDimensions(t *testing.T) {
	m, err := StartMySQL()
	require.NoError(t, err)
	t.Cleanup(m.Close)
	db, err := sql.Open("mysql", m.DSN())
	require.NoError(t, err)
	defer db.Close()

	ddl, err := os.ReadFile("../../config/mysql/01_dimensions.sql")
	require.NoError(t, err)
	for _, stmt := range strings.Split(string(ddl), ";\n") {
		if strings.TrimSpace(stmt) == "" {
			continue
		}
		_, err = db.ExecContext(t.Context(), stmt)
		require.NoError(t, err, stmt)
	}
	for _, stmt := range (clickstream.Options{Products: 1200}).MySQLInserts() {
		_, err = db.ExecContext(t.Context(), stmt)
		require.NoError(t, err)
	}
	var n int
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM dim_product").Scan(&n))
	require.Equal(t, 1200, n)
	var name string
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT name FROM dim_channel WHERE code IN (?)", "mail-weekly").Scan(&name))
	require.Equal(t, `Weekly "best of" mail`, name)
}
