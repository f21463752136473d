package services_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/tests/services"
)

func TestMariaDBAndMySQL(t *testing.T) {
	_, err := services.Start(t.Context(), services.Options{MariaDB: true, MySQL: true, Log: t.Output()})
	require.ErrorContains(t, err, "MariaDB or MySQL, not both")
	for name, opts := range map[string]services.Options{
		"MariaDB": {MariaDB: true},
		"MySQL":   {MySQL: true, MySQLArgs: []string{"--binlog-row-metadata=FULL"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := services.Run(t, opts).MySQL
			value := func(query string) (v string) {
				t.Helper()
				require.NoError(t, server.DB(t).QueryRowContext(t.Context(), query).Scan(&v))
				return v
			}
			server.Exec(t, `
				CREATE TABLE product (sku VARCHAR(20) PRIMARY KEY, name TEXT); -- one; comment
				INSERT INTO product VALUES ('a;b', 'first'), ('c', 'second');`)

			require.NoError(t, server.Kill())
			require.Error(t, server.DB(t).PingContext(t.Context()))
			require.NoError(t, server.Start(t.Context()))

			require.Equal(t, "first", value("SELECT name FROM product WHERE sku = 'a;b'"))
			require.Equal(t, "FULL", value("SELECT @@binlog_row_metadata"))
			if opts.MySQL {
				require.NotContains(t, value("SELECT VERSION()"), "MariaDB")
				require.Equal(t, "ON", value("SELECT @@gtid_mode"))
			} else {
				require.Contains(t, value("SELECT VERSION()"), "MariaDB")
				require.Equal(t, "ROW", value("SELECT @@binlog_format"))
			}
			require.NoError(t, server.Stop())
		})
	}
}
