package services

import (
	"encoding/xml"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Shard is a shard of a named cluster in remote_servers.
type Shard struct {
	Weight   int  // as it is written: 0 is a shard that gets no rows
	WriteAll bool // internal_replication=false: a Distributed table writes to every replica itself
	Replicas []Replica
}

// Replica is one server of a shard: a node of this harness, or any address.
type Replica struct {
	Node     int    // index in Cluster.Servers
	Addr     string // host:port, instead of Node
	Database string // default_database, so that several shards can share a node
	User     string // default "default"
	Password string
}

// User is a user beside "default", which has no password and every right.
type User struct {
	Name     string
	Password string
	Grants   []string          // GRANT statements without "TO user"; nil gives every right
	Settings map[string]string // of its profile
}

// nodeConfig is what the configuration of one node is made of.
type nodeConfig struct {
	node     *Node
	macros   map[string]string
	clusters map[string][]Shard
	servers  []*Node
	users    []User
	settings map[string]string
	extra    string
}

// write puts config.xml and users.xml into the node's directory.
func (c nodeConfig) write() error {
	config, err := c.config()
	if err != nil {
		return err
	}
	for name, text := range map[string]string{"config.xml": config, "users.xml": c.usersXML()} {
		if err := os.WriteFile(filepath.Join(c.node.dir, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("configuring %s: %w", c.node.name, err)
		}
	}
	return nil
}

func (c nodeConfig) config() (string, error) {
	dir := c.node.dir
	var b strings.Builder
	b.WriteString("<clickhouse>\n")
	fmt.Fprintf(&b, "<logger><level>information</level><log>%s</log><errorlog>%s</errorlog></logger>\n",
		escape(c.node.logPath), escape(filepath.Join(dir, "error.log")))
	fmt.Fprintf(&b, "<path>%s/</path><tmp_path>%s/</tmp_path>\n", escape(filepath.Join(dir, "data")), escape(filepath.Join(dir, "tmp")))
	fmt.Fprintf(&b, "<listen_host>127.0.0.1</listen_host><tcp_port>%d</tcp_port><http_port>%d</http_port>\n", c.node.tcpPort, c.node.httpPort)
	fmt.Fprintf(&b, "<users_config>%[1]s</users_config><user_directories><users_xml><path>%[1]s</path></users_xml></user_directories>\n",
		escape(filepath.Join(dir, "users.xml")))
	// Several nodes share a small machine.
	b.WriteString("<background_pool_size>2</background_pool_size><background_schedule_pool_size>8</background_schedule_pool_size>\n")
	b.WriteString("<max_concurrent_queries>1000</max_concurrent_queries><mark_cache_size>268435456</mark_cache_size>\n")
	// Tests look their inserts up in the query log.
	b.WriteString("<query_log><database>system</database><table>query_log</table><flush_interval_milliseconds>1000</flush_interval_milliseconds></query_log>\n")
	b.WriteString("<macros>")
	for _, name := range slices.Sorted(maps.Keys(c.macros)) {
		fmt.Fprintf(&b, "<%[1]s>%[2]s</%[1]s>", name, escape(c.macros[name]))
	}
	b.WriteString("</macros>\n<remote_servers>\n")
	for _, name := range slices.Sorted(maps.Keys(c.clusters)) {
		text, err := clusterXML(name, c.clusters[name], c.servers)
		if err != nil {
			return "", fmt.Errorf("configuring cluster %s: %w", name, err)
		}
		b.WriteString(text)
	}
	b.WriteString("</remote_servers>\n" + c.extra + "\n</clickhouse>\n")
	return b.String(), nil
}

func clusterXML(name string, shards []Shard, servers []*Node) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "<%s>\n", name)
	for i, s := range shards {
		fmt.Fprintf(&b, "<shard><weight>%d</weight><internal_replication>%t</internal_replication>", s.Weight, !s.WriteAll)
		for _, r := range s.Replicas {
			addr := r.Addr
			if addr == "" {
				if r.Node < 0 || r.Node >= len(servers) {
					return "", fmt.Errorf("shard %d: there is no node %d of %d", i+1, r.Node, len(servers))
				}
				addr = servers[r.Node].tcpAddr
			}
			host, port, err := net.SplitHostPort(addr)
			if err != nil {
				return "", fmt.Errorf("shard %d: %w", i+1, err)
			}
			fmt.Fprintf(&b, "<replica><host>%s</host><port>%s</port>", escape(host), port)
			for tag, value := range map[string]string{"default_database": r.Database, "user": r.User, "password": r.Password} {
				if value != "" {
					fmt.Fprintf(&b, "<%[1]s>%[2]s</%[1]s>", tag, escape(value))
				}
			}
			b.WriteString("</replica>")
		}
		b.WriteString("</shard>\n")
	}
	fmt.Fprintf(&b, "</%s>\n", name)
	return b.String(), nil
}

func (c nodeConfig) usersXML() string {
	var b strings.Builder
	b.WriteString("<clickhouse>\n<profiles>\n")
	fmt.Fprintf(&b, "<default>%s</default>\n", settingsXML(c.settings))
	for _, u := range c.users {
		fmt.Fprintf(&b, "<%[1]s><profile>default</profile>%[2]s</%[1]s>\n", u.Name, settingsXML(u.Settings))
	}
	b.WriteString("</profiles>\n<quotas><default/></quotas>\n<users>\n")
	const anywhere = "<networks><ip>::/0</ip></networks><quota>default</quota>"
	fmt.Fprintf(&b, "<default><password></password>%s<profile>default</profile><access_management>1</access_management></default>\n", anywhere)
	for _, u := range c.users {
		fmt.Fprintf(&b, "<%[1]s><password>%[2]s</password>%[3]s<profile>%[1]s</profile>", u.Name, escape(u.Password), anywhere)
		if u.Grants != nil {
			b.WriteString("<grants>")
			for _, g := range u.Grants {
				fmt.Fprintf(&b, "<query>%s</query>", escape(g))
			}
			b.WriteString("</grants>")
		}
		fmt.Fprintf(&b, "</%s>\n", u.Name)
	}
	b.WriteString("</users>\n</clickhouse>\n")
	return b.String()
}

func settingsXML(settings map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&b, "<%[1]s>%[2]s</%[1]s>", name, escape(settings[name]))
	}
	return b.String()
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder does not fail
	return b.String()
}
