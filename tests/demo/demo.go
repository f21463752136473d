// Package demo runs the product as a user would, and checks what came of it: it builds the real binary, starts Kafka, MySQL
// and a two-shard ClickHouse, produces a clickstream, runs config/clickstream.yaml, and compares the tables with the
// generator's ledger.
//
// It owns the flow and the report; it must never write a row into ClickHouse that the pipeline should have written.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/benthos-clickhouse/connect/tests/clickstream"
	"github.com/benthos-clickhouse/connect/tests/connector"
	"github.com/benthos-clickhouse/connect/tests/services"
)

// Shards of the demo's ClickHouse cluster.
const Shards = 2

// Options say what to run.
type Options struct {
	Rows int    // events to produce
	Seed uint64 // of the generator
	Root string // the repository's root directory
	Out  io.Writer
	// KillShard kills the node of the second shard once a third of the events has landed, and starts it again after this long. Zero does not.
	KillShard time.Duration
	// Done is called with the report before the servers are stopped.
	Done func(*Report) error
	// Keep leaves everything running, the connector too, until ctx ends, and prints how to look around.
	Keep bool
	// Command starts the embedded servers in a process of their own; by default this program with the argument "embedded".
	Command []string
}

// Stack is what runs, and where.
type Stack struct {
	Dir        string
	KafkaAddr  string
	MySQLDSN   string
	ClickHouse *services.Cluster
	Binary     string
}

// Run does the whole demo and returns its report; an error means that something could not run, while differences found are
// in Report.Differences.
func Run(ctx context.Context, opts Options) (*Report, error) {
	dir, err := os.MkdirTemp("", "benthos-clickhouse-demo-")
	if err != nil {
		return nil, fmt.Errorf("making a working directory: %w", err)
	}
	defer os.RemoveAll(dir)

	say(opts.Out, "Building connect …")
	binary, err := connector.Build(ctx, opts.Root, dir)
	if err != nil {
		return nil, err
	}
	say(opts.Out, "Starting Kafka, MySQL and ClickHouse (%d shards) …", Shards)
	stack, stop, err := startStack(ctx, opts, dir)
	if err != nil {
		return nil, err
	}
	defer stop()
	stack.Binary = binary

	gen := clickstream.Options{Seed: opts.Seed}
	if err := prepare(ctx, stack, opts.Root, gen); err != nil {
		return nil, err
	}
	ledger, err := produce(ctx, stack.KafkaAddr, gen, opts.Rows, opts.Out)
	if err != nil {
		return nil, err
	}
	return land(ctx, opts, stack, gen, ledger)
}

// land runs the connector until the group has committed every offset, and checks the result.
func land(ctx context.Context, opts Options, stack *Stack, gen clickstream.Options, ledger *clickstream.Ledger) (*Report, error) {
	p, err := startPipeline(stack, filepath.Join(opts.Root, "config", "clickstream.yaml"))
	if err != nil {
		return nil, err
	}
	defer p.Kill()
	report := &Report{Rows: opts.Rows, Malformed: ledger.Malformed}
	if err := errors.Join(follow(ctx, opts, stack, p, ledger), ctx.Err()); err != nil {
		return nil, fmt.Errorf("%w; the end of the connector's log:\n%s", err, p.LogTail())
	}
	if err := p.finish(ctx, report); err != nil {
		return nil, fmt.Errorf("stopping the connector: %w; the end of its log:\n%s", err, p.LogTail())
	}
	if err := verify(ctx, stack, gen, ledger, report); err != nil {
		return nil, fmt.Errorf("checking the result: %w", err)
	}
	if opts.Done != nil {
		if err := opts.Done(report); err != nil {
			return nil, err
		}
	}
	if opts.Keep {
		return report, stay(ctx, opts, stack)
	}
	return report, nil
}

// stay runs the connector again, for whoever wants to produce more, until ctx ends.
func stay(ctx context.Context, opts Options, s *Stack) error {
	p, err := startPipeline(s, filepath.Join(opts.Root, "config", "clickstream.yaml"))
	if err != nil {
		return err
	}
	defer p.Kill()
	node := s.nodes()[0]
	say(opts.Out, lookAround, s.KafkaAddr, s.MySQLDSN, node.Addr(), node.HTTPAddr(), p.http, p.LogPath, node.HTTPAddr(), node.HTTPAddr(), node.HTTPAddr())
	select {
	case <-ctx.Done():
		return p.Stop()
	case <-p.Done():
		return fmt.Errorf("the connector ended by itself; the end of its log:\n%s", p.LogTail())
	}
}

const lookAround = `
Everything is still running; Ctrl-C stops it.

  Kafka        %s
  MySQL        %s
  ClickHouse   %s (native), %s (HTTP)
  connector    http://%s/metrics, log %s

  curl -s 'http://%s/' -d 'SELECT _shard_num, count(), uniq(user_id) FROM dw.events GROUP BY 1 FORMAT Pretty'
  curl -s 'http://%s/' -d 'SELECT product_category, sum(views), sum(purchases) FROM dw.funnel_by_category GROUP BY 1 FORMAT Pretty'
  curl -s 'http://%s/' -d 'SELECT * FROM dw.events LIMIT 1 FORMAT Vertical'`

func say(w io.Writer, format string, args ...any) {
	if w != nil {
		fmt.Fprintf(w, format+"\n", args...)
	}
}
