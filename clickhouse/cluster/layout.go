package cluster

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Table is the local table that rows are inserted into, and what the Distributed table over it says about routing.
type Table struct {
	Database string // of the local table; Shard.Database where shards differ
	Name     string // of the local table
	// Distributed is set when the shards were found through a Distributed table, and DistributedName is its quoted full name.
	Distributed     bool
	DistributedName string
	ShardingKey     string // sharding expression as the server prints it; empty when there is none
	Policy          string // storage policy for the files of the Distributed table; nothing here uses it

	Engine       string // of the local table, such as ReplicatedMergeTree
	EngineFull   string
	SortingKey   string
	PrimaryKey   string
	PartitionKey string
	SamplingKey  string
	Timezone     string // the servers', in which times of columns that name no zone are read
	Zones        Zones  // where the servers have several of them; otherwise empty
	Columns      []TableColumn
}

// Replicated tells whether replicas copy from each other (any Replicated… or Shared… engine).
func (t *Table) Replicated() bool {
	return strings.HasPrefix(t.Engine, "Replicated") || strings.HasPrefix(t.Engine, "Shared")
}

// MergeTree tells whether the engine is of the MergeTree family, the only one that deduplicates inserted blocks.
func (t *Table) MergeTree() bool { return strings.HasSuffix(t.Engine, "MergeTree") }

// Column finds a column by name.
func (t *Table) Column(name string) (TableColumn, bool) {
	for _, c := range t.Columns {
		if c.Name == name {
			return c, true
		}
	}
	return TableColumn{}, false
}

// TableColumn is a row of system.columns.
type TableColumn struct {
	Name, Type        string
	DefaultKind       string // "", DEFAULT, MATERIALIZED, ALIAS or EPHEMERAL
	DefaultExpression string
	InSortingKey      bool
	InPrimaryKey      bool
	InPartitionKey    bool
}

// Insertable tells whether an INSERT may name the column.
func (c TableColumn) Insertable() bool {
	return c.DefaultKind != "MATERIALIZED" && c.DefaultKind != "ALIAS"
}

// Layout is an immutable snapshot of the shards in their order, and of the table on them. It is shared freely; nothing in it may be changed.
type Layout struct {
	// Version grows with every change that this Cluster has seen; it means nothing to another process.
	Version uint64
	Cluster string // name in system.clusters; empty with explicit shards
	Table   *Table
	Shards  []Shard
}

// Shard is one shard of a Layout.
type Shard struct {
	Index  int    // position in Layout.Shards
	Number uint32 // shard_num, from 1
	Weight uint32 // 0 gets nothing
	// InternalReplication: the table copies rows between the replicas by itself. Where it is false, each replica has to be written.
	InternalReplication bool
	Database            string // of the local table on this shard
	Replicas            []*Replica
	// Pinned is the one replica that may be used, when the layout was pinned for a table whose replicas do not share what
	// they know of inserted blocks; otherwise nil.
	Pinned *Replica
}

// WriteEach tells whether every replica must be written because the table does not replicate by itself.
func (s *Shard) WriteEach() bool { return !s.InternalReplication && len(s.Replicas) > 1 }

// Replica is one host of a shard.
type Replica struct {
	Shard   uint32 // shard_num, from 1
	Number  uint32 // replica_num, from 1
	Host    string // host_name in system.clusters
	Port    uint16
	Address string // host:port dialled, after address_map
	// DefaultDatabase is default_database of the cluster's definition: hosts that serve several shards tell them apart by it.
	DefaultDatabase string
	node            *node
	state           *state
}

// ID names the replica independently of how it is reached: host:port as the cluster defines it, and its default database.
func (r *Replica) ID() string {
	id := net.JoinHostPort(r.Host, strconv.Itoa(int(r.Port)))
	if r.DefaultDatabase != "" {
		id += "/" + r.DefaultDatabase
	}
	return id
}

// String names the replica in messages.
func (r *Replica) String() string {
	if id := r.ID(); id != r.Address {
		return id + " (" + r.Address + ")"
	}
	return r.Address
}

// Target is the quoted full name of the local table on the shard, as it stands in an INSERT.
func (l *Layout) Target(shard int) string { return quoteTable(l.Shards[shard].Database, l.Table.Name) }

// Weights lists the weight of each shard, in shard order.
func (l *Layout) Weights() []uint32 {
	w := make([]uint32, len(l.Shards))
	for i := range l.Shards {
		w[i] = l.Shards[i].Weight
	}
	return w
}

// Insertable lists the columns that an INSERT may name, in table order.
func (l *Layout) Insertable() []TableColumn {
	var cols []TableColumn
	for _, c := range l.Table.Columns {
		if c.Insertable() {
			cols = append(cols, c)
		}
	}
	return cols
}

// WriteEach lists the shard numbers whose every replica must be written.
func (l *Layout) WriteEach() []uint32 {
	var n []uint32
	for i := range l.Shards {
		if l.Shards[i].WriteEach() {
			n = append(n, l.Shards[i].Number)
		}
	}
	return n
}

// shardsPrint tells two sets of shards apart.
func (l *Layout) shardsPrint() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q", l.Cluster)
	for _, s := range l.Shards {
		fmt.Fprintf(&b, "|%d %d %t %q", s.Number, s.Weight, s.InternalReplication, s.Database)
		for _, r := range s.Replicas {
			fmt.Fprintf(&b, " %d %q %q", r.Number, r.ID(), r.Address)
		}
	}
	return b.String()
}

// tablePrint tells two definitions of the table apart.
func (l *Layout) tablePrint() string { return fmt.Sprintf("%+v", *l.Table) }

// SameShards tells whether rows are routed the same and to the same hosts in both layouts.
func (l *Layout) SameShards(o *Layout) bool {
	return l == o || o != nil && l.shardsPrint() == o.shardsPrint()
}

// SameTable tells whether the table is defined the same in both layouts.
func (l *Layout) SameTable(o *Layout) bool {
	return l == o || o != nil && l.tablePrint() == o.tablePrint()
}
