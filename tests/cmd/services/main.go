// Command services starts the servers that the tests run against, for work by hand: it prints their addresses, and stops
// them on Ctrl-C.
//
// It owns flags and output; the servers are package tests/services'.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/benthos-clickhouse/connect/tests/services"
)

const usage = `Starts real ClickHouse, Kafka and MariaDB or MySQL servers on 127.0.0.1, and installs what is missing.

Usage:
  services up [flags] [-- command args...]   start servers; print addresses; stop them on Ctrl-C
  services install [flags]                   download and install only

Examples:
  go run ./cmd/services up                                  one ClickHouse node
  go run ./cmd/services up --shards 2 --kafka --mysql       what the tests and the pipelines need
  go run ./cmd/services up --shards 3 --weights 1,2,0 --replicas 2
  go run ./cmd/services up --clickhouse=false --kafka --json
  go run ./cmd/services up --kafka --mysql -- go test ./integration/...
                                            the servers last as long as the command, whose environment names them
  go run ./cmd/services up --dir ~/servers  keep data and logs, and find them again the next time

Environment:
  CLICKHOUSE_ADDR, KAFKA_ADDR, MYSQL_DSN    servers that are there already, used instead of starting some
  CLICKHOUSE_BIN                            a clickhouse binary to start instead of the downloaded library
  MYSQLD_BIN                                a MySQL server to start instead of the downloaded one
  BENTHOS_CLICKHOUSE_CACHE                  where downloads are kept

Flags:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	var failed *commandError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.As(err, &failed) && failed.code() != notStarted:
		os.Exit(failed.code()) // the command has explained itself
	default:
		fmt.Fprintln(os.Stderr, "services:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var opts services.Options
	var weights string
	var asJSON bool
	flags := flag.NewFlagSet("services", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	flags.BoolVar(&opts.ClickHouse, "clickhouse", true, "start ClickHouse")
	flags.IntVar(&opts.Shards, "shards", 1, "ClickHouse shards of cluster "+services.ClusterName)
	flags.IntVar(&opts.Replicas, "replicas", 1, "ClickHouse replicas of each shard")
	flags.StringVar(&weights, "weights", "", "weights of the shards, comma-separated (default 1 each)")
	flags.BoolVar(&opts.Kafka, "kafka", false, "start Apache Kafka")
	flags.IntVar(&opts.KafkaPartitions, "partitions", 1, "Kafka partitions of a topic that is created by its first use")
	flags.BoolVar(&opts.MariaDB, "mysql", false, "start MariaDB")
	flags.BoolVar(&opts.MySQL, "mysqld", false, "start MySQL in MariaDB's place")
	flags.StringVar(&opts.MySQLDatabase, "database", "dimensions", "MariaDB or MySQL database to create")
	flags.StringVar(&opts.Dir, "dir", "", "directory of data and logs, kept (default a temporary one)")
	flags.BoolVar(&asJSON, "json", false, "print the addresses as one line of JSON")

	verb := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		verb, args = args[0], args[1:]
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	opts.Log = stderr
	var err error
	if opts.Weights, err = parseWeights(weights); err != nil {
		return err
	}
	switch verb {
	case "install":
		return services.Install(ctx, opts)
	case "up":
		return up(ctx, opts, flags.Args(), asJSON, stdout, stderr)
	case "", "help":
		flags.Usage()
		return flag.ErrHelp
	default:
		return fmt.Errorf("there is no command %q: it is up or install (services help tells more)", verb)
	}
}

func parseWeights(text string) ([]int, error) {
	if text == "" {
		return nil, nil
	}
	var weights []int
	for _, field := range strings.Split(text, ",") {
		weight, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || weight < 0 {
			return nil, fmt.Errorf("--weights: %q is no weight; it takes numbers from 0, like 1,2,0", field)
		}
		weights = append(weights, weight)
	}
	return weights, nil
}

func up(ctx context.Context, opts services.Options, command []string, asJSON bool, stdout, stderr io.Writer) error {
	cluster, err := services.Start(ctx, opts)
	if err != nil {
		return err
	}
	defer cluster.Stop()
	addresses := describe(cluster)
	if len(command) > 0 {
		return runCommand(ctx, command, addresses.Env, stdout, stderr)
	}
	if asJSON {
		err = json.NewEncoder(stdout).Encode(addresses)
	} else {
		_, err = io.WriteString(stdout, addresses.String())
	}
	if err != nil {
		return fmt.Errorf("printing the addresses: %w", err)
	}
	fmt.Fprintln(stderr, "running; Ctrl-C stops everything")
	<-ctx.Done()
	return nil
}

// runCommand leaves it to the command to end on the terminal's Ctrl-C, which it gets as well.
func runCommand(ctx context.Context, command []string, env []variable, stdout, stderr io.Writer) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, stdout, stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Env = os.Environ()
	for _, v := range env {
		cmd.Env = append(cmd.Env, v.Name+"="+v.Value)
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("running %s: %w", command[0], &commandError{err})
	}
	return nil
}

// notStarted is the code of a shell for a command that it cannot start.
const notStarted = 127

// commandError is how the command after -- ended.
type commandError struct{ error }

func (e *commandError) Unwrap() error { return e.error }

func (e *commandError) code() int {
	var exit *exec.ExitError
	if errors.As(e.error, &exit) {
		return max(exit.ExitCode(), 1)
	}
	return notStarted
}
