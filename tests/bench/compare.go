package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/benthos-clickhouse/connect/tests/connector"
)

// Comparison is what a scenario costs in this tree, relative to another revision.
type Comparison struct {
	Scenario     string    `json:"scenario"`
	Base         []float64 `json:"base_cpu_us_per_row"`
	Here         []float64 `json:"here_cpu_us_per_row"` // the n-th ran right beside the n-th of Base
	BasePeak     int64     `json:"base_peak_memory_bytes"`
	HerePeak     int64     `json:"here_peak_memory_bytes"`
	Ratios       []float64 `json:"ratios"` // Here to Base, pair by pair, ascending
	BaseRevision string    `json:"base_revision"`
}

// Median is the ratio in the middle.
func (c *Comparison) Median() float64 { return c.Ratios[len(c.Ratios)/2] }

// alternations is how many pairs are run at least.
const alternations = 5

// BuildRevision builds the connector as it is at a revision of the repository at root, in a work tree of its own that is gone
// afterwards.
func BuildRevision(ctx context.Context, root, revision, dir string) (_ string, err error) {
	git := func(args ...string) error {
		out, err := exec.CommandContext(ctx, "git", append([]string{"-C", root}, args...)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, out)
		}
		return nil
	}
	tree := filepath.Join(dir, "tree")
	if err := git("worktree", "add", "--detach", tree, revision); err != nil {
		return "", err
	}
	defer func() {
		if removing := git("worktree", "remove", "--force", tree); err == nil {
			err = removing
		}
	}()
	return connector.Build(ctx, tree, dir)
}

// Compare runs each scenario with the binary of another revision and with Options.Binary in turn, so that whatever else the
// machine does falls on both alike.
func (b *Bench) Compare(ctx context.Context, revision, baseBinary string) (out []*Comparison, err error) {
	for _, s := range Scenarios() {
		if !wanted(b.opts.Only, s.Name) {
			continue
		}
		c := &Comparison{Scenario: s.Name, BaseRevision: revision}
		for n := range max(alternations, b.opts.Repeat) {
			pair := map[string]*Result{}
			order := []string{baseBinary, b.opts.Binary}
			if n%2 == 1 {
				slices.Reverse(order)
			}
			for _, binary := range order {
				if pair[binary], err = b.run(ctx, binary, s); err != nil {
					return out, err
				}
			}
			c.add(pair[baseBinary], pair[b.opts.Binary])
			say(b.opts.Out, "%s: %.2f to %.2f µs/row", s.Name, pair[b.opts.Binary].CPUMicros, pair[baseBinary].CPUMicros)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errNoScenario
	}
	return out, nil
}

func (c *Comparison) add(base, here *Result) {
	c.Base, c.Here = append(c.Base, base.CPUMicros), append(c.Here, here.CPUMicros)
	ratio := here.CPUMicros / base.CPUMicros
	at, _ := slices.BinarySearch(c.Ratios, ratio)
	c.Ratios = slices.Insert(c.Ratios, at, ratio)
	c.BasePeak, c.HerePeak = max(c.BasePeak, base.PeakBytes), max(c.HerePeak, here.PeakBytes)
}

// WriteComparisons writes them for people.
func WriteComparisons(w io.Writer, list []*Comparison) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(tw, "scenario\tCPU of this tree to %s\tsmallest\tlargest\tpairs\tpeak MB\tof the other\t\n", list[0].BaseRevision)
	for _, c := range list {
		fmt.Fprintf(tw, "%s\t%.3f\t%.3f\t%.3f\t%d\t%.0f\t%.0f\t\n", c.Scenario, c.Median(), c.Ratios[0], c.Ratios[len(c.Ratios)-1], len(c.Ratios),
			float64(c.HerePeak)/1e6, float64(c.BasePeak)/1e6)
	}
	return tw.Flush()
}

// WorkingTree builds the connector from the files at root as they are.
func WorkingTree(ctx context.Context, root string) (binary string, done func(), err error) {
	dir, err := os.MkdirTemp("", "benthos-clickhouse-here-")
	if err != nil {
		return "", nil, err
	}
	done = func() { os.RemoveAll(dir) }
	if binary, err = connector.Build(ctx, root, dir); err != nil {
		done()
		return "", nil, err
	}
	return binary, done, nil
}
