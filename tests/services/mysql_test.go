package services_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/tests/services"
)

func TestMariaDB(t *testing.T) {
	server := services.Run(t, services.Options{MariaDB: true}).MySQL
	server.Exec(t, `
		CREATE TABLE product (sku VARCHAR(20) PRIMARY KEY, name TEXT); -- one; comment
		INSERT INTO product VALUES ('a;b', 'first'), ('c', 'second');`)

	require.NoError(t, server.Kill())
	require.Error(t, server.DB(t).PingContext(t.Context()))
	require.NoError(t, server.Start(t.Context()))

	var name string
	require.NoError(t, server.DB(t).QueryRowContext(t.Context(), "SELECT name FROM product WHERE sku = 'a;b'").Scan(&name))
	require.Equal(t, "first", name)
	var variable, format string
	require.NoError(t, server.DB(t).QueryRowContext(t.Context(), "SHOW VARIABLES LIKE 'binlog_format'").Scan(&variable, &format))
	require.Equal(t, "ROW", format)
	require.NoError(t, server.Stop())
}
