// Package chaos runs the real binary against real servers, breaks them at random moments from a seed, and counts at the end
// what was lost and what is there twice.
//
// It owns the faults and the count. It must never help the pipeline: it heals what it broke, and nothing else.
package chaos

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Options size a run.
type Options struct {
	Seed   uint64
	Events int           // events to produce while faults go on
	Faults int           // faults to make
	Every  time.Duration // mean time between faults; 3s by default
	Limit  time.Duration // for the whole run
	Binary string        // the connect binary
	Out    io.Writer     // progress; may be nil
	// Variant of the pipeline: one of Variants.
	Variant string
	// Only names the kinds of faults to make; all when empty.
	Only []string
	// EachFirst begins with every kind once, in an order that the seed gives.
	EachFirst bool
	// Env is added to the connectors' environment.
	Env []string
}

func (o *Options) setDefaults() (err error) {
	if o.Every <= 0 {
		o.Every = 3 * time.Second
	}
	if o.Limit <= 0 {
		o.Limit = 30 * time.Minute
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	o.Variant, err = checkVariant(o.Variant)
	return err
}

// Report is what a run came to.
type Report struct {
	Seed       uint64         `json:"seed"`
	Variant    string         `json:"variant"`
	Lives      int64          `json:"lives"` // of connectors: each ends with a fault
	Faults     map[string]int `json:"faults"`
	FaultCount int            `json:"fault_count"`
	Events     int64          `json:"events"` // that can be inserted
	Rows       int64          `json:"rows"`
	Duplicates int64          `json:"duplicates"`
	Losses     int64          `json:"losses"`
	ViewRows   int64          `json:"view_rows"`  // events counted by a materialized view
	WrongRows  int64          `json:"wrong_rows"` // with other content than their event
	// Events that can never be inserted: how many there are, how many are in the dead letter topic, and how many copies too many (which
	// is allowed).
	Dead            int64    `json:"dead"`
	DeadLetters     int64    `json:"dead_letters"`
	RepeatedLetters int64    `json:"repeated_letters"`
	Seconds         float64  `json:"seconds"`
	Examples        []string `json:"examples,omitempty"` // of lost and doubled events
}

// Passed tells whether every event is there exactly once, in the table and in its materialized view, and every one that can never be in
// the dead letter topic.
func (r *Report) Passed() bool {
	return r.Losses == 0 && r.Duplicates == 0 && r.WrongRows == 0 && r.Rows == r.Events && r.ViewRows == r.Events &&
		r.DeadLetters == r.Dead
}

// Print writes the report for people.
func (r *Report) Print(out io.Writer) {
	fmt.Fprintf(out, "%-40s %d\n%-40s %s\n", "seed", r.Seed, "variant", r.Variant)
	for _, kind := range slices.Sorted(maps.Keys(r.Faults)) {
		fmt.Fprintf(out, "  %-38s %d\n", kind, r.Faults[kind])
	}
	for _, l := range []struct {
		what string
		n    int64
	}{
		{"faults", int64(r.FaultCount)},
		{"lives of connectors", r.Lives},
		{"events", r.Events},
		{"rows", r.Rows},
		{"counted by the materialized view", r.ViewRows},
		{"duplicates", r.Duplicates},
		{"losses", r.Losses},
		{"rows with wrong content", r.WrongRows},
		{"events that cannot be inserted", r.Dead},
		{"  in the dead letter topic", r.DeadLetters},
		{"  more than once", r.RepeatedLetters},
		{"seconds", int64(r.Seconds)},
	} {
		fmt.Fprintf(out, "%-40s %d\n", l.what, l.n)
	}
	for _, e := range r.Examples {
		fmt.Fprintln(out, "  "+e)
	}
}

// Run makes the faults and returns the count. An error means that the run itself could not be carried through, which
// includes a pipeline that does not catch up once everything is healed.
func Run(ctx context.Context, opts Options) (_ *Report, err error) {
	if err := opts.setDefaults(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, opts.Limit)
	defer cancel()
	start := time.Now()
	dir, err := os.MkdirTemp("", "benthos-clickhouse-chaos-")
	if err != nil {
		return nil, fmt.Errorf("making a working directory: %w", err)
	}
	w, err := newWorld(ctx, opts, dir)
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	defer func() {
		w.close()
		if err == nil {
			os.RemoveAll(dir)
		} else {
			err = fmt.Errorf("%w (seed %d; the connectors' logs are in %s)", err, opts.Seed, dir)
		}
	}()

	produced := make(chan error, 1)
	pctx, stopProducing := context.WithCancel(ctx)
	defer stopProducing()
	go func() { produced <- w.produce(pctx) }()

	report := &Report{Seed: opts.Seed, Variant: opts.Variant, Faults: map[string]int{}, Dead: deadBelow(opts.Events)}
	report.Events = int64(opts.Events) - report.Dead
	rng := rand.New(rand.NewPCG(opts.Seed, 1))
	if err := w.breakThings(ctx, rng, report); err != nil {
		return nil, err
	}
	if err := w.heal(ctx); err != nil {
		return nil, fmt.Errorf("healing: %w", err)
	}
	w.hurry()
	if err := <-produced; err != nil {
		return nil, fmt.Errorf("producing: %w", err)
	}
	if err := w.drain(ctx); err != nil {
		return nil, err
	}
	if err := w.replay(); err != nil {
		return nil, err
	}
	if err := w.count(ctx, report); err != nil {
		return nil, err
	}
	report.Lives = w.lives.Load()
	report.Seconds = time.Since(start).Seconds()
	if !report.Passed() {
		w.keepLogs(filepath.Join(os.TempDir(), fmt.Sprintf("benthos-clickhouse-chaos-seed-%d", opts.Seed)))
	}
	return report, nil
}
