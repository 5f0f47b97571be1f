package cli

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
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
	Failed    string // why it is partial, if not by an interrupt
	Verdicts  []pageVerdict
	Tried     string // how the verdicts were come by
	Campaign  bool   // by campaigns
	Surveys   []pageSurvey
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
	Word, Why, Class, Ops, Evs, Rnds, Secs, Searched, Open, Said, Output string

	Links []string // to files of the folder
}

// A pageSurvey is what was explored of one strategy.
type pageSurvey struct {
	Strategy, Class, Word, Executions, Speed, Scenarios, Complete, Why string
}

// A pageTable is the figures of one workload.
type pageTable struct {
	Name, Doc string
	Notes     []string // what the parameters mean
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
		Summary: r.summary(),
		Partial: r.partial || slices.ContainsFunc(r.verdicts, func(v *verdict) bool { return v.Unfinished }),
		Tried:   "Concurrent stress on real threads: " + properties,
		Races:   raceBuild(),
		Figures: figs,
		Tables:  r.tables(),
		Notes:   r.notes,
		Machine: fmt.Sprintf("%s/%s, %d CPUs", runtime.GOOS, runtime.GOARCH, runtime.NumCPU()),
		Go:      runtime.Version(),
		Seed:    r.seed,
		Command: shellLine(r.app.program, r.app.args),
		Date:    r.began.Format("2 January 2006, 15:04 MST"),
		Took:    time.Since(r.began).Round(time.Second).String(),
		Control: control.Name,
	}
	if r.failed != nil {
		p.Failed = r.failed.Error()
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
	if len(r.verdicts) > 0 && r.verdicts[0].order.Work == workCampaign {
		p.Campaign = true
		p.Tried = "Concurrent scripts drawn at random, on real threads, each several times; every history was held against the specification of a kqueue"
	}
	for _, v := range r.verdicts {
		pv := pageVerdict{verdict: v, Word: v.word(), Why: v.why(r.verdicts), Class: "good",
			Ops: commas(v.Operations), Evs: commas(v.Events), Rnds: commas(v.Rounds), Secs: seconds(v.Took),
			Searched: v.searched(), Open: commas(v.Undecided), Said: v.said()}
		for _, name := range v.Files {
			pv.Links = append(pv.Links, filepath.Base(name))
		}
		if p.Campaign {
			pv.Rnds = commas(v.Scripts)
		}
		switch {
		case v.Unfinished:
			pv.Class = "open"
		case v.Control == v.Correct:
			pv.Class = "bad"
		}
		if v.Caught != "" && len(v.output) > 0 {
			pv.Output = v.outputName()
		}
		p.Verdicts = append(p.Verdicts, pv)
		if x := v.Surveyed; x != nil {
			ps := pageSurvey{v.Strategy, "good", "no finding", commas(x.Executions), commas(x.speed()), commas(x.Scenarios), commas(x.Complete), "the same " + x.why()}
			if !v.Correct {
				ps.Class, ps.Word = pv.Class, pv.Word
			}
			p.Surveys = append(p.Surveys, ps)
		}
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
	if r.failed != nil {
		lines = append(lines, "Cut short, "+r.failed.text+".")
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
			if s != best.Strategy && len(rec.Parameters) == 1 && equal(r.records, &rec, &best) {
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

// tables arranges the records: a table a workload, a column a strategy. What
// the host's kernel does on the same pipes, and the control, are columns too.
func (r *result) tables() []pageTable {
	docs := map[string]string{referenceName: "measured in the same rounds; they know nothing of kqueue"}
	notes := map[string][]string{}
	for _, w := range bench.Workloads() {
		docs[w.Name] = w.Doc
		notes[w.Name] = w.Notes
	}
	var names []string
	for _, rec := range r.records {
		if !slices.Contains(names, rec.Workload) && rec.Workload != referenceName {
			names = append(names, rec.Workload)
		}
	}
	var tables []pageTable
	shown := map[string]bool{} // operations of references that stand beside a workload
	for _, name := range names {
		l := newLayout()
		for i := range r.records {
			if rec := &r.records[i]; rec.Workload == name && rec.Metric != controlMetric {
				l.put(rec, rec.Strategy, rec.Parameters)
			}
		}
		for i := range r.records {
			rec := &r.records[i]
			op, beside := besideOf(name, fmt.Sprint(rec.Parameters["op"]))
			if rec.Workload != referenceName || !beside {
				continue
			}
			params := maps.Clone(rec.Parameters)
			delete(params, "op")
			if l.has(params, rec.Metric) {
				shown[fmt.Sprint(rec.Parameters["op"])] = true
				l.put(rec, op, params)
			}
		}
		l.mark(r.records)
		l.control(r.records, name)
		t := l.table(name, docs[name])
		t.Notes = notes[name]
		tables = append(tables, t)
	}
	l := newLayout()
	for i := range r.records {
		if rec := &r.records[i]; rec.Workload == referenceName && !shown[fmt.Sprint(rec.Parameters["op"])] {
			l.put(rec, "median", rec.Parameters)
		}
	}
	if len(l.rows) > 0 { // read last, though they are measured in between
		tables = append(tables, l.table(referenceName, docs[referenceName]))
	}
	return tables
}

// besideOf returns the column that a reference's operation has in the table of a
// workload, if it stands there.
func besideOf(workload, op string) (column string, ok bool) {
	switch workload {
	case "pipetest", "hostpipe":
		return strings.CutSuffix(op, "-pipes")
	case "poll", "select":
		return strings.CutSuffix(op, "-"+workload)
	}
	return "", false
}

// controlMetric is that of the strategy that is measured twice.
const controlMetric = "a/a"

// A layout is a table being put together.
type layout struct {
	columns []string
	rows    []*layoutRow
	at      map[string]*layoutRow
}

type layoutRow struct {
	params, metric string
	cells          map[string]*bench.Record // by column
	best, tied     map[string]bool
}

func newLayout() *layout { return &layout{at: map[string]*layoutRow{}} }

func (l *layout) has(params map[string]any, metric string) bool {
	return l.at[paramText(params)+"\x00"+metric] != nil
}

func (l *layout) put(rec *bench.Record, column string, params map[string]any) {
	if !slices.Contains(l.columns, column) {
		l.columns = append(l.columns, column)
	}
	key := paramText(params) + "\x00" + rec.Metric
	row := l.at[key]
	if row == nil {
		row = &layoutRow{params: paramText(params), metric: rec.Metric,
			cells: map[string]*bench.Record{}, best: map[string]bool{}, tied: map[string]bool{}}
		l.at[key] = row
		l.rows = append(l.rows, row)
	}
	row.cells[column] = rec
}

// mark finds the cheapest strategy of each row, and those that this run does
// not tell from it.
func (l *layout) mark(all []bench.Record) {
	for _, row := range l.rows {
		var best *bench.Record
		n := 0
		for _, r := range row.cells {
			if r.Strategy == "" || r.Unit != "ns" {
				continue
			}
			n++
			if best == nil || r.Median < best.Median {
				best = r
			}
		}
		if n < 2 {
			continue
		}
		row.best[best.Strategy] = true
		for _, r := range row.cells {
			row.tied[r.Strategy] = r != best && r.Strategy != "" && equal(all, r, best)
		}
	}
}

// equal reports whether the difference between two records of one parameter
// set is no greater than the control shows where there is none.
func equal(all []bench.Record, a, b *bench.Record) bool {
	c := controlOf(all, a)
	if c == nil || c.Min <= 0 {
		return a.Min <= b.Max && b.Min <= a.Max
	}
	off := max(c.Max, 1/c.Min)
	return a.Median <= off*b.Median && b.Median <= off*a.Median
}

// controlOf returns the control of the parameter set of r.
func controlOf(all []bench.Record, r *bench.Record) *bench.Record {
	for i := range all {
		c := &all[i]
		if c.Metric == controlMetric && c.Workload == r.Workload && paramText(c.Parameters) == paramText(r.Parameters) {
			return c
		}
	}
	return nil
}

// control adds the control as the last column.
func (l *layout) control(all []bench.Record, workload string) {
	for i := range all {
		c := &all[i]
		if c.Metric != controlMetric || c.Workload != workload {
			continue
		}
		row := l.at[paramText(c.Parameters)+"\x00ns/event"]
		if row == nil {
			continue
		}
		column := c.Strategy + " a/a"
		if !slices.Contains(l.columns, column) {
			l.columns = append(l.columns, column)
		}
		row.cells[column] = c
	}
}

func (l *layout) table(name, doc string) pageTable {
	t := pageTable{Name: name, Doc: doc, Columns: l.columns}
	for _, row := range l.rows {
		pr := pageRow{Params: row.params, Metric: row.metric}
		causes := true
		for _, column := range l.columns {
			var c pageCell
			if r := row.cells[column]; r != nil {
				c = pageCell{short(r.Median), short(r.Min) + "–" + short(r.Max), row.best[column], row.tied[column]}
				causes = causes && r.Unit != "ns" && r.Unit != "x"
			}
			pr.Cells = append(pr.Cells, c)
		}
		if causes {
			t.Causes = append(t.Causes, pr)
		} else {
			t.Main = append(t.Main, pr)
		}
	}
	return t
}

// paramText writes parameters as a reader wants them: op without its name.
func paramText(params map[string]any) string {
	var parts []string
	if op, ok := params["op"]; ok {
		parts = append(parts, fmt.Sprint(op))
	}
	for _, k := range slices.Sorted(maps.Keys(params)) {
		if k != "op" {
			v := fmt.Sprint(params[k])
			if n, err := strconv.Atoi(v); err == nil {
				v = commas(n)
			}
			parts = append(parts, k+" "+v)
		}
	}
	return strings.Join(parts, ", ")
}
