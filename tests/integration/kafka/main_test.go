// Package kafka_test runs kafka_exactly_once against brokers: kfake for what needs a broker's cooperation, and the real one for what is promised.
package kafka_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	_ "github.com/benthos-clickhouse/connect/inputs/kafka"

	"github.com/benthos-clickhouse/connect/tests/services"
)

// childConfig is set in the environment of a process that runs one pipeline until it is killed.
const childConfig = "KAFKA_TEST_PIPELINE"

func TestMain(m *testing.M) {
	if conf := os.Getenv(childConfig); conf != "" {
		runChild(conf)
		return
	}
	// Most of the time these tests wait: for sessions to time out, for members to come and go.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	code := m.Run()
	if shared != nil {
		shared.Stop()
	}
	if certificates != "" {
		_ = os.RemoveAll(certificates)
	}
	os.Exit(code)
}

// patience is how long anything may take on a machine that is busy with other things.
const patience = 60 * time.Second

// shared is the real broker, which all tests use: each has topics and groups of its own. Its certificates are in a directory beside it.
var (
	shared       *services.Cluster
	certificates string
	starting     = sync.OnceValue(startShared)
)

func startShared() (err error) {
	if certificates, err = os.MkdirTemp("", "certificates"); err != nil {
		return err
	}
	listeners, err := securedListeners(certificates)
	if err != nil {
		return err
	}
	shared, err = services.Start(context.Background(), services.Options{Kafka: true, KafkaSecured: listeners, KafkaProperties: brokerProperties})
	return err
}

// brokerProperties do not make tests wait for members that have died, or for ones that never come.
var brokerProperties = map[string]string{"group.min.session.timeout.ms": "1000", "group.initial.rebalance.delay.ms": "0"}

func runChild(conf string) {
	b := service.NewStreamBuilder()
	if err := b.SetYAML(conf); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	stream, err := b.Build()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := stream.Run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// child is a pipeline in a process of its own, which dies with -9 alone.
type child struct {
	cmd  *exec.Cmd
	done chan struct{}
}

func startChild(t testing.TB, conf string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childConfig+"="+conf)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	require.NoError(t, cmd.Start())
	c := &child{cmd: cmd, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(c.done)
	}()
	t.Cleanup(c.kill)
	return c
}

func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	<-c.done
}

// broker is one that a test runs against.
type broker struct {
	addr   string
	client *kgo.Client
	admin  *kadm.Client
	fake   *kfake.Cluster
}

func newBroker(t testing.TB, addr string) *broker {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.AllowAutoTopicCreation())
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return &broker{addr: addr, client: client, admin: kadm.NewClient(client)}
}

func fakeBroker(t *testing.T, opts ...kfake.Opt) *broker {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100 * time.Millisecond)}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	b := newBroker(t, c.ListenAddrs()[0])
	b.fake = c
	return b
}

func realBroker(t *testing.T) *broker {
	t.Helper()
	require.NoError(t, starting())
	return newBroker(t, shared.Kafka.Addr())
}

// brokers are what a test runs against.
var brokers = map[string]func(*testing.T) *broker{
	"kfake": func(t *testing.T) *broker {
		t.Helper()
		return fakeBroker(t)
	},
	"kafka": realBroker,
}

func (b *broker) createTopic(t *testing.T, topic string, partitions int32, configs map[string]*string) {
	t.Helper()
	_, err := b.admin.CreateTopic(t.Context(), partitions, 1, configs, topic)
	require.NoError(t, err)
}

// produce writes n records to each partition and returns the rows that they make.
func (b *broker) produce(t *testing.T, topic string, partitions int32, from, n int) map[string]bool {
	t.Helper()
	rows := map[string]bool{}
	var records []*kgo.Record
	for p := range partitions {
		for i := range n {
			records = append(records, &kgo.Record{Topic: topic, Partition: p, Key: []byte("k"), Value: fmt.Appendf(nil, `{"p":%d,"n":%d}`, p, from+i)})
		}
	}
	for _, r := range b.client.ProduceSync(t.Context(), records...) {
		require.NoError(t, r.Err)
		rows[row(topic, int(r.Record.Partition), int(r.Record.Offset), r.Record.Value)] = true
	}
	return rows
}

// committed waits until the group has committed the end of every partition.
func (b *broker) requireCommitted(t testing.TB, group, topic string) {
	t.Helper()
	require.Eventually(t, func() bool {
		end, err := b.admin.ListEndOffsets(t.Context(), topic)
		if err != nil {
			return false
		}
		at, err := b.admin.FetchOffsets(t.Context(), group)
		if err != nil {
			return false
		}
		all := true
		end.Each(func(o kadm.ListedOffset) {
			c, ok := at.Lookup(topic, o.Partition)
			all = all && (o.Offset == 0 || ok && c.At == o.Offset)
		})
		return all
	}, patience, 20*time.Millisecond, "group %s has not committed everything", group)
}

// startStream runs a pipeline in this process until the test ends or stop is called.
func startStream(t *testing.T, conf string) (stop func()) {
	t.Helper()
	b := service.NewStreamBuilder()
	require.NoError(t, b.SetYAML(conf))
	stream, err := b.Build()
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = stream.Run(context.Background())
	}()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, stream.Stop(ctx))
		<-done
	}
	t.Cleanup(stop)
	return stop
}

// settings are what the tests vary in a pipeline.
type settings struct {
	Broker, Topic, Group string
	Input                string // further fields of the input, indented by four
	Warehouse            string
	Sink                 string // further fields of the sink, indented by four
}

func (s settings) yaml() string {
	return fmt.Sprintf(`
logger: { level: %s }
input:
  kafka_exactly_once:
    seed_brokers: [ %q ]
    topics: [ %q ]
    consumer_group: %q
    fetch_max_wait: 100ms
    redelivery: { initial_interval: 10ms, max_interval: 100ms }
%s
pipeline: { threads: 2 }
output:
  recording_sink:
    warehouse: %q
%s
`, logLevel(), s.Broker, s.Topic, s.Group, s.Input, s.Warehouse, s.Sink)
}

func logLevel() string {
	if l := os.Getenv("KAFKA_TEST_LOG"); l != "" {
		return l
	}
	return "NONE"
}
