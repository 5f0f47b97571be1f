package cli

import (
	"bytes"
	_ "embed"
	"fmt"
	"html"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/linearizability"
	"github.com/kqlab/kqlab/model/machine"
)

//go:embed execution.html
var executionText string

var executionTemplate = template.Must(template.New("execution").Funcs(template.FuncMap{"prose": proseOf, "knote": twoLines}).Parse(executionText))

// An executionPage is what execution.html shows: an execution on a virtual machine, step
// by step. Texts have code between backticks.
type executionPage struct {
	Title, Strategy, Name string
	Again                 string // the command that shows it again
	Doc                   []string
	Wrong                 string // the property that does not hold; "" if all is well
	Sentence              string // what it says
	Detail                []string
	Why                   *linearizability.Explanation
	Setup                 []string
	Lanes                 []stepLane
	Domains               []stepDomain
	Knotes                []string
	Rows                  []stepRow
	Hidden                int // rows of points alone
	Cut                   int // steps that are left out
	Last                  string
}

type stepLane struct {
	Name, At string
	Hue      int
}

type stepDomain struct {
	N, Hue int
	Text   string
}

// A stepRow is one step.
type stepRow struct {
	Step   int
	Clock  string // what the clock shows, if that has gone on
	Cells  []stepCell
	Arrows []stepArrow
	Knotes []stepKnote
	Plain  bool // a point alone: shown on demand
	Wrong  bool // here it is seen
	Beyond bool // after that
}

// A stepCell is what one lane has in a row.
type stepCell struct {
	Runs           bool
	Point          string // what is done first
	Lines          []stepLine
	Call           bool // a call is under way
	Begins, Ends   bool // in this row
	Domain         int  // it is in, from 1; 0 if in none
	DomainHue      int
	Enters, Leaves bool
}

type stepLine struct{ Kind, Text string }

// A stepArrow goes from one lane to another, in percent of the width of all lanes.
type stepArrow struct{ From, To float64 }

// A stepKnote is the halves of one knote in a row.
type stepKnote struct {
	There        bool
	Source, Link []stepBit
}

type stepBit struct {
	Letter, Name string
	On, Changed  bool
}

// The bits that are shown of the halves, in the order of a knote's life: those that all
// knotes have all the time are not.
var (
	sourceBits = []string{"busy", "fired", "posted", "disabled", "gone", "done"}
	linkBits   = []string{"listed", "claimed", "rearm", "dying"}
)

const (
	laneHues   = 6
	domainHues = 4
)

// pageOf makes the page of an execution that was traced.
func pageOf(r *fuzz.Report, name, again string) (*executionPage, error) {
	t := r.Trace
	p := &executionPage{Strategy: r.Strategy, Name: name, Again: again, Doc: r.Script.Doc, Title: "nothing is wrong"}
	if f := r.Finding; f != nil {
		p.Wrong, p.Sentence, p.Title = f.Property, f.Sentence(), f.Property
		detail, _, _ := strings.Cut(f.Detail, "\ngoroutine ")
		for _, line := range strings.Split(strings.TrimSpace(detail), "\n") {
			if len(p.Detail) < detailLines {
				p.Detail = append(p.Detail, line)
			}
		}
	}
	if r.Linear != nil {
		why, err := r.Linear.Explain()
		if err != nil {
			return nil, err
		}
		if p.Why = why; why != nil {
			p.Detail = nil
			p.Wrong, p.Title = why.Rule, why.Rule
			if p.Sentence = why.Sentence; p.Sentence != "" {
				p.Sentence += "."
			}
		}
	}
	for _, rec := range r.History {
		if rec.Thread == 0 {
			p.Setup = append(p.Setup, fmt.Sprintf("`%v` → `%s`", rec.Op, answer(rec.Op, rec.Result)))
		}
	}
	for i, name := range t.Threads {
		l := stepLane{Name: name, Hue: i%laneHues + 1}
		if t.CPUs[i] >= 0 {
			l.At = fmt.Sprintf("cpu %d", t.CPUs[i])
		}
		p.Lanes = append(p.Lanes, l)
	}
	for i, d := range t.Domains {
		p.Domains = append(p.Domains, stepDomain{i + 1, i%domainHues + 1, domainWords(d)})
	}
	p.Knotes, p.Cut = t.Knotes, t.Cut
	p.rows(r)
	if p.Cut == 0 {
		p.Last = "Nothing runs any more."
		if asleep := p.asleep(t); len(asleep) > 0 {
			p.Last += " Asleep: " + strings.Join(asleep, ", ") + "."
		}
	}
	return p, nil
}

