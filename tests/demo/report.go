package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/benthos-clickhouse/connect/tests/clickstream"
)

// Report is what a run came to.
type Report struct {
	Rows        int                    `json:"events_produced"`
	PerShard    []int64                `json:"rows_per_shard"`
	Malformed   map[string]int64       `json:"malformed"`
	DeadLetters map[string]int64       `json:"dead_letters"`
	DWD         int64                  `json:"dwd_events"`
	Seconds     float64                `json:"seconds"`
	CPUSeconds  float64                `json:"cpu_seconds"`
	PeakBytes   int64                  `json:"peak_memory_bytes"`
	Cache       map[string]*CacheStats `json:"cache"`
	Views       []View                 `json:"views"`
	Checks      int                    `json:"checks"`
	Differences []string               `json:"differences"`
}

// CacheStats count the look-ups of one dimension.
type CacheStats struct {
	Hits   int64 `json:"hits"`
	Misses int64 `json:"misses"`
}

// View is the head of a table of the DWS layer.
type View struct {
	Title string     `json:"title"`
	Head  []string   `json:"head"`
	Rows  [][]string `json:"rows"`
	query string
}

// RowsPerSecond is measured from the connector's start to its last commit.
func (r *Report) RowsPerSecond() float64 { return float64(r.Rows) / r.Seconds }

// CPUMicrosPerRow is user and system time of the connector's whole life.
func (r *Report) CPUMicrosPerRow() float64 { return r.CPUSeconds * 1e6 / float64(r.Rows) }

func (r *Report) differ(format string, args ...any) {
	r.Differences = append(r.Differences, fmt.Sprintf(format, args...))
}

func (r *Report) compare(where string, want, got clickstream.Totals) {
	for _, c := range []struct {
		what      string
		want, got int64
	}{
		{"rows", want.Events, got.Events},
		{"purchases", want.Purchases, got.Purchases},
		{"sum of price in cents", want.PriceCents, got.PriceCents},
		{"sum of quantity", want.Quantity, got.Quantity},
		{"sum of duration_ms", want.DurationMs, got.DurationMs},
	} {
		if c.want != c.got {
			r.differ("%s: %s is %d, want %d", where, c.what, c.got, c.want)
		}
		r.Checks++
	}
}

func (r *Report) cache(dimension string) *CacheStats {
	c := r.Cache[dimension]
	if c == nil {
		c = &CacheStats{}
		r.Cache[dimension] = c
	}
	return c
}

func (c *CacheStats) count(metric string, v int64) {
	switch metric {
	case "dimension_join_hits_total", "dimension_join_negative_hits_total":
		c.Hits += v
	case "dimension_join_misses_total":
		c.Misses += v
	}
}

// deadLetter counts a dead letter by the column and type it failed at.
func (r *Report) deadLetter(headers map[string]string) {
	if r.DeadLetters == nil {
		r.DeadLetters = map[string]int64{}
	}
	reason := headers["clickhouse_native_error"]
	if column := headers["clickhouse_native_column"]; column != "" {
		reason = fmt.Sprintf("column %s %s", column, headers["clickhouse_native_type"])
	}
	if cut := strings.Index(reason, " at "); cut > 0 { // positions differ from event to event
		reason = reason[:cut]
	}
	r.DeadLetters[reason]++
}

// WriteJSON writes the report as one JSON object.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(what, format string, args ...any) {
		fmt.Fprintf(tw, "%s\t%s\n", what, fmt.Sprintf(format, args...))
	}
	line("events produced", "%d", r.Rows)
	for i, n := range r.PerShard {
		line(fmt.Sprintf("  rows on shard %d", i+1), "%d", n)
	}
	var bad int64
	for _, n := range r.Malformed {
		bad += n
	}
	line("  malformed", "%d, in topic %s:", bad, topicDeadLetter)
	for _, reason := range slices.Sorted(maps.Keys(r.DeadLetters)) {
		line("", "%6d  %s", r.DeadLetters[reason], reason)
	}
	line("written back to "+topicDWD, "%d", r.DWD)
	line("rows per second", "%.0f", r.RowsPerSecond())
	line("connector CPU per row", "%.2f µs", r.CPUMicrosPerRow())
	line("connector peak memory", "%.0f MB", float64(r.PeakBytes)/1e6)
	for _, d := range slices.Sorted(maps.Keys(r.Cache)) {
		c := r.Cache[d]
		line("cache hits, "+d, "%.2f%% of %d", 100*float64(c.Hits)/float64(max(1, c.Hits+c.Misses)), c.Hits+c.Misses)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, v := range r.Views {
		fmt.Fprintf(w, "\n%s\n", v.Title)
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintf(tw, "%s\t\n", strings.Join(v.Head, "\t"))
		for _, row := range v.Rows {
			fmt.Fprintf(tw, "%s\t\n", strings.Join(row, "\t"))
		}
		if err := tw.Flush(); err != nil {
			return err
		}
	}
	fmt.Fprintln(w)
	if len(r.Differences) == 0 {
		_, err := fmt.Fprintf(w, "All %d checks passed: counts and sums per shard, every row on its shard and there once, every joined column right.\n", r.Checks)
		return err
	}
	fmt.Fprintf(w, "%d DIFFERENCES:\n", len(r.Differences))
	for _, d := range r.Differences {
		fmt.Fprintln(w, "  "+d)
	}
	return nil
}
