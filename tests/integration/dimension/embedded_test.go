package dimension

import (
	"database/sql"
	"os"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/tests/embedded"
)

// The demo's MySQL is not MariaDB, and not quite MySQL either: what the processor asks of a server has to be little enough.
func TestEmbeddedMySQL(t *testing.T) {
	small, err := embedded.StartMySQL()
	require.NoError(t, err)
	defer small.Close()
	db, err := sql.Open("mysql", small.DSN()+"?multiStatements=true")
	require.NoError(t, err)
	defer db.Close()
	ddl, err := os.ReadFile("../../../config/mysql/01_dimensions.sql")
	require.NoError(t, err)
	for _, statement := range append(strings.Split(string(ddl), ";"),
		`INSERT INTO dim_product VALUES ('a', 'Apple', 'Fruit', 'None')`,
		`INSERT INTO dim_geography VALUES (7, 'DE', 'Berlin')`) {
		if strings.TrimSpace(statement) != "" {
			_, err := db.Exec(statement)
			require.NoError(t, err, statement)
		}
	}
	for _, load := range []string{"lazy", "full"} {
		p := joinWith(t, small.DSN(), strings.ReplaceAll(`
dsn: "$DSN"
dimensions:
  - { name: product, table: dim_product, key: { sku: this.sku }, columns: [ name, brand ], prefix: p_, load: LOAD }
  - { name: geography, table: dim_geography, key: { geo_id: this.geo }, columns: [ country, city ], load: LOAD }
`, "LOAD", load))
		require.Equal(t, []string{
			`{"sku":"a","geo":7,"p_name":"Apple","p_brand":"None","country":"DE","city":"Berlin"}`,
			`{"sku":"A","geo":8,"p_name":null,"p_brand":null,"country":null,"city":null}`,
		}, run(t, p, `{"sku":"a","geo":7}`, `{"sku":"A","geo":8}`))
	}
}
