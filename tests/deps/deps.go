package deps
import (
	_ "github.com/dolthub/go-mysql-server/server"
	_ "github.com/dolthub/go-mysql-server/memory"
	_ "github.com/ebitengine/purego"
	_ "github.com/twmb/franz-go/pkg/kfake"
	_ "github.com/ClickHouse/clickhouse-go/v2"
	_ "github.com/stretchr/testify/require"
	_ "github.com/ClickHouse/ch-go/chpool"
	_ "github.com/twmb/franz-go/pkg/kadm"
	_ "github.com/redpanda-data/benthos/v4/public/service"
	_ "github.com/go-sql-driver/mysql"
	_ "gonum.org/v1/plot"
	_ "github.com/schollz/progressbar/v3"
)
