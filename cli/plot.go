package cli

import (
	"bytes"
	"fmt"
	"html"
	"html/template"
	"image/color"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/kqlab/kqlab/bench"
)

// A figure is one plot of the page.
type figure struct {
	Title, Unit, Caption string
	Legend               []key
	SVG                  template.HTML
}

// A key is one entry of a legend.
type key struct {
	Name  string
	Hue   int // class hN colours it; see huesOf
	Rival bool
}

// The plots are drawn in stand-ins for colours, which become the variables of
// the page's style sheet, so that they follow it from light to dark.
var (
	ruleColor = color.RGBA{0xde, 0xad, 0x00, 0xff}
	softColor = color.RGBA{0xde, 0xad, 0x01, 0xff}
)

func hueColor(h int) color.Color { return color.RGBA{0xfe, 0xed, byte(h), 0xff} }

// The strategies take hues 1 to hues in turn; rivals the grey ones behind.
const (
	hues     = 6
	greyHues = 4
)

func hueOf(i int) int  { return i%hues + 1 }
func greyOf(i int) int { return hues + i%greyHues + 1 }

const (
	plotWidth  = vg.Length(440)
	plotHeight = vg.Length(270)
)

// newPlot has a soft frame, a rule for each labelled value, and no titles: those are the
// page's, which wraps them on a phone.
func newPlot() *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Color = softColor
		axis.Tick.Color = softColor
		axis.Tick.Label.Font.Size = 12.5
		axis.Tick.Label.Font.Variant = "Sans"
		axis.Tick.Length = 3
	}
	p.Y.LineStyle.Width = 0
	p.Y.Tick.LineStyle.Width = 0
	p.X.Tick.LineStyle.Color = softColor
	p.X.LineStyle.Color = softColor
	grid := plotter.NewGrid()
	grid.Vertical.Width = 0
	grid.Horizontal.Color = ruleColor
	grid.Horizontal.Width = 0.7
	p.Add(grid)
	return p
}

var (
	svgHead  = regexp.MustCompile(`(?s)^.*?<svg [^>]*>`)
	fontName = regexp.MustCompile(`font-family:[^;]*;font-variant:normal;font-weight:normal;font-style:normal;`)
	hueName  = regexp.MustCompile(`(?i)#feed([0-9a-f]{2})`)
)

