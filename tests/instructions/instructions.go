// Package instructions keeps the stages of a row's way from growing slower: it counts the machine instructions that each one
// takes for a fixed input, and holds them against the figures in figures.json.
//
// It owns the input, the counting and the figures. Instructions are the same on an idle and on a busy machine, which time is
// not; they do not see cache misses, which the benchmarks do. It must never measure time.
package instructions

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	"github.com/benthos-clickhouse/connect/tests/services"
)

// Tolerance is by how much a stage may grow over its figure before the check fails.
const Tolerance = 0.05

// Figures are instructions per row, by stage. They depend on the compiler, so its version goes with them.
type Figures struct {
	Go       string             `json:"go"`
	Platform string             `json:"platform"`
	PerRow   map[string]float64 `json:"instructions_per_row"`
}

// toolchain describes what the figures of this program are made with.
func toolchain() (version, platform string) {
	return runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH
}

// Read reads figures from a file.
func Read(path string) (f Figures, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return f, fmt.Errorf("reading the figures: %w", err)
	}
	if err := json.Unmarshal(text, &f); err != nil {
		return f, fmt.Errorf("reading the figures in %s: %w", path, err)
	}
	return f, nil
}

// Write writes figures to a file, as Read reads them.
func (f Figures) Write(path string) error {
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// Compare lists what is wrong with measured figures, next to the committed ones: stages that take more than Tolerance more, or
// so much less that the committed figure guards nothing any more, and stages that only one side has.
func (f Figures) Compare(measured Figures) (complaints []string) {
	for _, s := range Stages {
		was, now := f.PerRow[s.Name], measured.PerRow[s.Name]
		switch {
		case was == 0 || now == 0:
			complaints = append(complaints, fmt.Sprintf("%s: %.0f instructions per row committed, %.0f measured: each needs a figure", s.Name, was, now))
		case now > was*(1+Tolerance):
			complaints = append(complaints, fmt.Sprintf("%s takes %.0f instructions per row, %+.1f%% over the committed %.0f", s.Name, now, 100*(now/was-1), was))
		}
	}
	return complaints
}

// Counter counts instructions of the worker program.
type Counter struct {
	worker  string
	command []string // that the worker's own command line is appended to
	pattern *regexp.Regexp
}

// NewCounter builds the worker into dir, and finds a way to count: perf where the processor's counters can be read, which is
// seldom so in a virtual machine, and valgrind elsewhere, which is installed when it is missing.
func NewCounter(ctx context.Context, dir string) (*Counter, error) {
	c := &Counter{worker: filepath.Join(dir, "worker")}
	build := exec.CommandContext(ctx, "go", "build", "-o", c.worker, "./worker")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the worker: %w\n%s", err, out)
	}
	perf := Counter{
		worker: "true", command: []string{"perf", "stat", "-x,", "-e", "instructions:u"}, pattern: regexp.MustCompile(`(?m)^(\d+),.*instructions`),
	}
	if _, err := perf.run(ctx); err == nil {
		c.command, c.pattern = perf.command, perf.pattern
		return c, nil
	}
	if err := services.EnsureCommand(ctx, "valgrind", "valgrind", os.Stderr); err != nil {
		return nil, err
	}
	c.command = []string{"valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"}
	c.pattern = regexp.MustCompile(`I +refs: +([\d,]+)`)
	return c, nil
}

// run gives the instructions of one run of the worker.
func (c *Counter) run(ctx context.Context, args ...string) (int64, error) {
	argv := append(append(c.command[:len(c.command):len(c.command)], c.worker), args...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	// One thread, no collection, no signals, and no instructions that some processors do not have.
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=off", "GODEBUG=asyncpreemptoff=1,cpu.avx=off,cpu.avx2=off,cpu.avx512f=off,cpu.erms=off")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("counting with %s: %w\n%s", argv[0], err, out.String())
	}
	m := c.pattern.FindStringSubmatch(out.String())
	if m == nil {
		return 0, fmt.Errorf("counting with %s: it printed no count\n%s", argv[0], out.String())
	}
	return strconv.ParseInt(strings.ReplaceAll(m[1], ",", ""), 10, 64)
}

// warm is how many passes go before those that are counted. A run that makes no others is counted too: starting up costs both the
// same, so that it cancels out.
const warm = 2

// Count counts the instructions per row of a stage.
func (c *Counter) Count(ctx context.Context, s Stage) (float64, error) {
	var counts [2]int64
	for i, passes := range []int{warm, warm + s.passes} {
		var err error
		if counts[i], err = c.run(ctx, s.Name, strconv.Itoa(passes)); err != nil {
			return 0, fmt.Errorf("stage %s: %w", s.Name, err)
		}
	}
	return float64(counts[1]-counts[0]) / float64(s.passes*Rows), nil
}

// CountAll counts every stage.
func (c *Counter) CountAll(ctx context.Context) (Figures, error) {
	version, platform := toolchain()
	f := Figures{Go: version, Platform: platform, PerRow: map[string]float64{}}
	for _, s := range Stages {
		n, err := c.Count(ctx, s)
		if err != nil {
			return f, err
		}
		f.PerRow[s.Name] = float64(int64(n + 0.5))
	}
	return f, nil
}
