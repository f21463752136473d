// Command bench measures what the connect binary costs per row; see its -help.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/benthos-clickhouse/connect/tests/bench"
	"github.com/benthos-clickhouse/connect/tests/demo"
)

const usage = `Usage: bench [flags]

Runs the connect binary from a broker to a real ClickHouse, each scenario by itself, and prints the CPU time per row, rows per
second, peak memory and allocations, the same work by its stages alone, and each budget with what was reached.

Examples:
  bench                                        all scenarios
  bench -only "standard,one record a message"  some of them
  bench -rows 500000 -repeat 3 -save ../docs/performance
  bench -only standard -stages=false -latency  how long rows take to be visible
  bench -compare HEAD~5                        this tree against a revision, run alternately

Flags:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch {
	case len(os.Args) > 1 && os.Args[1] == "embedded":
		err = demo.ServeEmbedded()
	case len(os.Args) > 1 && os.Args[1] == "stage":
		err = bench.ServeStage(ctx, os.Args[2:])
	default:
		err = run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	// Not the global set: the embedded MySQL's packages put flags of their own there.
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	opts := bench.Options{Out: os.Stderr}
	flags.StringVar(&opts.Binary, "binary", "../bin/connect", "the connect binary")
	flags.StringVar(&opts.Root, "root", "..", "root directory of the repository")
	flags.IntVar(&opts.Rows, "rows", 2_000_000, "events per scenario")
	flags.IntVar(&opts.Repeat, "repeat", 1, "runs per scenario; the median counts")
	only := flags.String("only", "", "names of scenarios, comma-separated; all by default")
	stages := flags.Bool("stages", true, "measure the stages alone, and the baselines")
	flags.StringVar(&opts.Profile, "profile", "", "directory for profiles of each scenario: CPU and heap in mid-run, and all allocations")
	save := flags.String("save", "", "directory for table, JSON and plot")
	latency := flags.Bool("latency", false, "measure the latency for each range.period, at -rate")
	rate := flags.Int("rate", 0, "rows per second for -latency; by default half of what the standard scenario takes on MergeTree")
	compare := flags.String("compare", "", "a revision to compare the working tree with")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	_ = flags.Parse(os.Args[1:]) // ends the process on an error
	if *only != "" {
		for _, name := range strings.Split(*only, ",") {
			opts.Only = append(opts.Only, strings.TrimSpace(name))
		}
	}
	if *compare != "" {
		return runCompare(ctx, opts, *compare)
	}
	b, err := bench.New(ctx, opts)
	if err != nil {
		return err
	}
	defer b.Close()
	report, err := b.Run(ctx)
	if err != nil {
		return err
	}
	if *stages {
		if err := b.AddStages(ctx, report); err != nil {
			return err
		}
	}
	if *latency {
		if err := b.AddLatencies(ctx, report, *rate); err != nil {
			return err
		}
	}
	if *save != "" {
		if err := report.Save(*save); err != nil {
			return err
		}
	}
	return report.WriteTable(os.Stdout)
}

// runCompare compares the two main scenarios, unless others are named.
func runCompare(ctx context.Context, opts bench.Options, revision string) error {
	dir, err := os.MkdirTemp("", "benthos-clickhouse-base-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	base, err := bench.BuildRevision(ctx, opts.Root, revision, dir)
	if err != nil {
		return err
	}
	here, done, err := bench.WorkingTree(ctx, opts.Root)
	if err != nil {
		return err
	}
	defer done()
	opts.Binary = here
	if len(opts.Only) == 0 {
		opts.Only = []string{"standard", "one record a message"}
	}
	b, err := bench.New(ctx, opts)
	if err != nil {
		return err
	}
	defer b.Close()
	list, err := b.Compare(ctx, revision, base)
	if err != nil {
		return err
	}
	return bench.WriteComparisons(os.Stdout, list)
}
