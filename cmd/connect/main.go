// Command connect is Redpanda Connect's engine with this project's plugins, and the Apache-2.0 components that belong
// around them: Kafka and Redis on either side, Prometheus for metrics.
package main

import (
	"context"

	"github.com/redpanda-data/benthos/v4/public/service"

	_ "time/tzdata" // the image has no zone files

	_ "github.com/redpanda-data/benthos/v4/public/components/io"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	_ "github.com/redpanda-data/connect/v4/public/components/kafka"
	_ "github.com/redpanda-data/connect/v4/public/components/prometheus"
	_ "github.com/redpanda-data/connect/v4/public/components/redis"

	"github.com/benthos-clickhouse/connect/outputs/clickhouse"
	_ "github.com/benthos-clickhouse/connect/plugin"
	"github.com/benthos-clickhouse/connect/processors/dimensionjoin"
)

// Set by the linker: -X main.Version=… -X main.DateBuilt=…
var (
	Version   = "0.0.0-dev"
	DateBuilt = "unknown"
)

func main() {
	tuneGC()
	service.RunCLI(context.Background(), options()...)
}

func options() []service.CLIOptFunc {
	return []service.CLIOptFunc{
		service.CLIOptSetVersion(Version, DateBuilt),
		service.CLIOptSetBinaryName("connect"),
		service.CLIOptSetProductName("benthos-clickhouse"),
		service.CLIOptSetDocumentationURL("https://github.com/benthos-clickhouse/connect/tree/main/docs"),
		service.CLIOptSetDefaultConfigPaths("connect.yaml", "/etc/connect/connect.yaml", "/connect.yaml"),
		service.CLIOptAddCommand(clickhouse.Command()),
		service.CLIOptAddCommand(dimensionjoin.Command()),
	}
}
