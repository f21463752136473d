package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/redpanda-data/benthos/v4/public/service"
)

// The budgets are in microseconds of one machine, on which code that is not ours was measured as well. The same code, run on the
// same events here and now, says how much slower or faster this machine is, at this moment.

// reference is what a piece of work that is not ours cost on the machine of the budgets, in microseconds per event.
type reference struct {
	name   string
	micros float64
}

// references in the order they are printed. The last one is a stage of the floor, and is not run twice.
var references = []reference{
	{"encoding/json to a map", 7.7},
	{"Benthos AsStructured", 6.0},
	{"fetch", 0.29},
}

// Calibration is one of these pieces of work on this machine.
type Calibration struct {
	Name      string  `json:"name"`
	Reference float64 `json:"reference_us_per_row"`
	CPUMicros float64 `json:"cpu_us_per_row"`
	Ratio     float64 `json:"ratio"`
}

// calibrationWork is enough rows of such slow code.
const calibrationWork = 2 * stageRows

func encodingJSON() (*Stage, error) {
	docs := events()
	return measureRows(calibrationWork, "the same event", func() (int, error) {
		for _, doc := range docs {
			var v map[string]any
			if err := json.Unmarshal(doc, &v); err != nil {
				return 0, err
			}
		}
		return len(docs), nil
	})
}

func asStructured() (*Stage, error) {
	docs := events()
	return measureRows(calibrationWork, "the same event", func() (int, error) {
		for _, doc := range docs {
			if _, err := service.NewMessage(doc).AsStructured(); err != nil {
				return 0, err
			}
		}
		return len(docs), nil
	})
}

// calibrate sets what the references cost here, and the machine factor.
func (r *Report) calibrate(measured map[string]*Stage) {
	r.Calibration, r.MachineFactor = nil, 0
	var ratios []float64
	for _, ref := range references {
		s := measured[ref.name]
		if s == nil {
			return
		}
		c := Calibration{Name: ref.name, Reference: ref.micros, CPUMicros: s.CPUMicros, Ratio: s.CPUMicros / ref.micros}
		r.Calibration, ratios = append(r.Calibration, c), append(ratios, c.Ratio)
	}
	slices.Sort(ratios)
	r.MachineFactor = ratios[len(ratios)/2]
}

func (r *Report) writeCalibration(w io.Writer) error {
	if r.MachineFactor == 0 {
		return nil
	}
	fmt.Fprintln(w, "\nCalibration, by code that is not ours, on the same events in this run:")
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range r.Calibration {
		fmt.Fprintf(tw, "  %s\t%.2f µs/row\t%.2f on the machine of the budgets\t%.2f ×\n", c.Name, c.CPUMicros, c.Reference, c.Ratio)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "  machine factor: %.2f, the median\n", r.MachineFactor)
	return nil
}
