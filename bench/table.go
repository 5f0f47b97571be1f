package bench

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/perf/benchmath"
)

// confidence is that of the interval in which the control's true ratio lies.
const confidence = 0.95

// Table writes records for people, a table for each workload. Ratios are this
// over that: beside M, the mutex pair of the same run, stands the strategy that
// the control belongs to, and the workload's rivals outside of kqueue. A
// difference that is inside the spread of the control, which is that strategy
// measured twice, prints as ≈. Color adds escape sequences of a terminal.
func Table(w io.Writer, recs []Record, color bool) {
	if len(recs) == 0 {
		fmt.Fprintln(w, "nothing was measured")
		return
	}
	f := find(recs)
	first := &recs[0]
	p := painter(color)
	fmt.Fprintf(w, "%s, %s, seed %d\n", first.Machine, first.Go, first.Seed)
	if slices.ContainsFunc(recs, func(r Record) bool { return r.Partial }) {
		fmt.Fprintln(w, p.bad("partial: the run was cut short"))
	}
	for _, name := range f.workloads {
		var rows []*Record
		for i := range recs {
			if recs[i].Workload == name && recs[i].Metric == "ns/event" {
				rows = append(rows, &recs[i])
			}
		}
		inOrder(rows)
		fmt.Fprintln(w)
		heading := name
		var notes []string
		for _, wl := range Workloads() {
			if wl.Name == name {
				heading += ": " + wl.Doc
				notes = wl.notes(rows)
			}
		}
		fmt.Fprintln(w, p.bold(heading))
		for _, n := range notes {
			for _, line := range wrap(n, columns-2) {
				fmt.Fprintln(w, p.dim("  "+line))
			}
		}
		times, causes := f.table(rows, p)
		if whole := times.beside(causes); whole.width() <= columns {
			whole.write(w, p)
			continue
		}
		times.write(w, p)
		fmt.Fprintln(w)
		times.names().beside(causes).filled().write(w, p)
	}
}

// notes returns those of the workload's notes that are about the rows.
func (w *Workload) notes(rows []*Record) []string {
	var about []string
	for _, n := range w.Notes {
		of, _, _ := strings.Cut(n, ":")
		name, value, valued := strings.Cut(of, "=")
		if slices.ContainsFunc(rows, func(r *Record) bool {
			v, ok := r.Parameters[name]
			return ok && (!valued || fmt.Sprint(v) == value)
		}) {
			about = append(about, n)
		}
	}
	return about
}

// wrap breaks text into lines of at most width, at spaces.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines = append(lines, line)
			line = "  "
		} else if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// columns is how wide a table may be.
const columns = 100

// inOrder brings the rows of one parameter set together.
func inOrder(rows []*Record) {
	at := map[string]int{}
	for i, r := range rows {
		if text := paramText(r.Parameters); at[text] == 0 {
			at[text] = i + 1
		}
	}
	slices.SortStableFunc(rows, func(a, b *Record) int {
		return at[paramText(a.Parameters)] - at[paramText(b.Parameters)]
	})
}

