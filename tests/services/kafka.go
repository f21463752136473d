package services

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	kafkaVersion = "4.1.1"
	slf4jVersion = "1.7.36" // the one that this Kafka is built with
	// The dependency plugin is pinned, since Maven would look for the newest one.
	copyDependencies = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
)

// Broker is an Apache Kafka broker in KRaft mode. Kill, Stop, Start, Pause, Resume, Log, PID and Running come with it.
type Broker struct {
	*process
	addr    string
	secured map[string]string
}

// Addr is host:port of the broker.
func (b *Broker) Addr() string { return b.addr }

// Secured is host:port of one of Options.KafkaSecured.
func (b *Broker) Secured(name string) string { return b.secured[name] }

// Client opens a client that the test's end closes.
func (b *Broker) Client(t testing.TB, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.addr)}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

// Admin opens an admin client that the test's end closes.
func (b *Broker) Admin(t testing.TB) *kadm.Client {
	t.Helper()
	return kadm.NewClient(b.Client(t))
}

// CreateTopic creates a topic. A configuration is "name=value".
func (b *Broker) CreateTopic(t testing.TB, topic string, partitions int32, configs ...string) {
	t.Helper()
	values := map[string]*string{}
	for _, c := range configs {
		name, value, ok := strings.Cut(c, "=")
		require.True(t, ok, "%q is not name=value", c)
		values[name] = &value
	}
	_, err := b.Admin(t).CreateTopic(t.Context(), partitions, 1, values, topic)
	require.NoError(t, err, "creating topic %s", topic)
}

// ping asks for the brokers: one that has started, but is not registered with its controller, is not among them.
func (b *Broker) ping(ctx context.Context) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.addr))
	if err != nil {
		return err
	}
	defer client.Close()
	brokers, err := kadm.NewClient(client).ListBrokers(ctx)
	if err == nil && len(brokers) == 0 {
		err = fmt.Errorf("%s has not joined its cluster", b.name)
	}
	return err
}

// addKafka formats the broker's storage and configures it.
func (c *Cluster) addKafka(ctx context.Context, store *cache) error {
	if !c.opts.Kafka {
		return nil
	}
	b := &Broker{process: &process{name: "kafka", dir: filepath.Join(c.Dir, "kafka")}, addr: os.Getenv("KAFKA_ADDR")}
	b.healthy = b.ping
	if b.foreign = b.addr != ""; !b.foreign {
		if err := c.makeKafka(ctx, store, b); err != nil {
			return err
		}
	}
	c.Kafka = b
	c.processes = append(c.processes, b.process)
	return nil
}

func (c *Cluster) makeKafka(ctx context.Context, store *cache, b *Broker) error {
	jars, err := store.kafka(ctx)
	if err != nil {
		return err
	}
	port, err := c.ports.take()
	if err != nil {
		return fmt.Errorf("making kafka: %w", err)
	}
	controller, err := c.ports.take()
	if err != nil {
		return fmt.Errorf("making kafka: %w", err)
	}
	b.addr, b.secured = fmt.Sprintf("127.0.0.1:%d", port), map[string]string{}
	for _, l := range c.opts.KafkaSecured {
		if port, err = c.ports.take(); err != nil {
			return fmt.Errorf("making kafka: %w", err)
		}
		b.secured[l.Name] = fmt.Sprintf("127.0.0.1:%d", port)
	}
	b.logPath = filepath.Join(b.dir, "server.log")
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return fmt.Errorf("making kafka: %w", err)
	}
	config := filepath.Join(b.dir, "server.properties")
	if err := os.WriteFile(config, []byte(c.kafkaProperties(b, controller)), 0o644); err != nil {
		return fmt.Errorf("making kafka: %w", err)
	}
	java := func(options ...string) []string {
		// A broker that lives for seconds never gets back what the optimizing compiler costs: the start takes a third less.
		return append([]string{
			"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
			"-cp", filepath.Join(jars, "*"),
		}, options...)
	}
	format := java("kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", "YmVudGhvcy1jbGlja2hvdXNl", "-c", config)
	if err := run(ctx, b.dir, nil, "java", format...); err != nil {
		return fmt.Errorf("formatting kafka's storage: %w", err)
	}
	b.argv = append([]string{"java", "-Xms256m", "-Xmx512m"}, java("kafka.Kafka", config)...)
	return nil
}

