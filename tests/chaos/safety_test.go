package chaos_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/benthos-clickhouse/connect/tests/connector"
	"github.com/benthos-clickhouse/connect/tests/proxy"
	"github.com/benthos-clickhouse/connect/tests/services"
)

// TestEachSafetyIsNeeded makes, with the real binary, the one fault that each safety is for: with the safety every event is there
// once, without it some are doubled. The switch is compiled into binaries with the build tag chaos only.
func TestEachSafetyIsNeeded(t *testing.T) {
	binary, err := connector.Build(t.Context(), "../..", t.TempDir(), "chaos")
	require.NoError(t, err)
	node := func(i int) services.Shard { // a shard of two replicas
		return services.Shard{Weight: 1, Replicas: []services.Replica{{Node: 2 * i}, {Node: 2*i + 1}}}
	}
	servers := services.Run(t, services.Options{
		ClickHouse: true, Shards: 2, Replicas: 2, Kafka: true,
		Clusters: map[string][]services.Shard{"turned": {node(1), node(0)}},
	})
	for _, s := range []struct {
		safety   string
		delivery string
		fault    func(*stage)
	}{
		{"block names", "exactly_once", (*stage).loseReplies},
		{"intents", "exactly_once", (*stage).dieBeforeCommit},
		{"pinned layout", "exactly_once", (*stage).turnClusterWhileDead},
		{"same replica", "at_least_once", (*stage).loseReplies},
	} {
		t.Run(s.safety, func(t *testing.T) {
			for _, without := range []string{"", s.safety} {
				name := "with"
				if without != "" {
					name = "without"
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					st := newStage(t, servers, binary, without, s.delivery)
					s.fault(st)
					rows, distinct := st.finish()
					require.Equal(t, st.produced, distinct, "events are lost")
					if without == "" {
						require.Equal(t, st.produced, rows, "events are doubled")
					} else {
						require.Greater(t, rows, st.produced, "the safety makes no difference")
					}
				})
			}
		})
	}
}

// stage is one pipeline with tables, topic and proxies of its own.
type stage struct {
	t        *testing.T
	servers  *services.Cluster
	proxies  []*proxy.Proxy
	name     string // of database, topic and group
	producer *kgo.Client
	process  *connector.Process
	produced int
}

