package linearizability

import (
	"cmp"
	_ "embed"
	"fmt"
	"html"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"
	"github.com/kqlab/kqlab/model/event"
)

//go:embed picture.html
var pictureText string

var pictureTemplate = template.Must(template.New("picture").Funcs(template.FuncMap{"prose": prose, "pair": pair}).Parse(pictureText))

const (
	rowsBefore = 60   // rows that are shown before what does not fit; what is earlier is folded away
	rowsAfter  = 30   // likewise after it
	rowsFolded = 1000 // of what is folded away, before and after; the rest is left out
	listed     = 20   // other findings that are named
)

// A picture is what picture.html shows: texts have code between backticks.
type picture struct {
	Verdict, Rule string
	Sentence      string // what the rule says, if its name does not
	Where         string
	Whys          []why
	Read          string // how to read the order
	Threads       []int  // by lane
	Early         []row
	Rows          []row
	Late          []row
	Cut           int        // rows that are left out, farther away
	State         [][]string // one of these is the state after the order
	Others        []Finding  // not more than listed
	More          int        // others
	Elsewhere     int        // calls that are left out
	Porcupine     string     // a page of its own; "" if no projection is drawn, since nothing was searched
}

// A why is one call that does not fit, and why not.
type why struct {
	Thread       int
	Call, Answer string
	Did          string // "" if it is the answer
	Allowed      string
	Turn         string
	unnumbered   string // Turn, for who does not see the numbers of the order
}

// Draw writes a page, one file that loads nothing, with a picture of the first
// finding that is a projection, or else of the first: a lane a thread, time
// going down, the longest order that the specification allows, the call that
// does not fit into it and what would have been allowed in its place, and
// porcupine's own picture of the projection. To draw searches the projection
// once more, for 10 seconds at most. It reports whether there was a finding; of
// a report that is ok nothing is written.
func (r *Report) Draw(w io.Writer) (bool, error) {
	if len(r.Findings) == 0 {
		return false, nil
	}
	p, err := r.picture()
	if err != nil {
		return true, err
	}
	return true, pictureTemplate.Execute(w, p)
}

// picture returns what there is to be seen of the finding that [Report.Draw] draws.
func (r *Report) picture() (*picture, error) {
	at := max(0, slices.IndexFunc(r.Findings, func(f Finding) bool { return f.drawn }))
	f := r.Findings[at]
	p := &picture{Verdict: f.Verdict.String(), Where: f.Where}
	p.Rule, p.Sentence, _ = strings.Cut(f.Rule, ": ")
	for i, o := range r.Findings {
		switch {
		case i == at:
		case len(p.Others) < listed:
			p.Others = append(p.Others, o)
		default:
			p.More++
		}
	}
	if f.drawn {
		return p, p.project(r, f)
	}
	p.point(r.plan.h, f)
	return p, nil
}

// project fills in a finding that is a projection.
func (p *picture) project(r *Report, f Finding) error {
	v := r.look(f)
	var shown []int
	for _, op := range v.ops {
		if n := len(shown); n == 0 || shown[n-1] != stepOf(op).call {
			shown = append(shown, stepOf(op).call)
		}
	}
	stuck := map[int]bool{}
	if v.stuck != nil {
		stuck[stepOf(*v.stuck).call] = true
	}
	b := newRows(r.plan.h, shown, stuck)
	plain := v.plain()
	number := make([]int, len(v.order)) // that a step is under
	for i, op := range v.order {
		b.until(op.Call)
		if q := stepOf(op); !plain[q] {
			b.step(q.call, q.acts())
		}
		number[i] = b.number
	}
	p.Read = fmt.Sprintf("The numbers are the longest order in which the specification allows what the calls did; steps: %d.", b.number)
	if v.stuck != nil {
		b.until(v.stuck.Call)
		b.out = append(b.out, row{kind: acts, call: stepOf(*v.stuck).call, Stuck: true, Text: stepOf(*v.stuck).did()})
		p.Whys = []why{v.why(number)}
	}
	switch v.result {
	case porcupine.Ok:
		p.Read += " The search for this picture found an order of all steps: here the history is right."
	case porcupine.Illegal:
		p.Read += " At ✗ no step fits any more, and every other order has been tried: none has more."
	default:
		p.Read += fmt.Sprintf(" The search for this picture was cut short after %v, so there may be a longer one.", drawLimit)
	}
	for _, s := range v.last() {
		if words := v.knows(s); !slices.ContainsFunc(p.State, func(w []string) bool { return slices.Equal(w, words) }) {
			p.State = append(p.State, words)
		}
	}
	p.lay(b, len(r.plan.h)-len(shown))
	var page strings.Builder
	err := porcupine.Visualize(model(f.key, strict), v.info, &page)
	p.Porcupine = page.String()
	if i := strings.LastIndex(p.Porcupine, "render(data)"); i >= 0 {
		p.Porcupine = p.Porcupine[:i] + renderSeen + p.Porcupine[i+len("render(data)"):]
	}
	return err
}