// asleep says who has not ended, and why: by the last step of each.
func (p *executionPage) asleep(t *fuzz.Trace) (all []string) {
	for lane, name := range t.Threads {
		for k := len(t.Steps) - 1; k >= 0; k-- {
			if s := t.Steps[k]; s.Lane == lane {
				switch s.State {
				case fuzz.StepAsleep:
					all = append(all, name+" on "+s.Then)
				case fuzz.StepWaiting:
					all = append(all, name+" waits for "+s.Then)
				}
				break
			}
		}
	}
	return all
}

// domainWords says what is in a domain.
func domainWords(d fuzz.Domain) string {
	all := append([]string{}, d.Queues...)
	if len(d.Knotes) > 0 {
		knotes := slices.Compact(slices.Sorted(slices.Values(d.Knotes)))
		what := "the source of "
		if len(knotes) > 1 {
			what = "the sources of "
		}
		all = append(all, what+strings.Join(knotes, ", "))
	}
	if len(all) == 0 {
		return "what nothing is known of"
	}
	return strings.Join(all, ", ")
}

// detailLines are shown of a finding, of which a panic has hundreds.
const detailLines = 12

// rows makes a row of each step.
func (p *executionPage) rows(r *fuzz.Report) {
	t, all := r.Trace, happenings(r.History)
	open := make([]bool, len(t.Threads))
	was := map[int]fuzz.Halves{}
	for k, s := range t.Steps {
		row := stepRow{Step: k + 1, Cells: make([]stepCell, len(t.Threads)), Wrong: k == t.Found, Beyond: k > t.Found, Plain: true}
		for i := range row.Cells {
			row.Cells[i].Call = open[i]
		}
		in, before := p.inside(t, k), p.inside(t, k-1)
		for i := range row.Cells {
			c := &row.Cells[i]
			if c.Domain = in[i]; c.Domain == 0 && before[i] > 0 {
				c.Domain, c.Leaves = before[i], true
			}
			c.Enters = in[i] > 0 && in[i] != before[i]
			c.DomainHue = (c.Domain-1)%domainHues + 1
			row.Plain = row.Plain && !c.Enters && !c.Leaves
		}
		if s.Lane < 0 {
			row.Clock = fmt.Sprintf("the clock goes on to %v", s.Clock)
			row.Plain = false
		} else {
			c := &row.Cells[s.Lane]
			c.Runs, c.Point = true, s.Did
			line := func(kind, format string, args ...any) {
				c.Lines = append(c.Lines, stepLine{kind, fmt.Sprintf(format, args...)})
				row.Plain = false
			}
			if len(s.Woke) > 0 {
				line("wakes", "wakes %s", names(t, s.Woke))
				for _, to := range s.Woke {
					row.Arrows = append(row.Arrows, p.arrow(s.Lane, to))
				}
			}
			var took []string
			told := func() {
				if took != nil {
					line("commit", "%s", strings.Join(took, ", "))
				}
				took = nil
			}
			for ; len(all) > 0 && all[0].at <= s.Turn; all = all[1:] {
				h := all[0]
				if h.lane != s.Lane {
					continue // it cannot be: who does something is who runs
				}
				switch h.kind {
				case commits:
					took = append(took, h.text)
				case returns:
					told()
					line("returns", "→ `%s`", h.text)
					c.Ends, open[h.lane] = true, false
				default:
					told()
					line("calls", "`%s`", strings.TrimSuffix(h.text, " … pending"))
					c.Call, c.Begins, open[h.lane] = true, !c.Ends, true
				}
			}
			told()
			switch s.State {
			case fuzz.StepAsleep:
				until := ""
				if s.Until != machine.Forever {
					until = fmt.Sprintf(" until %v", s.Until)
				}
				line("sleeps", "sleeps on %s%s", s.Then, until)
			case fuzz.StepWaiting:
				line("sleeps", "waits for %s", s.Then)
			}
			if next := k + 1; next < len(t.Steps) && t.Steps[next].Could {
				line("turn", "preempted before %s", s.Then)
			}
		}
		row.Knotes, row.Plain = knoteCells(t, s, was, k == 0, row.Plain)
		row.Plain = row.Plain && !row.Wrong
		if row.Plain {
			p.Hidden++
		}
		p.Rows = append(p.Rows, row)
	}
}

// inside returns of each lane the number of the domain that it is in behind step k, from
// 1; 0 if in none.
func (p *executionPage) inside(t *fuzz.Trace, k int) []int {
	in := make([]int, len(t.Threads))
	if k < 0 {
		return in
	}
	for domain, lane := range t.Steps[k].Inside {
		if lane >= 0 {
			in[lane] = domain + 1
		}
	}
	return in
}

