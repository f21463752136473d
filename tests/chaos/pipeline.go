package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Variants of the pipeline. All of them have a dead letter topic.
const (
	Plain  = "plain"
	FanOut = "fan out" // a second output behind the same input, as in config/clickstream.yaml
	Packed = "packed"  // many records in a message
	Spool  = "spool"   // blocks go to disk after a few attempts, and are replayed at the end
	// WriteAll is a cluster with internal_replication=false: every replica is written, and has to have every row of its shard.
	WriteAll = "write all"
)

// Variants lists them.
var Variants = []string{Plain, FanOut, Packed, Spool, WriteAll}

// checkVariant gives the variant asked for: the first when none is.
func checkVariant(name string) (string, error) {
	if name == "" {
		return Plain, nil
	}
	if !slices.Contains(Variants, name) {
		return "", fmt.Errorf("unknown variant %q: it is one of %s", name, strings.Join(Variants, ", "))
	}
	return name, nil
}

// writeConfig makes the pipeline: the one of config/clickstream.yaml in small, with deadlines short enough for a frozen
// node to be noticed within the run, and every connection through a proxy.
func (w *world) writeConfig() error {
	text := "http: { enabled: false }\nshutdown_timeout: 10s\n" + w.input() + w.join() + w.output()
	w.config = filepath.Join(w.dir, "chaos.yaml")
	if err := os.WriteFile(w.config, []byte(text), 0o600); err != nil {
		return err
	}
	if out, err := exec.Command(w.opts.Binary, "lint", w.config).CombinedOutput(); err != nil {
		return fmt.Errorf("linting the pipeline: %w\n%s", err, out)
	}
	return nil
}

func (w *world) input() string {
	packed := 1
	if w.opts.Variant == Packed {
		packed = 300
	}
	return fmt.Sprintf(`
input:
  kafka_exactly_once:
    seed_brokers: [ %q ]
    topics: [ %s ]
    consumer_group: %s
    session_timeout: 6s
    heartbeat_interval: 2s
    range: { count: 2000, period: 200ms }
    records_per_message: %d
`, w.kafka.Addr(), topic, group, packed)
}

func (w *world) join() string {
	return fmt.Sprintf(`
pipeline:
  processors:
    - dimension_join:
        dsn: %q
        dimensions:
          - { name: product, table: dim_product, key: { sku: this.sku }, columns: [ name ], prefix: product_ }
`, strings.Replace(w.cluster.MySQL.DSN(), w.cluster.MySQL.Addr(), w.mysql.Addr(), 1))
}

func (w *world) output() string {
	native := w.native()
	if w.opts.Variant != FanOut {
		return "output:\n" + native
	}
	copied := fmt.Sprintf("redpanda: { seed_brokers: [ %q ], topic: %s }\n", w.kafka.Addr(), copyTopic)
	return "output:\n  broker:\n    pattern: fan_out\n    outputs:\n" +
		"      -\n" + indent(native, 6) + "      - " + copied
}

func (w *world) native() string {
	var addressMap strings.Builder
	for i, n := range w.cluster.Servers {
		fmt.Fprintf(&addressMap, "      %q: %q\n", n.Addr(), w.proxies[i].Addr())
	}
	exhausted := ""
	if w.opts.Variant == Spool {
		exhausted = fmt.Sprintf("    on_exhausted: spool\n    spool: { path: %q }\n", w.spool())
	}
	return fmt.Sprintf(`  clickhouse_native:
    addresses: [ %q, %q ]
    database: chaos
    table: events
    address_map:
%s    dial_timeout: 2s
    stall_timeout: 3s
    insert_timeout: 10s
    topology_refresh: 2s
    delivery: exactly_once
    columns:
      - { name: kafka_topic, from: '@kafka_topic' }
      - { name: kafka_partition, from: '@kafka_partition' }
      - { name: kafka_offset, from: '@kafka_offset' }
    retries: { max_attempts: %d, initial_interval: 50ms, max_interval: 1s }
%s    dead_letter:
      redpanda: { seed_brokers: [ %q ], topic: %s }
`, w.cluster.Servers[0].Addr(), w.cluster.Servers[2].Addr(), addressMap.String(), w.attempts(), exhausted, w.kafka.Addr(), deadTopic)
}

// attempts of a block: few where that is what fills the spool.
func (w *world) attempts() int {
	if w.opts.Variant == Spool {
		return 3
	}
	return 8
}

func (w *world) spool() string { return filepath.Join(w.dir, "spool") }

// replay inserts what was spooled, and again what has been inserted by then: that may change nothing.
func (w *world) replay() error {
	if w.opts.Variant != Spool {
		return nil
	}
	args := []string{"clickhouse", "spool", "replay", "--path", w.spool(), "--dsn", "clickhouse://" + w.cluster.Servers[0].Addr()}
	for _, more := range [][]string{{"--keep"}, nil} {
		out, err := exec.Command(w.opts.Binary, append(args, more...)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("replaying the spool: %w\n%s", err, out)
		}
		fmt.Fprintf(w.out, "%s", out)
	}
	return nil
}

func indent(text string, by int) string {
	blank := strings.Repeat(" ", by)
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString(blank + line)
	}
	return out.String()
}