// Porcupine's page measures its texts as it is loaded. In a frame that is folded
// away each is 0 wide then, and stays so; this waits until it is seen.
const renderSeen = `const seen = () => document.querySelector('#legend text').getBBox().width > 0 ? render(data) : requestAnimationFrame(seen)
      seen()`

// knows is a state in words, and that the knote is not there if it is not.
func (v *view) knows(s state) []string {
	words := s.Words()
	if q, errno := s.Enter(v.key.queue); errno == 0 && v.key.filter != 0 && v.key.filter != event.Proc {
		if w := s.KnoteWords(q, v.key.ident, v.key.filter); !slices.Contains(words, w) {
			words = append(words, w)
		}
	}
	return words
}

// point fills in a finding that a record shows by itself: that is marked.
func (p *picture) point(h History, f Finding) {
	shown := make([]int, len(h))
	for i := range h {
		shown[i] = i
	}
	rec := &h[f.at]
	p.Whys = []why{{Thread: rec.Thread, Call: rec.Op.String(), Answer: rec.answer(), Allowed: cmp.Or(f.allowed, f.Rule)}}
	p.Read = "What is marked ✗ is wrong in whatever order the calls took effect."
	b := newRows(h, shown, map[int]bool{f.at: true})
	b.until(Never)
	b.alone = true
	p.lay(b, 0)
}

// lay turns the sequence into rows, and folds away what is far from the mark.
func (p *picture) lay(b *rows, elsewhere int) {
	all := b.finish()
	p.Elsewhere = elsewhere
	p.Threads = b.threads
	mark := slices.IndexFunc(all, func(r row) bool { return r.Stuck })
	if mark < 0 {
		mark = len(all) - 1
	}
	from, to := max(0, mark-rowsBefore), min(len(all), mark+rowsAfter)
	p.Early, p.Rows, p.Late = all[:from], all[from:to], all[to:]
	if n := len(p.Early) - rowsFolded; n > 0 {
		p.Early, p.Cut = p.Early[n:], n
	}
	if n := len(p.Late) - rowsFolded; n > 0 {
		p.Late, p.Cut = p.Late[:rowsFolded], p.Cut+n
	}
}

// why says why the stuck step does not fit; number has the number that each step
// of the order is under.
func (v *view) why(number []int) why {
	p := stepOf(*v.stuck)
	w := why{Thread: p.rec.Thread, Call: p.rec.Op.String(), Answer: p.rec.answer(), Did: p.did(), Allowed: v.allowed()}
	if p.does == whole || p.does == act || p.does == leave {
		w.Did = ""
	}
	i, mutual := v.turn()
	if i >= 0 {
		q := stepOf(v.order[i])
		what := fmt.Sprintf("`%v`", q.rec.Op)
		if q.rec.Op.Call == event.CallKevent {
			what = q.acts()
		}
		why := "but with it there, the search found no longer order."
		switch {
		case p.does == asleep:
			why = "since when there is something to wake for."
		case q.rec.Return < p.rec.Call:
			why = "but that had returned when this call began."
		case mutual:
			why = "but then that one does not fit."
		case v.result == porcupine.Illegal:
			why = "but with it there, another call does not fit."
		}
		w.Turn = fmt.Sprintf("It would have been right before step %d (thread %d: %s), %s", number[i], q.rec.Thread, what, why)
		w.unnumbered = fmt.Sprintf("It would have been right before a step of thread %d (%s), %s", q.rec.Thread, what, why)
	} else if rec := v.cause(); rec != nil {
		w.Turn = fmt.Sprintf("It would have been right after `%v` of thread %d, but that began when this call had returned.", rec.Op, rec.Thread)
		w.unnumbered = w.Turn
	}
	return w
}

