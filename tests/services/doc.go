// Package services starts the real servers that tests, benchmarks and the demo run against: ClickHouse nodes, an Apache
// Kafka broker and MariaDB or MySQL, each a process of its own on 127.0.0.1 with free ports and its data in a temporary directory.
//
// It owns their installation, configuration, health checks and life: no server survives the process that started it,
// however that one ends. It must never know what is tested, and it runs on Linux only.
//
// A test takes what it needs and gets it stopped by the test's cleanup:
//
//	c := services.Run(t, services.Options{ClickHouse: true, Shards: 2, Kafka: true})
//	c.Exec(t, "CREATE DATABASE dw")                     // on every node
//	c.Nodes[0][0].Kill()                                // SIGKILL
//	c.Nodes[0][0].Start(t.Context())                    // same data, same ports
//	rows := c.Nodes[0][0].Query(t, "SELECT 1, 'a'")     // [][]string{{"1", "a"}}
//
// Servers that are there already are used instead when the environment names them: CLICKHOUSE_ADDR (host:port of each
// node, comma-separated, shard by shard), KAFKA_ADDR, MYSQL_DSN (in MariaDB's place). CLICKHOUSE_BIN and MYSQLD_BIN name
// binaries to start in place of the downloaded ones. BENTHOS_CLICKHOUSE_CACHE moves the download cache.
package services
