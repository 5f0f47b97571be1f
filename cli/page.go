package cli

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/kqlab/kqlab/bench"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New(pageName).Parse(pageText))

// A page is what page.html shows.
type page struct {
	Summary   []string
	Partial   bool
	Verdicts  []pageVerdict
	Property  string
	Races     bool // built with the race detector
	Figures   []figure
	Tables    []pageTable
	Goals     []pageGoal
	Notes     []string
	Machine   string
	Go        string
	Seed      uint64
	Rounds    string
	Command   string
	Date      string
	Took      string
	Control   string
	Hues      []int
	Strategic bool // more than one strategy was measured
}

type pageVerdict struct {
	*verdict
	Word, Why, Class, Ops, Evs, Rnds, Secs, File string
}

// A pageTable is the figures of one workload.
type pageTable struct {
	Name, Doc string
	Columns   []string
	Main      []pageRow // times and ratios
	Causes    []pageRow // counts
}

type pageRow struct {
	Params, Metric string
	Cells          []pageCell
}

type pageCell struct {
	Median, Spread string
	Best, Tied     bool
}

type pageGoal struct {
	Number                       int
	Text, Strategy, Ratio, Bound string
	Reached                      bool
}

func (r *result) writePage(w io.Writer) error {
	figs, err := figures(r.records)
	if err != nil {
		return err
	}
	p := &page{
		Summary:  r.summary(),
		Partial:  r.partial || slices.ContainsFunc(r.verdicts, func(v *verdict) bool { return v.Unfinished }),
		Property: properties,
		Races:    raceBuild(),
		Figures:  figs,
		Tables:   r.tables(),
		Notes:    r.notes,
		Machine:  fmt.Sprintf("%s/%s, %d CPUs", runtime.GOOS, runtime.GOARCH, runtime.NumCPU()),
		Go:       runtime.Version(),
		Seed:     r.seed,
		Command:  shellLine(r.app.program, r.app.args),
		Date:     r.began.Format("2 January 2006, 15:04 MST"),
		Took:     time.Since(r.began).Round(time.Second).String(),
		Control:  control.Name,
	}
	for i := range hues + greyHues {
		p.Hues = append(p.Hues, i+1)
	}
	if len(r.records) > 0 {
		p.Machine, p.Go = r.records[0].Machine, r.records[0].Go
		lo, hi := r.records[0].Rounds, 0
		for _, rec := range r.records {
			lo, hi = min(lo, rec.Rounds), max(hi, rec.Rounds)
			p.Partial = p.Partial || rec.Partial
		}
		p.Rounds = fmt.Sprint(lo)
		if hi > lo {
			p.Rounds += " to " + fmt.Sprint(hi)
		}
	}
	p.Strategic = len(strategyNames(r.records)) > 1
	for _, v := range r.verdicts {
		pv := pageVerdict{verdict: v, Word: v.word(), Why: v.why(r.verdicts), Class: "good",
			Ops: commas(v.Operations), Evs: commas(v.Events), Rnds: commas(v.Rounds), Secs: seconds(v.Took)}
		switch {
		case v.Unfinished:
			pv.Class = "open"
		case v.Control == v.Correct:
			pv.Class = "bad"
		}
		if v.Caught != "" && len(v.output) > 0 {
			pv.File = v.outputName()
		}
		p.Verdicts = append(p.Verdicts, pv)
	}
	for _, g := range r.goals {
		op := "≤"
		if g.AtLeast {
			op = "≥"
		}
		name := g.Strategy
		if name == "" {
			name = "all"
		}
		p.Goals = append(p.Goals, pageGoal{g.Number, g.Text, name, short(g.Ratio), op + " " + short(g.Bound), g.Reached})
	}
	return pageTemplate.Execute(w, p)
}

