package bench

import (
	"fmt"
	"image/color"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// bar is one bar of a chart.
type bar struct {
	name  string
	value float64
}

// charts draws the report as files with the given extension (svg or png) in dir.
func (r *Report) charts(dir, extension string) error {
	cpu, memory := make([]bar, len(r.Results)), make([]bar, len(r.Results))
	for i, s := range r.Results {
		cpu[i], memory[i] = bar{s.Scenario, s.NetMicros}, bar{s.Scenario, float64(s.PeakBytes) / 1e6}
	}
	for _, c := range []struct {
		file, title string
		bars        []bar
	}{
		{"cpu_per_row", "CPU per row of the connector, µs", cpu},
		{"memory", "Peak memory of the connector, MB", memory},
		{"stages", "CPU per row of the stages alone, µs", r.stageBars()},
	} {
		if len(c.bars) == 0 {
			continue
		}
		title := c.title + " (" + r.Date.Format("2006-01-02") + ")"
		if err := chart(filepath.Join(dir, c.file+"."+extension), title, c.bars); err != nil {
			return fmt.Errorf("drawing %s: %w", c.file, err)
		}
	}
	return nil
}

// stageBars are the stages, what they come to, and what it takes end to end.
func (r *Report) stageBars() (out []bar) {
	if len(r.Stages) == 0 {
		return nil
	}
	for _, s := range r.Stages {
		out = append(out, bar{s.Name, s.CPUMicros})
	}
	out = append(out, bar{"all stages", r.Floor(true)})
	for _, s := range r.Results {
		if s.Scenario == base().Name {
			out = append(out, bar{"end to end, " + s.Scenario, s.NetMicros})
		}
	}
	for _, s := range r.Baselines {
		out = append(out, bar{s.Name, s.CPUMicros})
	}
	return out
}

// chart draws horizontal bars, the first one on top, each with its value beside it.
func chart(path, title string, bars []bar) error {
	bars = slices.Clone(bars)
	slices.Reverse(bars)
	values, names := make(plotter.Values, len(bars)), make([]string, len(bars))
	labels := plotter.XYLabels{XYs: make(plotter.XYs, len(bars)), Labels: make([]string, len(bars))}
	for i, b := range bars {
		values[i], names[i] = b.value, "    "+b.name // the width of a long name is underestimated
		labels.XYs[i], labels.Labels[i] = plotter.XY{X: b.value, Y: float64(i)}, " "+figure(b.value)
	}
	shapes, err := plotter.NewBarChart(values, vg.Points(11))
	if err != nil {
		return err
	}
	shapes.Horizontal = true
	shapes.Color = color.RGBA{R: 0x33, G: 0x66, B: 0xaa, A: 0xff}
	shapes.LineStyle.Width = 0
	texts, err := plotter.NewLabels(labels)
	if err != nil {
		return err
	}
	for i := range texts.TextStyle {
		texts.TextStyle[i].YAlign = draw.YCenter
	}
	p := plot.New()
	p.Title.Text = title
	p.Add(shapes, texts)
	p.NominalY(names...)
	p.Title.Padding = vg.Points(8)
	p.Y.Min, p.Y.Max = -0.7, float64(len(bars))-0.3
	p.X.Min = 0
	p.X.Max = slices.Max(values) * 1.12 // room for the last value
	return p.Save(18*vg.Centimeter, (vg.Length(len(bars))*0.6+2.2)*vg.Centimeter, path)
}

// figure prints a value with three digits or so.
func figure(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
