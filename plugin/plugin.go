// Package plugin registers every component of this project with the global Benthos environment; one blank import is all
// that another Redpanda Connect build needs:
//
//	import _ "github.com/benthos-clickhouse/connect/plugin"
//
// It owns nothing but that list, and must never register a name that Redpanda Connect uses: the second registration of a
// name silently replaces the first.
package plugin

import (
	_ "github.com/benthos-clickhouse/connect/inputs/kafka"             // kafka_exactly_once
	_ "github.com/benthos-clickhouse/connect/outputs/clickhouse"       // clickhouse_native
	_ "github.com/benthos-clickhouse/connect/processors/dimensionjoin" // dimension_join
)
