package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/perf/benchmath"
)

// A Record is one metric of one strategy at one parameter set, over all rounds.
type Record struct {
	Workload   string         `json:"workload"`
	Parameters map[string]any `json:"parameters"`
	Strategy   string         `json:"strategy"` // empty for a reference
	Metric     string         `json:"metric"`   // such as ns/event
	Unit       string         `json:"unit"`     // ns, x (a ratio) or 1 (a count)
	Median     float64        `json:"median"`
	Min        float64        `json:"min"`
	Max        float64        `json:"max"`
	Rounds     int            `json:"rounds"`
	Seed       uint64         `json:"seed"`
	Machine    string         `json:"machine"`
	Go         string         `json:"go"`
	Partial    bool           `json:"partial,omitempty"` // the run was cut short

	values []float64 // one a round, in their order
}

// WriteJSON writes records as JSON lines.
func WriteJSON(w io.Writer, recs []Record) error {
	enc := json.NewEncoder(w)
	for i := range recs {
		if err := enc.Encode(&recs[i]); err != nil {
			return fmt.Errorf("bench: record %d: %w", i, err)
		}
	}
	return nil
}

// paramText writes parameters as k=v, in the order of their names but with a
// reference's op first.
func paramText(params map[string]any) string {
	keys := slices.Sorted(maps.Keys(params))
	if i := slices.Index(keys, "op"); i > 0 {
		keys = append([]string{"op"}, slices.Delete(keys, i, i+1)...)
	}
	var b strings.Builder
	for i, k := range keys {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%s=%v", k, params[k])
	}
	return b.String()
}

// briefText is paramText for people: it leaves out the writes of pipetest,
// which are as many as there are pipes.
func briefText(params map[string]any) string {
	if w, ok := params["writes"]; ok && fmt.Sprint(w) == fmt.Sprint(params["pipes"]) {
		params = maps.Clone(params)
		delete(params, "writes")
	}
	return paramText(params)
}

// with returns params and one more.
func with(params map[string]any, key string, value any) map[string]any {
	p := maps.Clone(params)
	if key != "" {
		p[key] = value
	}
	return p
}

// records turns what the rounds have measured into records.
func (r *runner) records(partial bool) []Record {
	var recs []Record
	emit := func(it *item, f figure, values []float64) {
		rec := Record{
			Workload: it.workload, Parameters: with(it.shape.params, f.part, f.value),
			Metric: f.metric, Unit: f.unit,
			Rounds: len(values), Seed: r.o.Seed, Machine: machineText, Go: runtime.Version(),
			Partial: partial, values: values,
		}
		if it.entry != nil {
			rec.Strategy = it.entry.Name
		}
		s := benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds)
		rec.Median = significant(benchmath.AssumeNothing.Summary(s, confidence).Center)
		rec.Min, rec.Max = significant(s.Values[0]), significant(s.Values[len(s.Values)-1])
		recs = append(recs, rec)
	}
	for i, it := range r.items {
		if len(it.rounds) == 0 || it.control && len(r.items[i-1].rounds) == 0 {
			continue
		}
		if it.control {
			r.control(r.items[i-1], it, emit)
			continue
		}
		for j, f := range it.rounds[0] {
			emit(it, f, it.series(j))
		}
	}
	return recs
}

// significant rounds to the five digits that a measurement may have.
func significant(x float64) float64 {
	if x == 0 {
		return 0
	}
	unit := math.Pow(10, 4-math.Floor(math.Log10(math.Abs(x))))
	return math.Round(x*unit) / unit
}

// control emits how far the second measurement of a strategy is from the first.
func (r *runner) control(first, again *item, emit func(*item, figure, []float64)) {
	for j, f := range again.rounds[0] {
		if f.metric != "ns/event" {
			continue
		}
		a, b := first.series(j), again.series(j)
		values := make([]float64, min(len(a), len(b)))
		for i := range values {
			values[i] = b[i] / a[i]
		}
		f.metric, f.unit = "a/a", "x"
		emit(again, f, values)
	}
}

// series returns the values of an item's figure j, round by round.
func (it *item) series(j int) []float64 {
	values := make([]float64, len(it.rounds))
	for i, figures := range it.rounds {
		values[i] = figures[j].x
	}
	return values
}
