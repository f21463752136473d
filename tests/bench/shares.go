package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Share is the part of the CPU time that was spent in functions of one package, those it calls not included.
type Share struct {
	Package string  `json:"package"`
	Part    float64 `json:"part"` // 1 is all
}

// smallest is the least part that is listed; the rest is summed up.
const smallest = 0.005

// shares adds up the CPU profiles of a scenario by package.
func (p *profiler) shares(ctx context.Context) ([]Share, error) {
	files, err := filepath.Glob(p.prefix + ".cpu*.pprof")
	if err != nil || len(files) == 0 {
		return nil, err // a run shorter than one profile
	}
	args := append([]string{"tool", "pprof", "-top", "-nodecount=1000000", "-nodefraction=0", "-edgefraction=0"}, files...)
	cmd := exec.CommandContext(ctx, "go", args...)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("reading the CPU profiles: %w\n%s", err, problems.String())
	}
	return sharesOf(text), nil
}

// sharesOf reads what `go tool pprof -top` prints: flat, flat%, sum%, cum, cum%, function.
func sharesOf(top []byte) (out []Share) {
	byPackage := map[string]float64{}
	lines := bufio.NewScanner(bytes.NewReader(top))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 6 || !strings.HasSuffix(f[1], "%") || !strings.HasSuffix(f[2], "%") || !strings.HasSuffix(f[4], "%") {
			continue
		}
		if part, err := strconv.ParseFloat(strings.TrimSuffix(f[1], "%"), 64); err == nil && part > 0 {
			byPackage[packageOf(f[5])] += part / 100
		}
	}
	rest := 1.0
	for name, part := range byPackage {
		if part >= smallest {
			out = append(out, Share{name, part})
			rest -= part
		}
	}
	slices.SortFunc(out, func(a, b Share) int { return strings.Compare(a.Package, b.Package) })
	slices.SortStableFunc(out, func(a, b Share) int { return int((b.Part - a.Part) * 1e6) })
	if rest >= smallest && len(out) > 0 {
		out = append(out, Share{"everything else", rest})
	}
	return out
}

// packageOf cuts a function's name after its package, generic arguments not looked at. The copying and clearing of memory are told apart from
// the rest of the runtime: they are what the code above them asked for.
func packageOf(function string) string {
	switch {
	case strings.HasPrefix(function, "runtime.memmove"):
		return "runtime: copying memory"
	case strings.HasPrefix(function, "runtime.memclr"):
		return "runtime: clearing memory"
	}
	name, _, _ := strings.Cut(function, "[")
	slash := strings.LastIndexByte(name, '/') + 1
	if dot := strings.IndexByte(name[slash:], '.'); dot >= 0 {
		name = name[:slash+dot]
	}
	return strings.TrimPrefix(name, "github.com/benthos-clickhouse/connect/")
}

func (r *Report) writeShares(w io.Writer) error {
	for _, s := range r.Results {
		if len(s.Shares) == 0 {
			continue
		}
		fmt.Fprintf(w, "\nWhere the CPU time of %q went:\n", s.Scenario)
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, x := range s.Shares {
			fmt.Fprintf(tw, "  %.1f%%\t%.0f ns/row\t%s\n", 100*x.Part, 1000*x.Part*s.CPUMicros, x.Package)
		}
		if err := tw.Flush(); err != nil {
			return err
		}
	}
	return nil
}
