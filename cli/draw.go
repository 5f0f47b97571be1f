package cli

import (
	"image/color"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

func rectangle(left, right, bottom, top float64) plotter.XYs {
	return plotter.XYs{{X: left, Y: bottom}, {X: left, Y: top}, {X: right, Y: top}, {X: right, Y: bottom}}
}

func line(p *plot.Plot, pts plotter.XYs, c color.Color, width vg.Length, dashed, dots bool) error {
	l, err := plotter.NewLine(pts)
	if err != nil {
		return err
	}
	l.Color, l.Width = c, width
	if dashed {
		l.Dashes = []vg.Length{5, 4}
	}
	p.Add(l)
	if dots {
		s, err := plotter.NewScatter(pts)
		if err != nil {
			return err
		}
		s.GlyphStyle = draw.GlyphStyle{Color: c, Radius: 3, Shape: draw.CircleGlyph{}}
		p.Add(s)
	}
	return nil
}

// whisker is the spread at x.
func whisker(p *plot.Plot, x, from, to float64, c color.Color) error {
	return line(p, plotter.XYs{{X: x, Y: from}, {X: x, Y: to}}, c, 1, false, false)
}

// label puts text just above and to the right of a point.
func label(p *plot.Plot, x, y float64, text string) error {
	l, err := plotter.NewLabels(plotter.XYLabels{XYs: plotter.XYs{{X: x, Y: y}}, Labels: []string{text}})
	if err != nil {
		return err
	}
	l.TextStyle[0].Font.Size = 11.5
	l.TextStyle[0].Font.Variant = "Sans"
	l.Offset.X, l.Offset.Y = 1, 2
	p.Add(l)
	return nil
}

func sortXY(pts plotter.XYs) {
	slices.SortFunc(pts, func(a, b plotter.XY) int {
		switch {
		case a.X < b.X:
			return -1
		case a.X > b.X:
			return 1
		}
		return 0
	})
}

// fewTicks labels what the default labels and leaves the rest unmarked, so that
// the grid has a rule for each label only.
type fewTicks struct{}

func (fewTicks) Ticks(lo, hi float64) []plot.Tick {
	var few []plot.Tick
	for _, t := range (plot.DefaultTicks{}).Ticks(lo, hi) {
		if t.Label != "" {
			few = append(few, t)
		}
	}
	return few
}

// decades labels powers of ten.
type decades struct{}

func (decades) Ticks(lo, hi float64) []plot.Tick {
	var ticks []plot.Tick
	for x := math.Pow(10, math.Floor(math.Log10(lo))); x <= hi*1.001; x *= 10 {
		if x >= lo*0.999 {
			ticks = append(ticks, plot.Tick{Value: x, Label: tens(x)})
		}
	}
	return ticks
}

// halves labels 1, 2 and 5 times powers of ten, for a scale of little more than
// a decade.
type halves struct{}

func (halves) Ticks(lo, hi float64) []plot.Tick {
	var ticks []plot.Tick
	for x := math.Pow(10, math.Floor(math.Log10(lo))); x <= hi; x *= 10 {
		for _, f := range []float64{1, 2, 5} {
			if x*f >= lo && x*f <= hi {
				ticks = append(ticks, plot.Tick{Value: x * f, Label: tens(x * f)})
			}
		}
	}
	return ticks
}

func tens(x float64) string {
	switch {
	case x >= 1e6:
		return strconv.FormatFloat(x/1e6, 'f', 0, 64) + "M"
	case x >= 1e4:
		return strconv.FormatFloat(x/1e3, 'f', 0, 64) + "k"
	}
	return commas(int(math.Round(x)))
}

// short writes a figure with three digits that count.
func short(x float64) string {
	switch a := math.Abs(x); {
	case a == 0:
		return "0"
	case a >= 1000:
		return commas(int(math.Round(x)))
	case a >= 100:
		return strconv.FormatFloat(x, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(x, 'f', 1, 64)
	case a >= 0.01:
		return strconv.FormatFloat(x, 'f', 2, 64)
	}
	return strconv.FormatFloat(x, 'g', 1, 64)
}