func (c *Cluster) kafkaProperties(b *Broker, controllerPort int) string {
	controller := fmt.Sprintf("127.0.0.1:%d", controllerPort)
	properties := map[string]string{
		"process.roles":                  "broker,controller",
		"node.id":                        "1",
		"controller.quorum.voters":       "1@" + controller,
		"listeners":                      "PLAINTEXT://" + b.addr + ",CONTROLLER://" + controller,
		"advertised.listeners":           "PLAINTEXT://" + b.addr,
		"controller.listener.names":      "CONTROLLER",
		"inter.broker.listener.name":     "PLAINTEXT",
		"listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
		"log.dirs":                       filepath.Join(b.dir, "data"),
		"num.partitions":                 fmt.Sprint(c.opts.KafkaPartitions),
		// One broker holds every replica there is.
		"offsets.topic.replication.factor":                 "1",
		"offsets.topic.num.partitions":                     "1",
		"transaction.state.log.replication.factor":         "1",
		"transaction.state.log.min.isr":                    "1",
		"transaction.state.log.num.partitions":             "1",
		"share.coordinator.state.topic.replication.factor": "1",
		"share.coordinator.state.topic.min.isr":            "1",
		// Tests do not wait for members that never come, and let members die soon.
		"group.initial.rebalance.delay.ms": "0",
		"group.min.session.timeout.ms":     "1000",
		// A broker that was killed is let in again once its old session is over.
		"broker.session.timeout.ms":    "3000",
		"broker.heartbeat.interval.ms": "500",
		// Events of tests carry old timestamps.
		"log.retention.ms": "-1",
		// Memory of the compaction thread, 128 MiB otherwise.
		"log.cleaner.dedupe.buffer.size": "4194304",
	}
	listener := func(name, protocol, listen, advertised string) {
		properties["listeners"] += "," + name + "://" + listen
		properties["advertised.listeners"] += "," + name + "://" + advertised
		properties["listener.security.protocol.map"] += "," + name + ":" + protocol
	}
	for i, listen := range slices.Sorted(maps.Keys(c.opts.KafkaListeners)) {
		listener(fmt.Sprintf("FURTHER%d", i+1), "PLAINTEXT", listen, c.opts.KafkaListeners[listen])
	}
	for _, l := range c.opts.KafkaSecured {
		listener(strings.ToUpper(l.Name), l.Protocol, b.secured[l.Name], b.secured[l.Name])
		for name, value := range l.Properties {
			properties["listener.name."+strings.ToLower(l.Name)+"."+name] = value
		}
	}
	maps.Copy(properties, c.opts.KafkaProperties)
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		fmt.Fprintf(&text, "%s=%s\n", name, properties[name])
	}
	return text.String()
}

// kafka downloads the broker and returns the directory of its jars.
func (c *cache) kafka(ctx context.Context) (string, error) {
	failed := func(err error) error {
		return &InstallError{
			What: "Apache Kafka " + kafkaVersion, Err: err,
			ByHand: "apt-get install default-jre-headless maven, and see that `mvn` reaches Maven Central (settings.xml), or set KAFKA_ADDR to a running broker",
		}
	}
	if err := c.ensureCommand(ctx, "java", "default-jre-headless"); err != nil {
		return "", failed(err)
	}
	return c.once(ctx, "kafka-"+kafkaVersion, func(ctx context.Context, tmp string) error {
		if err := c.ensureCommand(ctx, "mvn", "maven"); err != nil {
			return failed(err)
		}
		pom := filepath.Join(tmp, "pom.xml")
		if err := os.WriteFile(pom, []byte(kafkaPOM), 0o644); err != nil {
			return failed(err)
		}
		fmt.Fprintf(c.log, "downloading Apache Kafka %s from Maven Central (45 MB, once)\n", kafkaVersion)
		if err := run(ctx, tmp, nil, "mvn", "-B", "-q", "-f", pom, copyDependencies, "-DincludeScope=runtime", "-DoutputDirectory="+tmp); err != nil {
			return failed(err)
		}
		return nil
	})
}

const kafkaPOM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tests</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>` + kafkaVersion + `</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>` + slf4jVersion + `</version></dependency>
  </dependencies>
</project>
`
