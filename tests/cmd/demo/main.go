// Command demo shows the product at work on this machine and checks the result; see its -help.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/benthos-clickhouse/connect/tests/demo"
)

const usage = `Usage: demo [flags]

Produces a clickstream to an embedded Kafka, runs the connect binary with config/clickstream.yaml to join it with an
embedded MySQL's dimensions and land it in a real two-shard ClickHouse, and checks every row.

Examples:
  demo                          1,000,000 events
  demo -rows 5000000 -seed 7    more of them, and others
  demo -kill-shard 5s           kill one ClickHouse node on the way, start it again 5 s later
  demo -keep                    leave everything running at the end, and print how to look around
  demo -json                    the report as JSON

Flags (the environment variables ROWS, SEED and KEEP=1 set the first three):
`

func main() {
	if len(os.Args) > 1 && os.Args[1] == "embedded" {
		exit(demo.ServeEmbedded())
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(run(ctx))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	// Not the global set: the embedded MySQL's packages put flags of their own there.
	flags := flag.NewFlagSet("demo", flag.ExitOnError)
	rows := flags.Int("rows", envInt("ROWS", 1_000_000), "events to produce")
	seed := flags.Uint64("seed", uint64(envInt("SEED", 1)), "seed of the generated stream")
	keep := flags.Bool("keep", os.Getenv("KEEP") == "1", "leave everything running at the end")
	kill := flags.Duration("kill-shard", 0, "kill a ClickHouse node on the way, for this long")
	asJSON := flags.Bool("json", false, "print the report as JSON")
	root := flags.String("root", "..", "root directory of the repository")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	_ = flags.Parse(os.Args[1:]) // ends the process on an error

	report, err := demo.Run(ctx, demo.Options{
		Rows: *rows, Seed: *seed, Root: *root, Out: os.Stderr, KillShard: *kill, Keep: *keep,
		Done: func(r *demo.Report) error {
			if *asJSON {
				return r.WriteJSON(os.Stdout)
			}
			return r.WriteTable(os.Stdout)
		},
	})
	if err != nil {
		return err
	}
	if n := len(report.Differences); n > 0 {
		return fmt.Errorf("%d differences", n)
	}
	return nil
}

func envInt(name string, otherwise int) int {
	v := os.Getenv(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		exit(fmt.Errorf("reading %s: %w", name, err))
	}
	return n
}