// plain returns the steps that are not worth a word: that a call found its
// kqueue, where none is ever closed, and that it returned. A call has one step
// at least that is.
func (v *view) plain() map[*part]bool {
	plain := map[*part]bool{}
	said := false
	for i, op := range v.ops {
		p := stepOf(op)
		if p.index == 0 {
			said = false
		}
		plain[p] = p.does == leave || p.does == enter && !v.plan.ends[v.key.queue]
		said = said || !plain[p]
		if last := i+1 == len(v.ops) || stepOf(v.ops[i+1]).call != p.call; last && !said {
			plain[p] = false
		}
	}
	return plain
}

// makesWords says what a call makes that makes two files.
var makesWords = map[event.Call][2]string{
	event.CallPipe: {"makes the read end", "makes the write end"}, event.CallPty: {"makes the master", "makes the slave"},
}

// acts says what a call does in a step that fits.
func (p *part) acts() string {
	switch p.does {
	case first, second:
		if words, ok := makesWords[p.rec.Op.Call]; ok {
			return words[p.does-first]
		}
		return "makes one of two"
	case opened:
		return fmt.Sprintf("makes descriptor %d of it", p.rec.Result.N)
	case unlink:
		return fmt.Sprintf("number %d is free", p.ended())
	case reap:
		return "its knotes are gone"
	case release:
		return "its file is released"
	case empty:
		return "the close is over"
	case found:
		if p.rec.Op.Call == event.CallKevent {
			return fmt.Sprintf("looks for descriptor %d", p.kev.Ident)
		}
		if polls(&p.rec.Op) || p.rec.Op.Call == event.CallEpollCtl {
			return fmt.Sprintf("looks for descriptor %d", p.fd)
		}
		if byName(p.rec.Op.Call) {
			return "looks for a name"
		}
		return fmt.Sprintf("looks for descriptor %d", p.rec.Op.FD)
	case foundEpoll:
		return fmt.Sprintf("looks for epoll %d", p.rec.Op.FD)
	case looked:
		if p.says == 0 {
			return fmt.Sprintf("says nothing of descriptor %d", p.fd)
		}
		return fmt.Sprintf("says `%v` of descriptor %d", p.says, p.fd)
	case enter:
		if p.rec.Op.Call == event.CallEpollWait {
			return fmt.Sprintf("looks for epoll %d", p.rec.Op.FD)
		}
		return fmt.Sprintf("looks for kqueue %d", p.rec.Op.FD)
	case change:
		return fmt.Sprintf("applies `%v`", p.kev)
	case took:
		return fmt.Sprintf("takes `%s`", p.event())
	case passed:
		if p.rec.Op.Call == event.CallEpollWait {
			return "finds nothing of the item"
		}
		return "finds nothing of the knote"
	case asleep, unready:
		return "is asleep"
	case leave:
		return fmt.Sprintf("answers `%v`", p.rec.answer())
	}
	return "takes effect"
}

// prose makes HTML of text that has code between backticks.
func prose(text string) template.HTML {
	var b strings.Builder
	for i, s := range strings.Split(text, "`") {
		s = html.EscapeString(s)
		if i%2 == 1 {
			// A line may break between flags.
			s = "<code>" + strings.ReplaceAll(s, "|", "|<wbr>") + "</code>"
		}
		b.WriteString(s)
	}
	return template.HTML(b.String())
}

// pair is what the template of a row is given.
func pair(p *picture, r row) map[string]any { return map[string]any{"Picture": p, "Row": r} }

// Gutter is how wide all lanes are, in pixels.
func (p *picture) Gutter() int { return laneWidth * len(p.Threads) }

// Shades are the lanes with their middle and their colour.
func (p *picture) Shades() (out []bar) {
	for i := range p.Threads {
		out = append(out, bar{Lane: i})
	}
	return out
}
