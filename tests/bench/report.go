package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
)

// median returns the run whose CPU per row is in the middle.
func median(runs []*Result) *Result {
	slices.SortFunc(runs, func(a, b *Result) int {
		switch {
		case a.CPUMicros < b.CPUMicros:
			return -1
		case a.CPUMicros > b.CPUMicros:
			return 1
		}
		return 0
	})
	return runs[len(runs)/2]
}

// AddStages measures the stages and the baselines alone, and the machine.
func (b *Bench) AddStages(ctx context.Context, r *Report) error {
	if _, err := b.prepare(ctx, base()); err != nil { // the topic that "fetch" reads
		return err
	}
	var calibration []*Stage
	for _, list := range []struct {
		names []string
		into  *[]*Stage
	}{{StageNames, &r.Stages}, {BaselineNames, &r.Baselines}, {[]string{references[0].name, references[1].name}, &calibration}} {
		for _, name := range list.names {
			s, err := b.stage(ctx, name)
			if err != nil {
				return err
			}
			say(b.opts.Out, "%-40s %6.2f µs/row", name, s.CPUMicros)
			*list.into = append(*list.into, s)
		}
	}
	measured := map[string]*Stage{}
	for _, s := range append(calibration, r.Stages...) {
		measured[s.Name] = s
	}
	r.calibrate(measured)
	return nil
}

// Floor is what the stages alone cost together, in microseconds per row of the standard shape: what no pipeline of these stages
// can go below. Without a join its stage is left out.
func (r *Report) Floor(join bool) (sum float64) {
	for _, s := range r.Stages {
		if join || s.Name != "join" {
			sum += s.CPUMicros
		}
	}
	return sum
}

// Budget is a figure that DESIGN.md section 3 sets.
type Budget struct {
	What          string
	Limit, Actual float64
	Unit          string
}

// cpuPerRow is the unit of the budgets that depend on the machine's speed.
const cpuPerRow = "µs/row"

// Met tells whether the figure was reached.
func (b Budget) Met() bool { return b.Actual <= b.Limit }

// Budgets compares the results with the budgets, as far as their scenarios were run.
func (r *Report) Budgets() (out []Budget) {
	byName := map[string]*Result{}
	for _, res := range r.Results {
		byName[res.Scenario] = res
	}
	add := func(what, unit string, limit float64, actual func() float64, needs ...string) {
		for _, n := range needs {
			if byName[n] == nil {
				return
			}
		}
		out = append(out, Budget{what, limit, actual(), unit})
	}
	cpu := func(name string) float64 { return byName[name].NetMicros }
	add("many records a message, three dimensions", cpuPerRow, 2.0, func() float64 { return cpu("standard") }, "standard")
	add("one record a message, three dimensions", cpuPerRow, 3.2, func() float64 { return cpu("one record a message") }, "one record a message")
	add("three cached dimensions", cpuPerRow, 0.6, func() float64 { return cpu("standard") - cpu("no join") }, "standard", "no join")
	add("exactly once, beyond at least once", cpuPerRow, 0.3, func() float64 {
		return cpu("MergeTree, exactly once") - cpu("MergeTree, at least once")
	}, "MergeTree, exactly once", "MergeTree, at least once")
	add("peak memory", "MB", 300, func() float64 { return float64(byName["standard"].PeakBytes) / 1e6 }, "standard")
	add("16 partitions to 1, cost per row", "×", 1.1, func() float64 { return cpu("16 partitions") / cpu("1 partition") }, "16 partitions", "1 partition")
	add("8 shards to 1, cost per row", "×", 1.1, func() float64 { return cpu("8 shards") / cpu("1 shard") }, "8 shards", "1 shard")
	add("start to first commit", "s", 2, func() float64 { return byName["standard"].FirstInsert }, "standard")
	return out
}

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	fmt.Fprintf(w, "%s, %d events per scenario, %s\n\n", r.Date.Format("2006-01-02"), r.Rows, r.Machine)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "scenario\tbytes\tCPU µs/row\tless start\t× floor\trows/s\tpeak MB\tallocs/row\tfirst commit s\t")
	for _, s := range r.Results {
		ratio := "-"
		if floor := r.Floor(s.Join); floor > 0 {
			ratio = fmt.Sprintf("%.2f", s.NetMicros/floor)
		}
		speed := "-" // when everything was committed at once
		if s.RowsPerSecond > 0 {
			speed = fmt.Sprintf("%.0f", s.RowsPerSecond)
		}
		fmt.Fprintf(tw, "%s\t%.0f\t%.2f\t%.2f\t%s\t%s\t%.0f\t%.2f\t%.1f\t\n",
			s.Scenario, s.BytesPerRow, s.CPUMicros, s.NetMicros, ratio, speed, float64(s.PeakBytes)/1e6, s.AllocsPerRow, s.FirstInsert)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, list := range []struct {
		title  string
		stages []*Stage
	}{{"The stages alone", r.Stages}, {"Other ways to the same table", r.Baselines}} {
		if len(list.stages) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n%s:\n", list.title)
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, s := range list.stages {
			fmt.Fprintf(tw, "  %s\t%.2f µs/row\t%s\n", s.Name, s.CPUMicros, s.Note)
		}
		if err := tw.Flush(); err != nil {
			return err
		}
	}
	if floor := r.Floor(true); floor > 0 {
		fmt.Fprintf(w, "  floor: %.2f µs/row, %.2f without the join\n", floor, r.Floor(false))
	}
	if err := r.writeCalibration(w); err != nil {
		return err
	}
	if len(r.Results) > 0 {
		fmt.Fprintf(w, "\nStarting and ending without work: %.2f s of CPU; connected after %.1f s.\n", r.StartCPU, r.Start)
	}
	if err := r.writeShares(w); err != nil {
		return err
	}
	if err := r.writeLatencies(w); err != nil {
		return err
	}
	return r.writeBudgets(w)
}

func (r *Report) writeBudgets(w io.Writer) error {
	budgets := r.Budgets()
	if len(budgets) == 0 {
		return nil
	}
	fmt.Fprintln(w, "\nBudgets:")
	if r.MachineFactor > 0 {
		fmt.Fprintf(w, "(The verdict is about the figure as measured. Behind it, CPU times divided by the machine factor %.2f: what they would be on the machine of the budgets.)\n", r.MachineFactor)
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, b := range budgets {
		verdict := "met"
		if !b.Met() {
			verdict = "NOT MET"
		}
		calibrated := ""
		if r.MachineFactor > 0 && b.Unit == cpuPerRow {
			calibrated = fmt.Sprintf("\t%.2f calibrated", b.Actual/r.MachineFactor)
		}
		fmt.Fprintf(tw, "  %s\t%.2f of %.2f %s\t%s%s\n", b.What, b.Actual, b.Limit, b.Unit, verdict, calibrated)
	}
	return tw.Flush()
}

// Save writes table, JSON and charts into dir.
func (r *Report) Save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	table, err := os.Create(filepath.Join(dir, "results.txt"))
	if err != nil {
		return err
	}
	defer table.Close()
	if err := r.WriteTable(table); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "results.json"), append(text, '\n'), 0o644); err != nil {
		return err
	}
	return r.charts(dir, "svg")
}