// table lays out the rows of one workload: what an event took, and, in a grid
// of as many rows, why.
func (f *finder) table(rows []*Record, p painter) (times, why *grid) {
	reference := rows[0].Workload == "reference"
	m := f.median("reference", map[string]any{"op": "mutex"}, "", "ns/event")
	causes := f.causes(rows[0].Workload)
	rivals := rivalsOf(rows[0].Workload)
	base := f.twice(rows[0].Workload)

	g, c := &grid{named: 2}, &grid{}
	head := []string{"parameters", "strategy", "ns/event", "min", "max", "÷ M"}
	if reference {
		head = slices.Delete(head, 1, 2)
		g.named = 1
	} else {
		if base != "" {
			head = append(head, "÷ "+base)
		}
		if len(rivals) == 1 {
			head = append(head, "÷ "+rivals[0].name)
		}
	}
	g.add(p.bold, head...)
	var heads []string
	if len(rivals) > 1 { // there is no room for them among the times
		for _, rival := range rivals {
			heads = append(heads, "÷ "+rival.name)
		}
	}
	for _, cause := range causes {
		heads = append(heads, strings.TrimSuffix(cause, "/event"))
	}
	c.add(p.bold, heads...)
	before := ""
	for _, r := range rows {
		text := briefText(r.Parameters)
		row := []string{text, r.Strategy, nanos(r.Median), nanos(r.Min), nanos(r.Max), ratio(r.Median / m)}
		paint := p.plain
		if reference {
			row = slices.Delete(row, 1, 2)
		} else {
			if text == before {
				row[0] = ""
			}
			before = text
			if base != "" {
				x := r.Median / f.median(r.Workload, r.Parameters, base, "ns/event")
				switch lo, hi := f.spread(r.Workload, r.Parameters, base); {
				case r.Strategy == base:
					row = append(row, "1")
				case math.IsNaN(x):
					row = append(row, "")
				case lo <= x && x <= hi:
					row, paint = append(row, "≈"), p.dim
				case x < 1:
					row, paint = append(row, ratio(x)), p.good
				default:
					row, paint = append(row, ratio(x)), p.bad
				}
			}
		}
		var counts []string
		for _, rival := range rivals {
			x := r.Median / rival.cost(f, r)
			switch {
			case len(rivals) == 1:
				row = append(row, ratio(x))
			case x < 0.1:
				counts = append(counts, fmt.Sprintf("%.2g", x))
			default:
				counts = append(counts, ratio(x))
			}
		}
		g.add(paint, row...)
		for _, cause := range causes {
			counts = append(counts, number(f.median(r.Workload, r.Parameters, r.Strategy, cause)))
		}
		c.add(paint, counts...)
	}
	return g, c
}

// A rival is something that the records of a workload are compared with, at each
// parameter set.
type rival struct {
	name string
	cost func(f *finder, r *Record) float64 // of an event, NaN if it was not measured
}

// rivalsOf returns those of a workload.
func rivalsOf(workload string) []rival {
	one := func(name, op string) rival { // whatever the parameters
		return rival{name, func(f *finder, r *Record) float64 {
			return f.median("reference", map[string]any{"op": op}, "", "ns/event")
		}}
	}
	same := func(name, op string) rival { // with the same parameters
		return rival{name, func(f *finder, r *Record) float64 {
			p := with(r.Parameters, "op", op)
			delete(p, "by")
			return f.median("reference", p, "", "ns/event")
		}}
	}
	switch workload {
	case "churn":
		return []rival{one("epoll_ctl", "epoll_ctl")}
	case "wake":
		return []rival{one("channel", "channel")}
	case "crosscore":
		return []rival{one("line", "line")}
	case "pipetest":
		return []rival{same("epoll", "epoll-pipes")}
	case "hostpipe":
		return []rival{same("FIONREAD", "fionread-pipes")}
	case "poll", "select":
		return []rival{same("Linux", "linux-"+workload), same("selinfo", "selinfo-"+workload)}
	case "epoll":
		return []rival{same("Linux", "linux-epoll"), {"kevent", func(f *finder, r *Record) float64 {
			return f.median(workload, with(r.Parameters, "by", "kevent"), r.Strategy, "ns/event")
		}}}
	}
	return nil
}

// A finder looks up records.
type finder struct {
	workloads []string
	recs      map[string]*Record
	all       []Record
}

func find(recs []Record) *finder {
	f := &finder{recs: map[string]*Record{}, all: recs}
	for i := range recs {
		r := &recs[i]
		f.recs[key(r.Workload, r.Parameters, r.Strategy, r.Metric)] = r
		if !slices.Contains(f.workloads, r.Workload) {
			f.workloads = append(f.workloads, r.Workload)
		}
	}
	return f
}

func key(workload string, params map[string]any, strategy, metric string) string {
	return workload + "\x00" + paramText(params) + "\x00" + strategy + "\x00" + metric
}

// median returns the median of a record, NaN if there is none.
func (f *finder) median(workload string, params map[string]any, strategy, metric string) float64 {
	if r := f.recs[key(workload, params, strategy, metric)]; r != nil {
		return r.Median
	}
	return math.NaN()
}

// twice returns the strategy that was measured twice.
func (f *finder) twice(workload string) string {
	for i := range f.all {
		if r := &f.all[i]; r.Workload == workload && r.Metric == "a/a" {
			return r.Strategy
		}
	}
	return ""
}

