// Command chaos breaks a running pipeline at random moments and counts what is lost and what is double; see its -help.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/benthos-clickhouse/connect/tests/chaos"
)

const usage = `Usage: chaos -binary PATH [flags]

Real Kafka, MariaDB and ClickHouse (2 shards x 2 replicas, a third shard now and then), the real binary, and faults at random
moments: processes killed and frozen, connections cut, delayed and silenced, replies lost, consumers added and removed, the
cluster resized. At the end each event has to be there exactly once. A seed that fails can be run again.

Examples:
  chaos -binary ../bin/connect
  chaos -binary ../bin/connect -seed 17 -faults 50 -events 300000
  chaos -binary ../bin/connect -variant spool -every 1s -each
  chaos -binary ../bin/connect -only "connection cut before the reply,connector killed"

Flags:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	opts := chaos.Options{Out: os.Stderr}
	flag.StringVar(&opts.Binary, "binary", "../bin/connect", "the connect binary")
	flag.Uint64Var(&opts.Seed, "seed", uint64(time.Now().UnixNano()), "seed of the faults")
	flag.IntVar(&opts.Events, "events", 2_000_000, "events to produce")
	flag.IntVar(&opts.Faults, "faults", 200, "faults to make")
	flag.DurationVar(&opts.Limit, "limit", 30*time.Minute, "end of the run")
	flag.DurationVar(&opts.Every, "every", 3*time.Second, "mean time between faults")
	flag.StringVar(&opts.Variant, "variant", chaos.FanOut, "the pipeline: "+strings.Join(chaos.Variants, ", "))
	flag.BoolVar(&opts.EachFirst, "each", false, "begin with every kind of fault once")
	only := flag.String("only", "", "kinds of faults, comma-separated, of: "+strings.Join(chaos.Kinds(), ", ")+". All by default")
	asJSON := flag.Bool("json", false, "print the report as JSON")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	flag.Parse()
	if *only != "" {
		opts.Only = strings.Split(*only, ",")
	}
	report, err := chaos.Run(ctx, opts)
	if err != nil {
		return err
	}
	if *asJSON {
		err = json.NewEncoder(os.Stdout).Encode(report)
	} else {
		report.Print(os.Stdout)
	}
	if err == nil && !report.Passed() {
		err = fmt.Errorf("seed %d: %d lost, %d double", report.Seed, report.Losses, report.Duplicates)
	}
	return err
}