func newStage(t *testing.T, servers *services.Cluster, binary, without, delivery string) *stage {
	t.Helper()
	s := &stage{t: t, servers: servers, name: "s" + strconv.FormatInt(time.Now().UnixNano(), 36)}
	servers.Exec(t, fmt.Sprintf(`CREATE DATABASE %[1]s;
		CREATE TABLE %[1]s.events_local (id UInt64, user_id UInt64) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 1000;
		CREATE TABLE %[1]s.events AS %[1]s.events_local ENGINE = Distributed('events_cluster', '%[1]s', 'events_local', user_id)`, s.name))
	servers.Kafka.CreateTopic(t, s.name, 1)
	s.producer = servers.Kafka.Client(t, kgo.DefaultProduceTopic(s.name))
	var addressMap strings.Builder
	for _, n := range servers.Servers {
		p := proxy.Run(t, n.Addr())
		s.proxies = append(s.proxies, p)
		fmt.Fprintf(&addressMap, "      %q: %q\n", n.Addr(), p.Addr())
	}
	config := filepath.Join(t.TempDir(), "safety.yaml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
http: { enabled: false }
input:
  kafka_exactly_once:
    seed_brokers: [ %q ]
    topics: [ %[2]s ]
    consumer_group: %[2]s
    session_timeout: 6s
    heartbeat_interval: 1s
    range: { count: 100000, period: 100ms }
output:
  clickhouse_native:
    addresses: [ %[3]q ]
    database: %[2]s
    table: events
    delivery: %[4]s
    compression: none
    dial_timeout: 2s
    retries: { initial_interval: 50ms, max_interval: 500ms }
    replicas: { policy: in_order }
    address_map:
%[5]s`, servers.Kafka.Addr(), s.name, s.proxies[0].Addr(), delivery, addressMap.String()), 0o600))
	s.process = &connector.Process{
		Binary: binary, Config: config, Env: []string{"CHAOS_WITHOUT=" + without}, LogPath: filepath.Join(t.TempDir(), "connect.log"),
	}
	t.Cleanup(func() {
		s.process.Kill()
		if t.Failed() {
			t.Log(s.process.LogTail())
		}
	})
	require.NoError(t, s.process.Start())
	s.produce(100)
	s.landed()
	s.committed()
	return s
}

// produce writes n more events.
func (s *stage) produce(n int) {
	s.t.Helper()
	var records []*kgo.Record
	for range n {
		records = append(records, kgo.StringRecord(fmt.Sprintf(`{"id":%d,"user_id":%d}`, s.produced, s.produced)))
		s.produced++
	}
	require.NoError(s.t, s.producer.ProduceSync(s.t.Context(), records...).FirstErr())
}

// landed waits until the tables have every event.
func (s *stage) landed() {
	s.t.Helper()
	s.await("every event in the tables", func() bool {
		_, distinct := s.count()
		return distinct == s.produced
	})
}

// committed waits until the group has nothing left to read.
func (s *stage) committed() {
	s.t.Helper()
	admin := s.servers.Kafka.Admin(s.t)
	s.await("every event committed", func() bool { return connector.Lag(s.t.Context(), admin, s.name, s.name, 1) == 0 })
}

func (s *stage) await(what string, done func() bool) {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(50 * time.Millisecond) {
		require.True(s.t, s.process.Running(), "the connector ended by itself")
		require.True(s.t, time.Now().Before(end), "waiting for %s", what)
	}
}

func (s *stage) count() (rows, distinct int) {
	s.t.Helper()
	seen := map[string]bool{}
	for _, n := range s.servers.Servers {
		for _, row := range n.Query(s.t, "SELECT id FROM "+s.name+".events_local") {
			rows++
			seen[row[0]] = true
		}
	}
	return rows, len(seen)
}

// blockSize is less than a block of 500 rows takes, and more than anything else that is sent.
const blockSize = 4096

// deafen has events land, and keeps the servers' answers to their blocks from the connector.
func (s *stage) deafen() {
	s.t.Helper()
	for _, p := range s.proxies {
		p.OnRequest(func(n int) {
			if n > blockSize {
				p.Set(proxy.DropReplies)
			}
		})
	}
	s.produce(1000)
	s.landed()
}

func (s *stage) hear() {
	for _, p := range s.proxies {
		p.OnRequest(nil)
		p.Set(proxy.Pass)
		p.Cut()
	}
}

// loseReplies has blocks land whose answers never come.
func (s *stage) loseReplies() {
	s.deafen()
	s.hear()
}

// dieBeforeCommit kills the connector between insert and commit. More events come before it is back.
func (s *stage) dieBeforeCommit() {
	s.deafen()
	s.process.Kill()
	s.hear()
	s.produce(500)
	require.NoError(s.t, s.process.Start())
}

// turnClusterWhileDead kills the connector between insert and commit, and changes the order of the shards before it is back.
func (s *stage) turnClusterWhileDead() {
	s.deafen()
	s.process.Kill()
	s.hear()
	s.servers.Exec(s.t, fmt.Sprintf(`DROP TABLE %[1]s.events SYNC;
		CREATE TABLE %[1]s.events AS %[1]s.events_local ENGINE = Distributed('turned', '%[1]s', 'events_local', user_id)`, s.name))
	require.NoError(s.t, s.process.Start())
}

// finish waits for the end, and counts.
func (s *stage) finish() (rows, distinct int) {
	s.t.Helper()
	s.landed()
	s.committed()
	return s.count()
}
