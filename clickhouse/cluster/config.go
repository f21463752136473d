package cluster

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/ClickHouse/ch-go"
)

// Policy orders the replicas of a shard for each new connection.
type Policy string

// The policies are those of ClickHouse's load_balancing setting, by the same rules.
const (
	PolicyRandom     Policy = "random"      // any replica, each time anew
	PolicyInOrder    Policy = "in_order"    // the first that is healthy, in the order of the cluster's definition
	PolicyRoundRobin Policy = "round_robin" // one after the other
	PolicyNearest    Policy = "nearest"     // fewest differing characters between its host name and ours
)

// ParsePolicy accepts the names of the policies; the empty string is PolicyRandom.
func ParsePolicy(s string) (Policy, error) {
	switch p := Policy(s); p {
	case "":
		return PolicyRandom, nil
	case PolicyRandom, PolicyInOrder, PolicyRoundRobin, PolicyNearest:
		return p, nil
	}
	return "", &ConfigError{Field: "replicas.policy", Reason: fmt.Sprintf("unknown policy %q: one of random, in_order, round_robin, nearest", s)}
}

// Compression is the codec of the blocks sent.
type Compression string

// The codecs of the native protocol that are worth their CPU.
const (
	CompressionNone Compression = "none"
	CompressionLZ4  Compression = "lz4"
	CompressionZSTD Compression = "zstd"
)

// ParseCompression accepts the names of the codecs; the empty string is CompressionLZ4.
func ParseCompression(s string) (Compression, error) {
	switch c := Compression(s); c {
	case "":
		return CompressionLZ4, nil
	case CompressionNone, CompressionLZ4, CompressionZSTD:
		return c, nil
	}
	return "", &ConfigError{Field: "compression", Reason: fmt.Sprintf("unknown codec %q: one of none, lz4, zstd", s)}
}

func (c Compression) option() ch.Compression {
	switch c {
	case CompressionLZ4:
		return ch.CompressionLZ4
	case CompressionZSTD:
		return ch.CompressionZSTD
	}
	return ch.CompressionDisabled
}

// Config says how to find the shards of one table and how to talk to them. Zero values take the defaults stated.
type Config struct {
	// Addresses (host:port, native protocol) are asked for the topology, in order, until one answers. May be empty when
	// Shards is given.
	Addresses []string
	// Database and Table name a Distributed table; or the local table, when Cluster or Shards is given.
	Database string // "default"
	Table    string
	// Cluster is the name in system.clusters for a local Table. `{macros}` are resolved by the server.
	Cluster string
	// Shards replaces what system.clusters says about hosts: the addresses of each shard's replicas, in shard order.
	// Weights and internal_replication are those of the cluster where it can be read and has as many shards, else 1 and true.
	Shards [][]string
	// AddressMap gives the reachable host:port for a discovered host:port. Entries it does not name are used as they are.
	AddressMap map[string]string

	Username string // "default"
	Password string
	// TLS is used for every connection when set. Its ServerName defaults to the host dialled.
	TLS         *tls.Config
	Compression Compression // CompressionLZ4
	// Settings go with every query of Conn.Do, before the query's own; discovery is done without them.
	Settings []ch.Setting

	DialTimeout      time.Duration // 5 s, for TCP and TLS
	HandshakeTimeout time.Duration // 5 s, until the server has said hello
	QueryTimeout     time.Duration // 30 s, for the short selects of discovery, health and checks
	// StallTimeout is how long a query may pass without a byte in either direction before its host is probed over a second
	// connection; a host that does not answer that one is frozen, and the query fails with a *StalledError. 10 s.
	StallTimeout time.Duration
	// ReadTimeout is how long a query may pass without a byte even on a host that does answer: an INSERT into slow
	// materialized views is silent while it works. 300 s, as receive_timeout of ClickHouse's own client.
	ReadTimeout time.Duration

	Replicas Policy        // PolicyRandom
	MaxDelay time.Duration // 300 s; a replica with a larger absolute_delay is passed over. Negative: any delay is accepted
	// TopologyRefresh is the time between two discoveries. 60 s; negative: only Refresh and RequestRefresh discover.
	TopologyRefresh time.Duration
	// HealthInterval is the time between two looks at system.replicas and at hosts that were down. 10 s.
	HealthInterval time.Duration

	MaxConns    int           // per replica, 16
	IdleTimeout time.Duration // 60 s; an unused connection is closed after it

	Logger *slog.Logger // nothing is logged without one
}

