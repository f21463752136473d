package demo

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"github.com/benthos-clickhouse/connect/tests/clickstream"
	"github.com/benthos-clickhouse/connect/tests/embedded"
	"github.com/benthos-clickhouse/connect/tests/services"
)

// partitions of the clicks topic.
const partitions = 4

// addresses is what the process of the embedded servers prints on its first line.
type addresses struct {
	Kafka    string `json:"kafka"`
	MySQLDSN string `json:"mysql_dsn"`
}

// ServeEmbedded runs the embedded Kafka and MySQL, prints their addresses as one line of JSON, and returns when standard
// input ends, which it does when the process that started this one is gone.
func ServeEmbedded() error {
	kafka, err := embedded.StartKafka(partitions)
	if err != nil {
		return err
	}
	defer kafka.Close()
	db, err := embedded.StartMySQL()
	if err != nil {
		return err
	}
	defer db.Close()
	if err := json.NewEncoder(os.Stdout).Encode(addresses{kafka.Addr(), db.DSN()}); err != nil {
		return err
	}
	_, _ = os.Stdin.Read(make([]byte, 1))
	return nil
}

func startStack(ctx context.Context, opts Options, dir string) (*Stack, func(), error) {
	addrs, stopEmbedded, err := startEmbedded(opts.Command)
	if err != nil {
		return nil, nil, err
	}
	cluster, err := services.Start(ctx, services.Options{ClickHouse: true, Shards: Shards, Replicas: 1, Dir: filepath.Join(dir, "servers")})
	if err != nil {
		stopEmbedded()
		return nil, nil, err
	}
	stop := func() {
		cluster.Stop()
		stopEmbedded()
	}
	return &Stack{Dir: dir, KafkaAddr: addrs.Kafka, MySQLDSN: addrs.MySQLDSN, ClickHouse: cluster}, stop, nil
}

// StartEmbedded starts the embedded Kafka and MySQL in a process of their own: argv, or this program with the argument
// "embedded", which has to call ServeEmbedded. stop ends it.
func StartEmbedded(argv []string) (kafka, mysqlDSN string, stop func(), err error) {
	addrs, stop, err := startEmbedded(argv)
	return addrs.Kafka, addrs.MySQLDSN, stop, err
}

func startEmbedded(argv []string) (addresses, func(), error) {
	var addrs addresses
	if len(argv) == 0 {
		self, err := os.Executable()
		if err != nil {
			return addrs, nil, fmt.Errorf("finding this program: %w", err)
		}
		argv = []string{self, "embedded"}
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stderr = os.Stderr
	// Ctrl-C reaches it through its standard input only, so that the connector can finish first.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return addrs, nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return addrs, nil, err
	}
	if err := cmd.Start(); err != nil {
		return addrs, nil, fmt.Errorf("starting the embedded servers: %w", err)
	}
	stop := func() {
		_ = stdin.Close()
		timer := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
		_ = cmd.Wait()
	}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &addrs)
	}
	if err != nil {
		stop()
		return addrs, nil, fmt.Errorf("starting the embedded servers: %w", err)
	}
	return addrs, stop, nil
}

// prepare makes the tables on both sides, from the SQL files that a user starts from, and fills the dimensions.
func prepare(ctx context.Context, s *Stack, root string, gen clickstream.Options) error {
	for _, file := range []string{"01_events.sql", "02_dws.sql"} {
		script, err := os.ReadFile(filepath.Join(root, "config", "clickhouse", file))
		if err != nil {
			return err
		}
		for _, n := range s.nodes() {
			if err := n.ExecContext(ctx, string(script)); err != nil {
				return fmt.Errorf("running %s on %s: %w", file, n.Addr(), err)
			}
		}
	}
	return fillDimensions(ctx, s.MySQLDSN, root, gen)
}

func fillDimensions(ctx context.Context, dsn, root string, gen clickstream.Options) error {
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		return fmt.Errorf("opening MySQL: %w", err)
	}
	defer db.Close()
	script, err := os.ReadFile(filepath.Join(root, "config", "mysql", "01_dimensions.sql"))
	if err != nil {
		return err
	}
	stmts := append(services.Statements(string(script)), gen.MySQLInserts()...)
	for _, stmt := range stmts {
		if _, err := db.ExecContext(ctx, stmt); err != nil {
			return fmt.Errorf("filling the dimensions, %.60q: %w", strings.TrimSpace(stmt), err)
		}
	}
	return nil
}

// nodes are the ClickHouse nodes, one per shard, in shard order.
func (s *Stack) nodes() []*services.Node {
	nodes := make([]*services.Node, len(s.ClickHouse.Nodes))
	for i, replicas := range s.ClickHouse.Nodes {
		nodes[i] = replicas[0]
	}
	return nodes
}
