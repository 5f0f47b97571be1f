package cli

import (
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"github.com/kqlab/kqlab/bench"
)

// curves are what an event costs over a size, one line for each of those who are
// compared; both scales are logarithmic.
type curves struct {
	recs []bench.Record
	size string                                  // the parameter that is the size
	keep func(r bench.Record, size float64) bool // whether a record is of the figure

	p                   *plot.Plot
	drawn               int
	lo, hi, left, right float64
}

func newCurves(recs []bench.Record, size string, keep func(bench.Record, float64) bool) *curves {
	return &curves{recs: recs, size: size, keep: keep, p: newPlot(), lo: math.Inf(1), left: math.Inf(1)}
}

// add draws the line of k, and puts it into the legend, if there are records.
func (c *curves) add(f *figure, q query, k key) error {
	var pts plotter.XYs
	for _, r := range q.find(c.recs) {
		n, ok := number(r, c.size)
		if !ok || n <= 0 || r.Median <= 0 || !c.keep(r, n) {
			continue
		}
		pts = append(pts, plotter.XY{X: n, Y: r.Median})
		c.lo, c.hi = min(c.lo, r.Median), max(c.hi, r.Median)
		c.left, c.right = min(c.left, n), max(c.right, n)
	}
	if len(pts) == 0 {
		return nil
	}
	sortXY(pts)
	c.drawn++
	f.Legend = append(f.Legend, k)
	return line(c.p, pts, hueColor(k.Hue), 2, k.Rival, true)
}

// draw ends the figure.
func (c *curves) draw(f *figure) (err error) {
	p := c.p
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = decades{}, decades{}
	if c.hi/c.lo < 20 {
		p.Y.Tick.Marker = halves{}
	}
	p.X.Min, p.X.Max = c.left/1.15, c.right*1.15
	p.Y.Min, p.Y.Max = c.lo/1.5, c.hi*1.3
	if below := math.Pow(10, math.Floor(math.Log10(c.lo))); c.hi/c.lo >= 20 && below > c.lo/4 {
		p.Y.Min = below // so that the lowest rule is labelled
	}
	if c.left == c.right { // one size only: a decade round it
		p.X.Min, p.X.Max = c.left/3, c.right*3
	}
	f.SVG, err = inline(p, f.Title)
	return err
}

// plotCalls draws what a call of poll or select costs over the number of its
// descriptors, with one or all of them ready.
func plotCalls(recs []bench.Record, call string, all bool) (figure, bool, error) {
	c := newCurves(recs, "fds", func(r bench.Record, n float64) bool {
		k, ok := number(r, "ready")
		return ok && plain(r) && (all && k == n || !all && k == 1)
	})
	ready := "one ready"
	if all {
		ready = "all ready"
	}
	f := figure{
		Title: fmt.Sprintf("A call of %s, %s", call, ready),
		Unit:  "ns per call over the number of descriptors; both scales are logarithmic (workload " + call + ")",
		Caption: "Solid: " + call + " over kqueue, which keeps its knotes from call to call. Dashed: Linux’s own, over its own pipes, so it pays for the system call as well; " +
			"and the way of the BSDs until 2010 (selinfo), which asks all descriptors in each call.",
	}
	return c.finish(f, call)
}

// plain reports whether a record is of calls that differ in nothing.
func plain(r bench.Record) bool {
	for _, p := range []string{"bytes", "arrays", "closes"} {
		if r.Parameters[p] != nil {
			return false
		}
	}
	return true
}

// finish draws the strategies at a workload, and its two rivals.
func (c *curves) finish(f figure, call string) (figure, bool, error) {
	for i, s := range strategyNames(c.recs) {
		if err := c.add(&f, query{call, s, "ns/event", nil}, key{Name: s, Hue: hueOf(i)}); err != nil {
			return f, false, err
		}
	}
	if c.drawn == 0 {
		return f, false, nil
	}
	for i, r := range []struct{ op, name string }{{"linux-", "Linux"}, {"selinfo-", "selinfo"}} {
		q := query{referenceName, "", "ns/event", map[string]any{"op": r.op + call}}
		if err := c.add(&f, q, key{Name: r.name, Hue: greyOf(i), Rival: true}); err != nil {
			return f, false, err
		}
	}
	return f, true, c.draw(&f)
}

// plotCrowd draws what a byte costs that many sleep in select for, or near.
func plotCrowd(recs []bench.Record) (figure, bool, error) {
	most := 0.0
	for _, r := range recs {
		if n, ok := number(r, "bystanders"); ok {
			most = max(most, n)
		}
	}
	c := newCurves(recs, "fds", func(r bench.Record, _ float64) bool {
		n, ok := number(r, "bystanders")
		return ok && n == most
	})
	return c.finish(figure{
		Title: "Two wait for one pipe",
		Unit:  "ns per byte over the number of descriptors of each thread; both scales are logarithmic (workload select)",
		Caption: fmt.Sprintf("Two threads sleep in select with a pipe in common, and %.0f bystanders with pipes of their own. A byte is written, taken and answered. "+
			"Where an object remembers one thread, the second is a collision: everybody is woken, and asks all descriptors again.", most),
	}, "select")
}
