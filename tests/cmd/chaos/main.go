// Command chaos breaks a running pipeline at random moments and counts what is lost and what is double; see its -help.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
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
	flag.DurationVar(&opts.Every, "every", 5*time.Second, "mean time between faults")
	flag.StringVar(&opts.Variant, "variant", chaos.Plain, "the pipeline: "+strings.Join(chaos.Variants, ", "))
	only := flag.String("only", "", "kinds of faults, comma-separated; all by default")
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
		print(report)
	}
	if err == nil && !report.Passed() {
		err = fmt.Errorf("seed %d: %d lost, %d double", report.Seed, report.Losses, report.Duplicates)
	}
	return err
}

func print(r *chaos.Report) {
	fmt.Printf("%-40s %d\n%-40s %s\n", "seed", r.Seed, "variant", r.Variant)
	for _, kind := range slices.Sorted(maps.Keys(r.Faults)) {
		fmt.Printf("  %-38s %d\n", kind, r.Faults[kind])
	}
	for _, l := range []struct {
		what string
		n    int64
	}{
		{"faults", int64(r.FaultCount)}, {"lives of connectors", r.Lives}, {"events", r.Events}, {"rows", r.Rows}, {"counted by the materialized view", r.ViewRows},
		{"duplicates", r.Duplicates}, {"losses", r.Losses}, {"wrong joins", r.WrongJoins},
		{"events that cannot be inserted", r.Dead}, {"  in the dead letter topic", r.DeadLetters}, {"  more than once", r.RepeatedLetters},
		{"seconds", int64(r.Seconds)},
	} {
		fmt.Printf("%-40s %d\n", l.what, l.n)
	}
	for _, e := range r.Examples {
		fmt.Println("  " + e)
	}
}