// knoteCells returns the knotes of a row, and plain if none of them has changed. Was has what
// they were before, and is brought up to date.
func knoteCells(t *fuzz.Trace, s fuzz.TraceStep, was map[int]fuzz.Halves, first, plain bool) ([]stepKnote, bool) {
	row := make([]stepKnote, len(t.Knotes))
	now := map[int]bool{}
	for _, h := range s.Halves {
		before, known := was[h.Knote]
		if first {
			before, known = h, true // it was so before
		}
		row[h.Knote] = stepKnote{true, bitsOf(sourceBits, h.Source, before.Source), bitsOf(linkBits, h.Link, before.Link)}
		plain = plain && known && before == h
		was[h.Knote], now[h.Knote] = h, true
	}
	for n := range was {
		if !now[n] {
			delete(was, n)
			plain = false
		}
	}
	return row, plain
}

func bitsOf(names []string, on, before string) (all []stepBit) {
	has := func(set, name string) bool { return strings.Contains(" "+set+" ", " "+name+" ") }
	for _, name := range names {
		b := stepBit{Letter: strings.ToUpper(name[:1]), Name: name, On: has(on, name)}
		if name == "dying" {
			b.Letter = "Y"
		}
		if name == "done" {
			b.Letter = "✓"
		}
		b.Changed = b.On != has(before, name)
		all = append(all, b)
	}
	return all
}

// arrow goes from the bar of one lane to that of another.
func (p *executionPage) arrow(from, to int) stepArrow {
	at := func(lane int) float64 { return float64(lane) * 100 / float64(len(p.Lanes)) }
	return stepArrow{at(from), at(to)}
}

// write writes the page.
func (p *executionPage) write(w io.Writer) error { return executionTemplate.Execute(w, p) }

// Legend is what the letters of halves stand for.
func (p *executionPage) Legend() (all [][]stepBit) {
	return [][]stepBit{bitsOf(sourceBits, strings.Join(sourceBits, " "), strings.Join(sourceBits, " ")), bitsOf(linkBits, strings.Join(linkBits, " "), strings.Join(linkBits, " "))}
}

// MinWidth is how wide the table is at least, in rem.
func (p *executionPage) MinWidth() float64 {
	return 3 + 11*float64(len(p.Lanes)) + 9.2*float64(len(p.Knotes))
}

// Wide is how wide the window is at least in which the table need not be moved aside.
func (p *executionPage) Wide() float64 { return p.MinWidth() + 3 }

// twoLines parts the name of a knote from that of its queue.
func twoLines(knote string) template.HTML {
	name, queue, _ := strings.Cut(knote, " on ")
	return template.HTML(html.EscapeString(name) + "<br/>on " + html.EscapeString(queue))
}

// writeExecution writes the page of an execution into a file, and its folder if need be.
func writeExecution(name string, r *fuzz.Report, title, again string) error {
	p, err := pageOf(r, title, again)
	if err != nil {
		return err
	}
	var page bytes.Buffer
	if err := p.write(&page); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return err
	}
	return os.WriteFile(name, page.Bytes(), 0o666)
}

// drawnExecution draws a failure of an execution beside the script that it is of, and
// returns the picture's name. There is none if the execution does not show the failure
// when it is made again: of an order of locks it may be one of several that do, and what
// no scheduler decides may come out otherwise.
func drawnExecution(script string, r *fuzz.Report, o fuzz.Options) (name string, shown bool, err error) {
	if r.Script.Schedule == nil {
		return "", false, nil
	}
	o.Trace = &fuzz.Trace{}
	again, err := fuzz.Replay(r.Script, o)
	if err != nil {
		return "", false, fmt.Errorf("%s cannot be drawn: %w", script, err)
	}
	if again.Finding == nil {
		return "", false, nil
	}
	name = strings.TrimSuffix(script, filepath.Ext(script)) + ".html"
	if err := writeExecution(name, again, filepath.Base(script), program()+" replay "+script); err != nil {
		return "", true, fmt.Errorf("--out: the page cannot be written: %w", err)
	}
	return name, true, nil
}

// proseOf makes HTML of text that has code between backticks.
func proseOf(text string) template.HTML {
	var b strings.Builder
	for i, s := range strings.Split(text, "`") {
		s = html.EscapeString(s)
		if i%2 == 1 {
			s = "<code>" + strings.ReplaceAll(s, "|", "|<wbr>") + "</code>" // a line may break between flags
		}
		b.WriteString(s)
	}
	return template.HTML(b.String())
}