// inline draws p as an SVG element for the page.
func inline(p *plot.Plot, label string) (template.HTML, error) {
	c := vgsvg.New(plotWidth, plotHeight)
	p.Draw(draw.New(c))
	var buf bytes.Buffer
	if _, err := c.WriteTo(&buf); err != nil {
		return "", fmt.Errorf("plot %q: %w", label, err)
	}
	svg := svgHead.ReplaceAllString(buf.String(), fmt.Sprintf(
		`<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, float64(plotWidth), float64(plotHeight), html.EscapeString(label)))
	svg = fontName.ReplaceAllString(svg, "")
	svg = hueName.ReplaceAllStringFunc(svg, func(s string) string {
		h, _ := strconv.ParseUint(s[5:], 16, 8)
		return fmt.Sprintf("var(--h%d)", h)
	})
	svg = strings.NewReplacer("#DEAD00", "var(--rule)", "#DEAD01", "var(--soft)", "#dead00", "var(--rule)", "#dead01", "var(--soft)").Replace(svg)
	return template.HTML(svg), nil
}

// A query finds records.
type query struct {
	workload, strategy, metric string
	params                     map[string]any // these must match; a record may have more
}

func (q query) find(recs []bench.Record) []bench.Record {
	var found []bench.Record
next:
	for _, r := range recs {
		if r.Workload != q.workload || r.Strategy != q.strategy || r.Metric != q.metric {
			continue
		}
		for k, v := range q.params {
			if fmt.Sprint(r.Parameters[k]) != fmt.Sprint(v) {
				continue next
			}
		}
		found = append(found, r)
	}
	return found
}

// number reads a parameter that counts something.
func number(r bench.Record, name string) (float64, bool) {
	v, ok := r.Parameters[name]
	if !ok {
		return 0, false
	}
	x, err := strconv.ParseFloat(fmt.Sprint(v), 64)
	return x, err == nil
}

// strategyNames returns the strategies among the records, in their order.
func strategyNames(recs []bench.Record) []string {
	var names []string
	for _, r := range recs {
		if r.Strategy != "" && !slices.Contains(names, r.Strategy) {
			names = append(names, r.Strategy)
		}
	}
	return names
}

// figures draws the plots that the records have data for.
func figures(recs []bench.Record) ([]figure, error) {
	var all []figure
	for _, draw := range []func([]bench.Record) (figure, bool, error){
		plotSingle,
		plotDisjoint,
		func(recs []bench.Record) (figure, bool, error) { return plotPipes(recs, "pipetest", false) },
		func(recs []bench.Record) (figure, bool, error) { return plotPipes(recs, "pipetest", true) },
		func(recs []bench.Record) (figure, bool, error) { return plotPipes(recs, "hostpipe", false) },
		func(recs []bench.Record) (figure, bool, error) { return plotPipes(recs, "hostpipe", true) },
		func(recs []bench.Record) (figure, bool, error) { return plotCalls(recs, "poll", false) },
		func(recs []bench.Record) (figure, bool, error) { return plotCalls(recs, "poll", true) },
		func(recs []bench.Record) (figure, bool, error) { return plotCalls(recs, "select", false) },
		func(recs []bench.Record) (figure, bool, error) { return plotCalls(recs, "select", true) },
		plotCrowd,
	} {
		f, ok, err := draw(recs)
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, f)
		}
	}
	return all, nil
}

// plotSingle draws the cost of an event by strategy, a group of bars a batch.
func plotSingle(recs []bench.Record) (figure, bool, error) {
	names := strategyNames(recs)
	byBatch := map[float64]map[string]bench.Record{}
	for _, s := range names {
		for _, r := range (query{"single", s, "ns/event", nil}).find(recs) {
			batch, ok := number(r, "batch")
			if !ok || len(r.Parameters) != 1 {
				continue // a variant, such as threads that visit
			}
			if byBatch[batch] == nil {
				byBatch[batch] = map[string]bench.Record{}
			}
			byBatch[batch][s] = r
		}
	}
	if len(byBatch) == 0 {
		return figure{}, false, nil
	}
	var batches []float64
	for b := range byBatch {
		batches = append(batches, b)
	}
	slices.Sort(batches)

	p := newPlot()
	p.Y.Min = 0
	p.X.Min, p.X.Max = -0.5, float64(len(batches))-0.5
	width := 0.8 / float64(len(names))
	// The whiskers of a disturbed round would press the bars flat, so the scale
	// is cut where no median is.
	highest, cut := 0.0, false
	for _, byName := range byBatch {
		for _, r := range byName {
			highest = max(highest, r.Median)
		}
	}
	top := 1.6 * highest
	var ticks []plot.Tick
	for g, b := range batches {
		ticks = append(ticks, plot.Tick{Value: float64(g), Label: "batch " + strconv.Itoa(int(b))})
		for i, s := range names {
			r, ok := byBatch[b][s]
			if !ok {
				continue
			}
			l := float64(g) - 0.4 + float64(i)*width
			bar, err := plotter.NewPolygon(rectangle(l+0.06*width, l+0.94*width, 0, r.Median))
			if err != nil {
				return figure{}, false, err
			}
			bar.Color = hueColor(hueOf(i))
			bar.LineStyle.Width = 0
			p.Add(bar)
			cut = cut || r.Max > top
			if err := whisker(p, l+0.84*width, r.Min, min(r.Max, top), softColor); err != nil {
				return figure{}, false, err
			}
			text := strconv.FormatFloat(r.Median, 'f', 0, 64)
			if r.Median < 10 {
				text = strconv.FormatFloat(r.Median, 'f', 1, 64)
			}
			if err := label(p, l+0.06*width, r.Median, text); err != nil {
				return figure{}, false, err
			}
		}
	}
	p.X.Tick.Marker = plot.ConstantTicks(ticks)
	p.X.Tick.LineStyle.Width = 0
	f := figure{
		Title:   "Cost of an event, by strategy",
		Unit:    "ns per event (workload single)",
		Caption: "One thread notifies a batch of sources and harvests them with one kevent. Bars are medians, whiskers the smallest and the largest round.",
		Legend:  legend(names),
	}
	if found := (query{"reference", "", "ns/event", map[string]any{"op": "mutex"}}).find(recs); len(found) > 0 {
		m := found[0]
		if err := line(p, plotter.XYs{{X: p.X.Min, Y: m.Median}, {X: p.X.Max, Y: m.Median}}, hueColor(greyOf(0)), 1, true, false); err != nil {
			return f, false, err
		}
		f.Caption += fmt.Sprintf(" The dashed line is a mutex locked and unlocked with nobody in the way: M = %s ns.", short(m.Median))
	}
	if cut {
		f.Caption += " Whiskers that reach the top go on; the table has their ends."
	}
	p.Y.Max = top
	p.Y.Tick.Marker = fewTicks{}
	var err error
	f.SVG, err = inline(p, f.Title)
	return f, true, err
}

// plotDisjoint draws throughput over CPUs.
func plotDisjoint(recs []bench.Record) (figure, bool, error) {
	names := strategyNames(recs)
	p := newPlot()
	p.Y.Min = 0
	var speedups []string
	top, most := 0.0, 0.0
	for i, s := range names {
		var pts plotter.XYs
		for _, r := range (query{"disjoint", s, "ns/event", nil}).find(recs) {
			threads, ok := number(r, "threads")
			if !ok || r.Median <= 0 {
				continue
			}
			rate := 1e3 / r.Median
			pts = append(pts, plotter.XY{X: threads, Y: rate})
			top, most = max(top, 1e3/r.Min), max(most, threads)
			x := threads + 0.03*(float64(i)-float64(len(names)-1)/2) // beside each other
			pts[len(pts)-1].X = x
			if err := whisker(p, x, 1e3/r.Max, 1e3/r.Min, hueColor(hueOf(i))); err != nil {
				return figure{}, false, err
			}
		}
		if len(pts) == 0 {
			continue
		}
		sortXY(pts)
		if err := line(p, pts, hueColor(hueOf(i)), 2, false, true); err != nil {
			return figure{}, false, err
		}
		for _, r := range (query{"disjoint", s, "speedup", nil}).find(recs) {
			speedups = append(speedups, fmt.Sprintf("%s %.2f×", s, r.Median))
		}
	}
	if top == 0 {
		return figure{}, false, nil
	}
	var ticks []plot.Tick
	for n := 1.0; n <= most; n++ {
		text := strconv.Itoa(int(n)) + " CPUs"
		if n == 1 {
			text = "1 CPU"
		}
		ticks = append(ticks, plot.Tick{Value: n, Label: text})
	}
	p.X.Tick.Marker = plot.ConstantTicks(ticks)
	p.X.Min, p.X.Max = 0.75, most+0.25
	p.Y.Max = top * 1.08
	p.Y.Tick.Marker = fewTicks{}
	f := figure{
		Title:   "From one CPU to two",
		Unit:    "million events per second, all threads together (workload disjoint)",
		Caption: "Each thread has its CPU, sources and queue to itself, so whatever keeps two from doing twice the work of one is the strategy's.",
		Legend:  legend(names),
	}
	if speedups != nil {
		f.Caption += " Two over one: " + strings.Join(speedups, ", ") + "."
	}
	if found := (query{"reference", "", "speedup", map[string]any{"op": "parallel"}}).find(recs); len(found) > 0 {
		f.Caption += fmt.Sprintf(" The machine itself, on work that shares nothing: %.2f×.", found[0].Median)
	}
	var err error
	f.SVG, err = inline(p, f.Title)
	return f, true, err
}

// plotPipes draws the cost of an event over the number of pipes, with one or
// all active, and the rivals over real pipes beside it.
func plotPipes(recs []bench.Record, workload string, all bool) (figure, bool, error) {
	names := strategyNames(recs)
	c := newCurves(recs, "pipes", func(r bench.Record, n float64) bool {
		k, _ := number(r, "active")
		return all && k == n || !all && k == 1
	})
	pipes, solid, dashed := "pipes", "over pipes in the process", "epoll and poll over the pipes of the host’s kernel, so they pay for system calls as well"
	if workload == "hostpipe" {
		pipes, solid, dashed = "real pipes", "which waits in epoll for its interrupts and asks each pipe for its fill", "the system call itself, and epoll with the same question (FIONREAD), which is the fair rival"
	}
	active := "one active"
	if all {
		active = "all active"
	}
	f := figure{
		Title:   "Many " + pipes + ", " + active,
		Unit:    "ns per event over the number of pipes; both scales are logarithmic (workload " + workload + ")",
		Caption: "Solid: a strategy, " + solid + ". Dashed: " + dashed + ".",
	}
	if !all {
		f.Caption = "Libevent’s classic. " + f.Caption
	}
	for i, s := range names {
		if err := c.add(&f, query{workload, s, "ns/event", nil}, key{Name: s, Hue: hueOf(i)}); err != nil {
			return f, false, err
		}
	}
	if c.drawn == 0 {
		return f, false, nil
	}
	// Strategies over real pipes ask each for its fill, as the loop with
	// FIONREAD does. Select has the sizes below its limit: a point or two, which
	// would lie on poll's.
	rivals := []string{"epoll", "poll"}
	if workload == "hostpipe" {
		rivals = append(rivals, "fionread")
	}
	for i, r := range rivals {
		q := query{"reference", "", "ns/event", map[string]any{"op": r + "-pipes"}}
		if err := c.add(&f, q, key{Name: strings.Replace(r, "fionread", "epoll and FIONREAD", 1), Hue: greyOf(i), Rival: true}); err != nil {
			return f, false, err
		}
	}
	return f, true, c.draw(&f)
}
func legend(names []string) []key {
	var keys []key
	for i, n := range names {
		keys = append(keys, key{Name: n, Hue: hueOf(i)})
	}
	return keys
}