// shellLine writes a command so that a shell reads it back.
func shellLine(program string, args []string) string {
	line := program
	for _, a := range args {
		plain := a != "" && !strings.ContainsFunc(a, func(c rune) bool {
			return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=,./:", c)
		})
		if !plain {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		line += " " + a
	}
	return line
}

// summary is the answer in a few sentences.
func (r *result) summary() []string {
	var lines, correct, wrong []string
	var ops, events uint64
	for _, v := range r.verdicts {
		switch {
		case v.Unfinished || v.Control:
		case v.Correct:
			correct = append(correct, v.Strategy)
			ops += v.Operations
			events += v.Events
		default:
			wrong = append(wrong, v.Strategy+" (caught by a "+v.Caught+")")
		}
	}
	if correct != nil {
		s := fmt.Sprintf("No finding against %s in %s operations and %s events", list(correct), commas(ops), commas(events))
		if caught, planted := controls(r.verdicts); planted > 0 {
			s += fmt.Sprintf("; the same test caught %d of %d controls", caught, planted)
		}
		lines = append(lines, s+".")
	}
	if wrong != nil {
		lines = append(lines, "Wrong: "+list(wrong)+".")
	}
	if s := r.cheapest(); s != "" {
		lines = append(lines, s)
	}
	return lines
}

// cheapest says who wins on single, in batches as large as were measured.
func (r *result) cheapest() string {
	names := strategyNames(r.records)
	if len(names) < 2 {
		return ""
	}
	best, batch := bench.Record{}, 0.0
	for _, s := range names {
		for _, rec := range (query{"single", s, "ns/event", nil}).find(r.records) {
			b, ok := number(rec, "batch")
			if !ok || len(rec.Parameters) != 1 {
				continue
			}
			if b > batch || b == batch && rec.Median < best.Median {
				best, batch = rec, b
			}
		}
	}
	if batch == 0 {
		return ""
	}
	tied := ""
	for _, s := range names {
		for _, rec := range (query{"single", s, "ns/event", map[string]any{"batch": batch}}).find(r.records) {
			if s != best.Strategy && len(rec.Parameters) == 1 && rec.Min <= best.Max {
				tied += " or " + s
			}
		}
	}
	if tied != "" {
		return fmt.Sprintf("Alone on a CPU, in batches of %.0f, an event is cheapest under %s%s, at about %s ns; the run cannot tell them apart.", batch, best.Strategy, tied, short(best.Median))
	}
	return fmt.Sprintf("Alone on a CPU, in batches of %.0f, an event is cheapest under %s: %s ns.", batch, best.Strategy, short(best.Median))
}

func list(names []string) string {
	switch n := len(names); n {
	case 0, 1:
		return strings.Join(names, "")
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}

const referenceName = "reference"

// tables arranges the records, a table a workload and a column a strategy.
func (r *result) tables() []pageTable {
	var tables []pageTable
	docs := map[string]string{referenceName: "measured in the same rounds; they know nothing of kqueue"}
	for _, w := range bench.Workloads() {
		docs[w.Name] = w.Doc
	}
	var names []string
	for _, rec := range r.records {
		if !slices.Contains(names, rec.Workload) {
			names = append(names, rec.Workload)
		}
	}
	for _, name := range names {
		t := pageTable{Name: name, Doc: docs[name]}
		var recs []bench.Record
		for _, rec := range r.records {
			if rec.Workload == name {
				recs = append(recs, rec)
				if !slices.Contains(t.Columns, rec.Strategy) {
					t.Columns = append(t.Columns, rec.Strategy)
				}
			}
		}
		at := map[string]int{} // params and metric to the row
		var rows []pageRow
		var raw [][]*bench.Record
		for i := range recs {
			rec := &recs[i]
			row := pageRow{Params: paramText(rec.Parameters), Metric: rec.Metric}
			key := row.Params + "\x00" + row.Metric
			n, ok := at[key]
			if !ok {
				n = len(rows)
				at[key] = n
				row.Cells = make([]pageCell, len(t.Columns))
				rows = append(rows, row)
				raw = append(raw, make([]*bench.Record, len(t.Columns)))
			}
			c := slices.Index(t.Columns, rec.Strategy)
			rows[n].Cells[c] = pageCell{Median: short(rec.Median), Spread: short(rec.Min) + "–" + short(rec.Max)}
			raw[n][c] = rec
		}
		for n := range rows {
			mark(rows[n].Cells, raw[n])
			if count(recs, rows[n].Metric) {
				t.Causes = append(t.Causes, rows[n])
			} else {
				t.Main = append(t.Main, rows[n])
			}
		}
		if len(t.Columns) == 1 && t.Columns[0] == "" {
			t.Columns[0] = "median"
		}
		tables = append(tables, t)
	}
	return tables
}

// mark finds the cheapest time in a row, and those that its spread does not
// tell from it.
func mark(cells []pageCell, recs []*bench.Record) {
	var best *bench.Record
	n := 0
	for _, r := range recs {
		if r == nil || r.Unit != "ns" {
			continue
		}
		n++
		if best == nil || r.Median < best.Median {
			best = r
		}
	}
	if n < 2 {
		return
	}
	for i, r := range recs {
		switch {
		case r == best:
			cells[i].Best = true
		case r != nil && r.Unit == "ns" && r.Min <= best.Max:
			cells[i].Tied = true
		}
	}
}

// count reports whether the metric counts causes.
func count(recs []bench.Record, metric string) bool {
	for _, r := range recs {
		if r.Metric == metric {
			return r.Unit != "ns" && r.Unit != "x"
		}
	}
	return false
}

// paramText writes parameters as a reader wants them: op without its name.
func paramText(params map[string]any) string {
	var parts []string
	if op, ok := params["op"]; ok {
		parts = append(parts, fmt.Sprint(op))
	}
	for _, k := range slices.Sorted(maps.Keys(params)) {
		if k != "op" {
			parts = append(parts, fmt.Sprintf("%s %v", k, params[k]))
		}
	}
	return strings.Join(parts, ", ")
}