// causes returns the metrics, besides the time, that are not 0 everywhere.
func (f *finder) causes(workload string) []string {
	var names []string
	for i := range f.all {
		r := &f.all[i]
		if r.Workload == workload && r.Metric != "ns/event" && r.Metric != "a/a" && number(r.Median) != "0" && !slices.Contains(names, r.Metric) {
			names = append(names, r.Metric)
		}
	}
	return names
}

// spread returns the ratios that a strategy shows to itself: the interval in
// which the median ratio of the control lies with confidence, made symmetric,
// since which of the two came first means nothing. It takes six rounds to have
// such an interval; with fewer, what was seen is all that is known.
func (f *finder) spread(workload string, params map[string]any, base string) (lo, hi float64) {
	r := f.recs[key(workload, params, base, "a/a")]
	if r == nil {
		return 1, 1
	}
	lo, hi = r.Min, r.Max
	if len(r.values) >= 6 {
		s := benchmath.NewSample(slices.Clone(r.values), &benchmath.DefaultThresholds)
		sum := benchmath.AssumeNothing.Summary(s, confidence)
		lo, hi = sum.Lo, sum.Hi
	}
	off := max(hi, 1/lo, 1)
	return 1 / off, off
}

// nanos formats nanoseconds, with a comma before every third digit.
func nanos(x float64) string {
	if x < 1000 {
		return fmt.Sprintf("%.1f", x)
	}
	s := fmt.Sprintf("%.0f", x)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// ratio formats a ratio to three digits or so, nothing if there is none.
func ratio(x float64) string {
	switch {
	case math.IsNaN(x):
		return ""
	case x < 10:
		return fmt.Sprintf("%.2f", x)
	case x < 100:
		return fmt.Sprintf("%.1f", x)
	}
	return strings.TrimSuffix(nanos(math.Round(x)), ".0")
}

// number formats a count an event.
func number(x float64) string {
	switch {
	case math.IsNaN(x):
		return ""
	case x < 0.005:
		return "0"
	}
	return ratio(x)
}

// A grid is a table of text: names are aligned left, numbers right.
type grid struct {
	rows  [][]string
	paint []func(string) string
	named int // so many columns name the row
}

func (g *grid) add(paint func(string) string, cells ...string) {
	g.rows = append(g.rows, cells)
	g.paint = append(g.paint, paint)
}

// names returns the columns of g that name its rows.
func (g *grid) names() *grid {
	n := &grid{named: g.named}
	for i, row := range g.rows {
		n.add(g.paint[i], row[:g.named]...)
	}
	return n
}

// beside returns a grid that has the columns of both.
func (g *grid) beside(other *grid) *grid {
	both := &grid{named: g.named}
	for i, row := range g.rows {
		both.add(g.paint[i], slices.Concat(row, other.rows[i])...)
	}
	return both
}

// filled returns g without the rows that have nothing but names. The first row
// of a parameter set is filled whenever one of its others is.
func (g *grid) filled() *grid {
	full := &grid{named: g.named}
	for i, row := range g.rows {
		if strings.Join(row[g.named:], "") != "" {
			full.add(g.paint[i], row...)
		}
	}
	return full
}

func (g *grid) widths() []int {
	widths := make([]int, len(g.rows[0]))
	for _, row := range g.rows {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	return widths
}

func (g *grid) width() int {
	sum := 0
	for _, n := range g.widths() {
		sum += 2 + n
	}
	return sum
}

func (g *grid) write(w io.Writer, p painter) {
	widths := g.widths()
	for n, row := range g.rows {
		var b strings.Builder
		for i, c := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
			if i < g.named {
				b.WriteString("  " + c + pad)
			} else {
				b.WriteString("  " + pad + c)
			}
		}
		fmt.Fprintln(w, g.paint[n](strings.TrimRight(b.String(), " ")))
	}
}

// A painter adds a terminal's colours, or none.
type painter bool

func (p painter) with(code, s string) string {
	if !p {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p painter) plain(s string) string { return s }
func (p painter) bold(s string) string  { return p.with("1", s) }
func (p painter) dim(s string) string   { return p.with("2", s) }
func (p painter) good(s string) string  { return p.with("32", s) }
func (p painter) bad(s string) string   { return p.with("31", s) }
