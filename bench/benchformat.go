package bench

import (
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// WriteBench writes records in the Go benchmark format, a line for each round
// of each strategy at each parameter set, so that benchstat sees the spread:
//
//	benchstat -col /strategy bench.txt
func WriteBench(w io.Writer, recs []Record) error {
	out := benchfmt.NewWriter(w)
	if err := writeUnits(out, recs); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	for _, group := range byName(recs) {
		rounds := 1
		for _, r := range group {
			rounds = max(rounds, len(r.values))
		}
		for i := range rounds {
			res := &benchfmt.Result{
				Config: []benchfmt.Config{
					{Key: "goos", Value: []byte(runtime.GOOS), File: true},
					{Key: "goarch", Value: []byte(runtime.GOARCH), File: true},
					{Key: "pkg", Value: []byte("github.com/kqlab/kqlab/bench"), File: true},
					{Key: "cpu", Value: []byte(group[0].Machine), File: true},
					{Key: "go", Value: []byte(group[0].Go), File: true},
					{Key: "seed", Value: fmt.Append(nil, group[0].Seed), File: true},
				},
				Name:  benchfmt.Name(benchName(group[0])),
				Iters: 1,
			}
			for _, r := range group {
				switch {
				case len(r.values) == 0: // a record that was read from somewhere
					res.Values = append(res.Values, benchfmt.Value{Value: r.Median, Unit: r.Metric})
				case i < len(r.values):
					res.Values = append(res.Values, benchfmt.Value{Value: r.values[i], Unit: r.Metric})
				}
			}
			if err := out.Write(res); err != nil {
				return fmt.Errorf("bench: %w", err)
			}
		}
	}
	return nil
}

// writeUnits says which way each metric is better.
func writeUnits(out *benchfmt.Writer, recs []Record) error {
	seen := map[string]bool{"a/a": true} // is best at 1
	for i := range recs {
		unit := recs[i].Metric
		if seen[unit] {
			continue
		}
		seen[unit] = true
		better := "lower"
		if unit == "speedup" {
			better = "higher"
		}
		err := out.Write(&benchfmt.UnitMetadata{
			UnitMetadataKey: benchfmt.UnitMetadataKey{Unit: unit, Key: "better"},
			OrigUnit:        unit,
			Value:           better,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// byName groups records that are metrics of one thing, in the order in which
// they come.
func byName(recs []Record) [][]*Record {
	var groups [][]*Record
	at := map[string]int{}
	for i := range recs {
		name := benchName(&recs[i])
		j, ok := at[name]
		if !ok {
			j = len(groups)
			at[name] = j
			groups = append(groups, nil)
		}
		groups[j] = append(groups[j], &recs[i])
	}
	return groups
}

// benchName returns the name of a benchmark, such as
// Single/strategy=giant/batch=64. A number comes last wherever there is one,
// and never after a bare dash, where it would be taken for GOMAXPROCS.
func benchName(r *Record) string {
	clean := strings.NewReplacer(" ", "-", "/", "-", "\t", "-").Replace
	var b strings.Builder
	b.WriteString(strings.ToUpper(r.Workload[:1]) + clean(r.Workload[1:]))
	if r.Strategy != "" {
		b.WriteString("/strategy=" + clean(r.Strategy))
	}
	for _, k := range slices.Sorted(maps.Keys(r.Parameters)) {
		fmt.Fprintf(&b, "/%s=%s", k, clean(fmt.Sprint(r.Parameters[k])))
	}
	return b.String()
}
