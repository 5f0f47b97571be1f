package bench

import (
	"context"
	"time"

	"github.com/kqlab/kqlab/strategies"
)

// Stalled sets how long a trial may make no progress, and returns what undoes it.
func Stalled(d time.Duration) (undo func()) {
	was := stalled
	stalled = d
	return func() { stalled = was }
}

// Once measures every shape of a workload, and its rivals, a single time with
// as few events as can be, whatever a budget would leave out. It returns the figures'
// number.
func Once(ctx context.Context, w *Workload, entries []strategies.Entry) (int, error) {
	r := &runner{ctx: ctx}
	defer r.pool.close()
	var items []*item
	for i := range w.shapes {
		for j := range entries {
			items = append(items, &item{workload: w.Name, shape: &w.shapes[i], entry: &entries[j]})
		}
	}
	for i := range w.rivals {
		items = append(items, &item{workload: "reference", shape: &w.rivals[i]})
	}
	n := 0
	for _, it := range items {
		if it.shape.fits != nil && it.shape.fits() != nil {
			continue
		}
		t, err := r.trial(it, it.shape.fewest())
		if err != nil {
			return n, err
		}
		n += len(t.figures)
	}
	return n, nil
}

// Shapes returns how many parameter sets a workload has.
func (w *Workload) Shapes() int { return len(w.shapes) }

// With returns r with the values of its rounds, and their summary.
func (r Record) With(values ...float64) Record {
	r.values = values
	r.Rounds = len(values)
	return r
}

// Values returns what each round measured.
func (r Record) Values() []float64 { return r.values }
