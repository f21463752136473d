package cluster

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/ClickHouse/ch-go"
)

// discover reads the layout from the first address that has an answer.
func (c *Cluster) discover(ctx context.Context) (*Layout, error) {
	var l *Layout
	err := c.onFirst(ctx, c.seeds(), func(conn *Conn) (err error) {
		l, err = c.discoverFrom(ctx, conn)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := c.describeAll(ctx, l); err != nil {
		return nil, err
	}
	return l, nil
}

// found is what system.tables says about the table that the configuration names.
type found struct {
	database, table, engine, engineFull string
}

// discoverFrom reads everything but the local tables' structure, which is each replica's own to tell.
func (c *Cluster) discoverFrom(ctx context.Context, conn *Conn) (*Layout, error) {
	t, err := c.lookUp(ctx, conn)
	if err != nil {
		return nil, err
	}
	if !isTable(t.engine) {
		return nil, &NotATableError{Database: t.database, Table: t.table, Engine: t.engine}
	}
	if t.engine == "Distributed" {
		return c.fromDistributed(ctx, conn, t)
	}
	return c.fromLocal(ctx, conn, t)
}

// isTable tells whether rows stay where they are inserted. Proxy is a table made AS a table function, such as remote(); a Buffer keeps rows in
// memory, where they are lost with the server although it has acknowledged them.
func isTable(engine string) bool {
	switch engine {
	case "Dictionary", "Proxy", "Merge", "Alias", "Buffer", "MaterializedPostgreSQL", "Executable", "ExecutablePool", "GenerateRandom":
		return false
	}
	return !strings.HasSuffix(engine, "View") && !strings.HasPrefix(engine, "System")
}

func (c *Cluster) lookUp(ctx context.Context, conn *Conn) (found, error) {
	rows, err := conn.rows(ctx, []string{"database", "name", "engine", "engine_full", "timezone()"},
		fmt.Sprintf("FROM system.tables WHERE database = %s AND name = %s", quoteString(c.cfg.Database), quoteString(c.cfg.Table)))
	if err != nil {
		return found{}, fmt.Errorf("reading system.tables: %w", err)
	}
	if len(rows) == 0 {
		return found{}, c.tableNotFound(c.cfg.Database, c.cfg.Table, conn.node.address)
	}
	c.noteZone(conn.node.address, rows[0][4])
	return found{database: rows[0][0], table: rows[0][1], engine: rows[0][2], engineFull: rows[0][3]}, nil
}

func (c *Cluster) tableNotFound(database, table, address string) error {
	return &TableNotFoundError{Database: database, Table: table, Address: address, User: c.cfg.Username}
}

// fromDistributed follows the definition of a Distributed table.
func (c *Cluster) fromDistributed(ctx context.Context, conn *Conn, t found) (*Layout, error) {
	def, err := parseEngine(t.engineFull)
	if err != nil {
		return nil, err
	}
	if def.name != "Distributed" || len(def.args) < 3 {
		return nil, &EngineError{EngineFull: t.engineFull, Reason: "it is no Distributed(cluster, database, table, …): create such a table, or give `shards`"}
	}
	name, err := c.constant(ctx, conn, t, def.args[0])
	if err != nil {
		return nil, err
	}
	if name, err = c.expandMacros(ctx, conn, name); err != nil {
		return nil, err
	}
	database, err := c.constant(ctx, conn, t, def.args[1])
	if err != nil {
		return nil, err
	}
	table, err := c.constant(ctx, conn, t, def.args[2])
	if err != nil {
		return nil, err
	}
	if table == "" {
		return nil, &EngineError{EngineFull: t.engineFull, Reason: "it names no table"}
	}
	if c.cfg.Cluster != "" && c.cfg.Cluster != name {
		return nil, &ConfigError{Field: "cluster", Reason: fmt.Sprintf("is %q, but %s is a Distributed table over cluster %q: leave `cluster` empty, or name the local table",
			c.cfg.Cluster, quoteTable(t.database, t.table), name)}
	}
	l := &Layout{Cluster: name, Table: &Table{
		Database: database, Name: table,
		Distributed: true, DistributedName: quoteTable(t.database, t.table),
	}}
	if len(def.args) > 3 {
		l.Table.ShardingKey = def.args[3].text
	}
	if len(def.args) > 4 {
		l.Table.Policy = def.args[4].value
	}
	return l, c.fillShards(ctx, conn, l)
}

// fromLocal takes a local table together with `cluster` or `shards`.
func (c *Cluster) fromLocal(ctx context.Context, conn *Conn, t found) (*Layout, error) {
	l := &Layout{Table: &Table{Database: t.database, Name: t.table}}
	if c.cfg.Cluster == "" && len(c.cfg.Shards) == 0 {
		clusters, err := c.clusters(ctx, conn)
		if err != nil {
			return nil, err
		}
		return nil, &NotDistributedError{Database: t.database, Table: t.table, Engine: t.engine, Clusters: clusters}
	}
	name, err := c.expandMacros(ctx, conn, c.cfg.Cluster)
	if err != nil {
		return nil, err
	}
	l.Cluster = name
	return l, c.fillShards(ctx, conn, l)
}

// constant gives the value of an argument that has to be one. ClickHouse evaluates such arguments when the table is created,
// current versions print the result and old ones the expression.
func (c *Cluster) constant(ctx context.Context, conn *Conn, t found, a argument) (string, error) {
	if a.constant {
		return a.value, nil
	}
	if strings.EqualFold(strings.ReplaceAll(a.text, " ", ""), "currentDatabase()") {
		return t.database, nil // the database that was current when the table was created is not kept: its own is the usual one
	}
	rows, err := conn.rows(ctx, []string{a.text}, "")
	if err != nil && !ch.IsException(err) {
		return "", fmt.Errorf("evaluating %s: %w", a.text, err)
	}
	if err != nil {
		return "", &EngineError{EngineFull: t.engineFull, Reason: fmt.Sprintf("evaluating %s: %v", a.text, err)}
	}
	if len(rows) != 1 {
		return "", &EngineError{EngineFull: t.engineFull, Reason: fmt.Sprintf("%s has no single value", a.text)}
	}
	return rows[0][0], nil
}

// maxMacroDepth is how deep macros may refer to macros, as in src/Common/Macros.cpp of ClickHouse 26.7.
const maxMacroDepth = 10

// expandMacros replaces {name} by what system.macros of the server says.
func (c *Cluster) expandMacros(ctx context.Context, conn *Conn, s string) (string, error) {
	if !strings.Contains(s, "{") {
		return s, nil
	}
	rows, err := conn.rows(ctx, []string{"macro", "substitution"}, "FROM system.macros")
	if err != nil {
		return "", fmt.Errorf("reading system.macros: %w", err)
	}
	macros := make(map[string]string, len(rows))
	for _, r := range rows {
		macros[r[0]] = r[1]
	}
	expanded, missing, ok := expandMacros(s, macros)
	if !ok {
		return "", &MacroError{Name: s, Macro: missing, Address: conn.node.address}
	}
	return expanded, nil
}

// expandMacros names the first macro that cannot be resolved.
func expandMacros(s string, macros map[string]string) (expanded, missing string, ok bool) {
	for range maxMacroDepth {
		var b strings.Builder
		rest := s
		for {
			before, after, open := strings.Cut(rest, "{")
			name, behind, closed := strings.Cut(after, "}")
			if !open || !closed {
				b.WriteString(rest)
				break
			}
			value, ok := macros[name]
			if !ok {
				return "", name, false
			}
			b.WriteString(before)
			b.WriteString(value)
			rest = behind
		}
		if s = b.String(); !strings.Contains(s, "{") {
			return s, "", true
		}
	}
	return s, "", true
}

// member is a row of system.clusters.
type member struct {
	shard, weight, replica uint32
	host, database         string
	port                   uint16
	local, internal        bool
}

// members reads the rows of one cluster, in the order of its shards and replicas.
func (c *Cluster) members(ctx context.Context, conn *Conn, cluster string) ([]member, error) {
	fields := []string{"shard_num", "shard_weight", "replica_num", "host_name", "port", "is_local", "default_database", "internal_replication"}
	from := "FROM system.clusters WHERE cluster = " + quoteString(cluster) + " ORDER BY shard_num, replica_num"
	rows, err := conn.rows(ctx, fields, from)
	if err != nil && isUnknownColumn(err) {
		fields[len(fields)-1] = "1" // servers that do not tell internal_replication: nearly every cluster has it
		rows, err = c.again(ctx, conn, fields, from)
	}
	if err != nil {
		return nil, fmt.Errorf("reading system.clusters: %w", err)
	}
	all := make([]member, len(rows))
	for i, r := range rows {
		all[i] = member{
			shard: uint32(number(r[0])), weight: uint32(number(r[1])), replica: uint32(number(r[2])),
			host: r[3], port: uint16(number(r[4])), local: r[5] == "1", database: r[6], internal: r[7] == "1",
		}
	}
	return all, nil
}

// again repeats a select on another connection to the same host, since one whose query failed cannot be used further.
func (c *Cluster) again(ctx context.Context, conn *Conn, fields []string, rest string) (rows [][]string, err error) {
	err = c.on(ctx, conn.node.address, func(second *Conn) (err error) {
		rows, err = second.rows(ctx, fields, rest)
		return err
	})
	return rows, err
}

// clusters lists the names the server knows.
func (c *Cluster) clusters(ctx context.Context, conn *Conn) ([]string, error) {
	rows, err := conn.rows(ctx, []string{"cluster"}, "FROM system.clusters GROUP BY cluster ORDER BY cluster")
	if err != nil {
		return nil, fmt.Errorf("reading system.clusters: %w", err)
	}
	names := make([]string, len(rows))
	for i, r := range rows {
		names[i] = r[0]
	}
	return names, nil
}

// fillShards puts the shards into the layout: those of the cluster, or the explicit ones.
func (c *Cluster) fillShards(ctx context.Context, conn *Conn, l *Layout) error {
	var members []member
	if l.Cluster != "" {
		var err error
		if members, err = c.members(ctx, conn, l.Cluster); err != nil {
			return err
		}
	}
	if len(members) == 0 && len(c.cfg.Shards) == 0 {
		clusters, err := c.clusters(ctx, conn)
		if err != nil {
			return err
		}
		return &ClusterNotFoundError{Cluster: l.Cluster, Address: conn.node.address, Clusters: clusters}
	}
	l.Shards = c.shards(members, l.Table.Database, conn.node.address)
	if len(c.cfg.Shards) > 0 {
		explicit, err := c.explicitShards(l)
		if err != nil {
			return err
		}
		l.Shards = explicit
	}
	if l.Table.Database == "" && len(l.Shards) > 0 {
		l.Table.Database = l.Shards[0].Database
	}
	for i := range l.Shards {
		l.Shards[i].Index = i
	}
	return l.checkMapped()
}

// checkMapped refuses that address_map leads two shards to one host, where both would write into the same table.
func (l *Layout) checkMapped() error {
	type place struct{ address, database string }
	first := map[place]*Replica{}
	for _, s := range l.Shards {
		for _, r := range s.Replicas {
			at := place{r.Address, s.Database}
			other, ok := first[at]
			if ok && other.Shard != r.Shard && (other.Host != r.Host || other.Port != r.Port) {
				return &ConfigError{Field: "address_map", Reason: fmt.Sprintf("%s of shard %d and %s of shard %d are both reached at %s: rows of one shard would be written to the other",
					other.ID(), other.Shard, r.ID(), r.Shard, r.Address)}
			}
			first[at] = r
		}
	}
	return nil
}

// shards groups the rows of system.clusters. Distributed('c', ”, 't') leaves the database to each shard's own default.
func (c *Cluster) shards(members []member, database, asked string) []Shard {
	var shards []Shard
	for _, m := range members {
		if len(shards) == 0 || shards[len(shards)-1].Number != m.shard {
			db := database
			if db == "" {
				db = m.database
			}
			orString(&db, "default")
			shards = append(shards, Shard{Number: m.shard, Weight: m.weight, InternalReplication: m.internal, Database: db})
		}
		s := &shards[len(shards)-1]
		s.Replicas = append(s.Replicas, c.replica(m, asked))
	}
	return shards
}

// replica finds the address of a member. A server may know itself as localhost, which means another host to us: there
// the host that was asked is meant.
func (c *Cluster) replica(m member, asked string) *Replica {
	host := m.host
	if askedHost, _, err := net.SplitHostPort(asked); err == nil && m.local && loopback(host) && !loopback(askedHost) {
		host = askedHost
	}
	r := &Replica{Shard: m.shard, Number: m.replica, Host: host, Port: m.port}
	r.Address = c.reachable(r.ID())
	r.DefaultDatabase = m.database
	c.attach(r)
	return r
}

// attach gives the replica what outlives it.
func (c *Cluster) attach(r *Replica) {
	r.node = c.node(r.Address)
	c.mu.Lock()
	defer c.mu.Unlock()
	key := r.Address + "/" + r.DefaultDatabase
	if c.states[key] == nil {
		c.states[key] = new(state)
	}
	r.state = c.states[key]
}

func (c *Cluster) reachable(address string) string {
	if to, ok := c.cfg.AddressMap[address]; ok {
		return to
	}
	for from, to := range c.cfg.AddressMap {
		if sameAddress(from, address) {
			return to
		}
	}
	return address
}

// sameAddress tells whether two texts are one host:port: names in any case, and IPv6 addresses however they are shortened.
func sameAddress(a, b string) bool {
	hostA, portA, _ := net.SplitHostPort(a)
	hostB, portB, _ := net.SplitHostPort(b)
	ip := net.ParseIP(hostA)
	return portA == portB && (strings.EqualFold(hostA, hostB) || ip != nil && ip.Equal(net.ParseIP(hostB)))
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}

// explicitShards takes the hosts from the configuration, and what else there is to know from the cluster, where it can be read.
func (c *Cluster) explicitShards(l *Layout) ([]Shard, error) {
	known := l.Shards
	if len(known) > 0 && len(known) != len(c.cfg.Shards) {
		return nil, &ConfigError{Field: "shards", Reason: fmt.Sprintf("names %d shards, but cluster %q has %d: rows would not be where the Distributed table looks for them",
			len(c.cfg.Shards), l.Cluster, len(known))}
	}
	shards := make([]Shard, len(c.cfg.Shards))
	for i, addresses := range c.cfg.Shards {
		s := Shard{Number: uint32(i + 1), Weight: 1, InternalReplication: true, Database: l.Table.Database}
		orString(&s.Database, "default")
		if len(known) > 0 {
			s.Number, s.Weight, s.InternalReplication, s.Database = known[i].Number, known[i].Weight, known[i].InternalReplication, known[i].Database
		}
		for j, address := range addresses {
			r, err := c.explicitReplica(address)
			if err != nil {
				return nil, err
			}
			r.Shard, r.Number = s.Number, uint32(j+1)
			s.Replicas = append(s.Replicas, r)
		}
		shards[i] = s
	}
	return shards, nil
}

func (c *Cluster) explicitReplica(address string) (*Replica, error) {
	host, text, _ := net.SplitHostPort(address)
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, &ConfigError{Field: "shards", Reason: fmt.Sprintf("%q has no port number", address)}
	}
	r := &Replica{Host: host, Port: uint16(port), Address: c.reachable(address)}
	c.attach(r)
	return r, nil
}

// number reads a number that the server printed.
func number(s string) uint64 {
	n, _ := strconv.ParseUint(s, 10, 64)
	return n
}

// sortedDifferences gives a message that is the same each time.
func sortedDifferences(d []Difference) []Difference {
	slices.SortStableFunc(d, func(a, b Difference) int {
		if a.Shard != b.Shard {
			return int(a.Shard) - int(b.Shard)
		}
		return strings.Compare(a.Host+"\x00"+a.Column, b.Host+"\x00"+b.Column)
	})
	return d
}
