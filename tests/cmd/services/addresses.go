package main

import (
	"fmt"
	"strings"

	"github.com/benthos-clickhouse/connect/tests/services"
)

// addresses is where the servers are found, as it is printed.
type addresses struct {
	Dir        string     `json:"dir"`
	ClickHouse []node     `json:"clickhouse,omitempty"`
	Kafka      string     `json:"kafka,omitempty"`
	MySQL      string     `json:"mysql,omitempty"`
	Env        []variable `json:"env"`
}

type node struct {
	Shard   int    `json:"shard"`
	Replica int    `json:"replica"`
	Native  string `json:"native"`
	HTTP    string `json:"http"`
	PID     int    `json:"pid,omitempty"`
}

type variable struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func describe(c *services.Cluster) addresses {
	a := addresses{Dir: c.Dir}
	for s, shard := range c.Nodes {
		for r, n := range shard {
			a.ClickHouse = append(a.ClickHouse, node{Shard: s + 1, Replica: r + 1, Native: n.Addr(), HTTP: n.HTTPAddr(), PID: n.PID()})
		}
	}
	if len(a.ClickHouse) > 0 {
		var native, http []string
		for _, n := range a.ClickHouse {
			native, http = append(native, n.Native), append(http, n.HTTP)
		}
		// The first two are read by the harness, the third by the pipelines in config/.
		a.set("CLICKHOUSE_ADDR", strings.Join(native, ","))
		a.set("CLICKHOUSE_HTTP_ADDR", strings.Join(http, ","))
		a.set("CLICKHOUSE_ADDRESSES", strings.Join(native, ","))
	}
	if c.Kafka != nil {
		a.Kafka = c.Kafka.Addr()
		a.set("KAFKA_ADDR", a.Kafka)
		a.set("KAFKA_BROKERS", a.Kafka)
	}
	if c.MySQL != nil {
		a.MySQL = c.MySQL.DSN()
		a.set("MYSQL_DSN", a.MySQL)
	}
	return a
}

func (a *addresses) set(name, value string) {
	a.Env = append(a.Env, variable{Name: name, Value: value})
}

// String is text that a shell can source: what is not an export is a comment.
func (a addresses) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# data and logs  %s\n", a.Dir)
	for _, n := range a.ClickHouse {
		fmt.Fprintf(&b, "# clickhouse     shard %d replica %d: native %s, http://%s/play\n", n.Shard, n.Replica, n.Native, n.HTTP)
	}
	if a.Kafka != "" {
		fmt.Fprintf(&b, "# kafka          %s\n", a.Kafka)
	}
	if a.MySQL != "" {
		fmt.Fprintf(&b, "# mysql          %s\n", a.MySQL)
	}
	for _, v := range a.Env {
		fmt.Fprintf(&b, "export %s='%s'\n", v.Name, v.Value)
	}
	return b.String()
}