// setDefaults fills in what was left out.
func (c *Config) setDefaults() {
	orString(&c.Database, "default")
	orString(&c.Username, "default")
	if c.Compression == "" {
		c.Compression = CompressionLZ4
	}
	if c.Replicas == "" {
		c.Replicas = PolicyRandom
	}
	orDuration(&c.DialTimeout, 5*time.Second)
	orDuration(&c.HandshakeTimeout, 5*time.Second)
	orDuration(&c.QueryTimeout, 30*time.Second)
	orDuration(&c.StallTimeout, 10*time.Second)
	orDuration(&c.ReadTimeout, 300*time.Second)
	orDuration(&c.MaxDelay, 300*time.Second)
	orDuration(&c.TopologyRefresh, 60*time.Second)
	orDuration(&c.HealthInterval, 10*time.Second)
	orDuration(&c.IdleTimeout, 60*time.Second)
	if c.MaxConns <= 0 {
		c.MaxConns = 16
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

func orString(s *string, def string) {
	if *s == "" {
		*s = def
	}
}

func orDuration(d *time.Duration, def time.Duration) {
	if *d == 0 {
		*d = def
	}
}

// validate reports the first field that cannot work.
func (c *Config) validate() error {
	if c.Table == "" {
		return &ConfigError{Field: "table", Reason: "is required"}
	}
	if len(c.Addresses) == 0 && len(c.Shards) == 0 {
		return &ConfigError{Field: "addresses", Reason: "name at least one host:port, or give `shards`"}
	}
	if c.Cluster != "" && len(c.Shards) > 0 {
		return &ConfigError{Field: "cluster", Reason: "cannot be combined with `shards`: both say where the shards are"}
	}
	if _, err := ParsePolicy(string(c.Replicas)); err != nil {
		return err
	}
	if _, err := ParseCompression(string(c.Compression)); err != nil {
		return err
	}
	return c.validateAddresses()
}

func (c *Config) validateAddresses() error {
	for _, a := range c.Addresses {
		if err := validateAddress("addresses", a); err != nil {
			return err
		}
	}
	seen := map[string]int{}
	for i, shard := range c.Shards {
		if len(shard) == 0 {
			return &ConfigError{Field: "shards", Reason: fmt.Sprintf("shard %d has no address", i+1)}
		}
		for _, a := range shard {
			if err := validateAddress("shards", a); err != nil {
				return err
			}
			if j, ok := seen[a]; ok {
				return &ConfigError{Field: "shards", Reason: fmt.Sprintf("%s is named twice, in shard %d and shard %d", a, j+1, i+1)}
			}
			seen[a] = i
		}
	}
	for from, to := range c.AddressMap {
		if err := validateAddress("address_map", from); err != nil {
			return err
		}
		if err := validateAddress("address_map", to); err != nil {
			return err
		}
	}
	return nil
}

func validateAddress(field, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "" {
		return &ConfigError{Field: field, Reason: fmt.Sprintf("%q is not host:port", address)}
	}
	return nil
}

// bootstrap lists the addresses to ask for the topology.
func (c *Config) bootstrap() []string {
	if len(c.Addresses) > 0 {
		return c.Addresses
	}
	var all []string
	for _, shard := range c.Shards {
		all = append(all, shard...)
	}
	return all
}
